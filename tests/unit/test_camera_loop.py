"""A file that is played again and again, by a consumer slower than the demuxer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from clips import make_clip
from edgecam_core.camera.capture import Camera
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.media import gst

LONG = 120.0


class HeldDemuxer:
    """Lets demuxers post the end of a segment, but not pass it on before three frames have been taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._taken = 0
        self._room = threading.Event()
        self.reached = threading.Event()
        self.got_room: list[bool] = []
        seek, pull = gst.Pipeline.seek_to_start, gst.Pipeline.pull

        def hold_and_seek(pipeline: gst.Pipeline, flush: bool = True, segment: bool = False) -> bool:
            if flush:  # before the file plays
                self._hold(pipeline)
            return seek(pipeline, flush, segment)

        def count(pipeline: gst.Pipeline, timeout: float, sink: str = "sink") -> gst.MappedSample | None:
            sample = pull(pipeline, timeout, sink)
            self._taken += sample is not None
            if self._taken >= 3:
                self._room.set()
            return sample

        monkeypatch.setattr(gst.Pipeline, "seek_to_start", hold_and_seek)
        monkeypatch.setattr(gst.Pipeline, "pull", count)

    def _hold(self, pipeline: gst.Pipeline) -> None:
        g = gst.load()

        def pass_on(_pad: Any, info: Any) -> Any:
            if info.get_event().type == g.EventType.SEGMENT_DONE:
                self.reached.set()
                self.got_room.append(self._room.wait(LONG))
            return g.PadProbeReturn.OK

        def hold(element: Any) -> None:
            if "Demuxer" in (element.get_metadata("klass") or ""):
                for pad in element.srcpads:
                    pad.add_probe(g.PadProbeType.EVENT_DOWNSTREAM, pass_on)

        pipeline.gst_pipeline.iterate_recurse().foreach(hold)


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".avi"])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_demuxer_that_waits_for_room_at_the_end_of_the_file_gets_it(
    suffix: str, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demuxer = HeldDemuxer(monkeypatch)
    path = make_clip(tmp_path / f"clip{suffix}", frames=5, codec="jpeg")  # fits into the appsink
    count, enough, stopping = 0, threading.Event(), threading.Event()

    def take(_frame: CapturedFrame) -> None:
        nonlocal count
        count += 1
        if count == 1:
            demuxer.reached.wait(LONG)
        elif stopped:
            stopping.set()
            one._stopping.wait(LONG)
        elif count > 12:
            enough.set()

    one = Camera(CameraSettings(source=f"file://{path}", loop=True, realtime=False), take)
    one.start()
    taken = (stopping if stopped else enough).wait(LONG)
    stop = threading.Thread(target=one.stop, daemon=True)
    stop.start()
    stop.join(LONG)
    assert not stop.is_alive(), "stop() does not return"
    assert taken
    assert demuxer.got_room
    assert all(demuxer.got_room)
    assert one.status().reconnects == 0
