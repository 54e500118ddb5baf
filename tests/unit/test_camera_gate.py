"""The keyframe gate in a capture pipeline: real streams with losses, decoded by GStreamer, against their source."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from coded_streams import CodedStream, encode, luma, psnr
from edgecam_core.camera.decoder_gate import DecoderGate
from edgecam_core.media import gst, nal
from edgecam_core.media.codecs import codec
from edgecam_core.media.coded import parameter_sets

_FAST = "bitrate=2000 speed-preset=ultrafast tune=zerolatency key-int-max=20"
STREAMS = {
    "h264-idr": ("h264", "scenecut=0", _FAST),
    "h264-intra-refresh": ("h264", "scenecut=0", f"{_FAST} intra-refresh=true"),
    "h264-open-gop": ("h264", "open-gop=1:scenecut=0", "bitrate=2000 key-int-max=20 bframes=3 b-adapt=false"),
    "h265-open-gop": ("h265", "open-gop=1:scenecut=0:bframes=4:b-adapt=0", "bitrate=2000 key-int-max=20"),
}
_GOOD = 27.0


@functools.cache
def _encoded(codec_name: str, options: str, properties: str) -> CodedStream:
    return encode(codec_name, options, properties)


def stream(name: str) -> CodedStream:
    """A stream of its own list of access units, encoded once."""
    made = _encoded(*STREAMS[name])
    return replace(made, units=list(made.units))


@dataclass
class GateOutcome:
    quality: dict[int, float] = field(default_factory=dict)
    recorded: list[int] = field(default_factory=list)
    gate: DecoderGate = field(default_factory=lambda: DecoderGate(lambda: True))


def play(made: CodedStream, lost: range, stream_format: str, decoder: str, gate: DecoderGate) -> GateOutcome:
    """Push a stream without the lost access units through tee, gate and decoder."""
    row = codec(made.codec)
    pipeline = gst.Pipeline(
        f"appsrc name=src is-live=true format=time max-bytes=0 "
        f"caps={row.media_type},stream-format=byte-stream,alignment=au "
        f"! {row.parser} ! {row.media_type},stream-format={stream_format},alignment=au ! tee name=tap "
        f"tap. ! queue name=decode ! {decoder} ! videoconvert ! video/x-raw,format=I420 "
        "! appsink name=sink sync=false tap. ! queue ! appsink name=coded sync=false async=false"
    )
    outcome = GateOutcome(gate=gate)
    gate.attach(pipeline)
    pipeline.start(timeout=0.0)
    try:
        for index, (nals, pts) in enumerate(made.units):
            if index in lost:
                continue
            buffer = pipeline.new_buffer(np.frombuffer(nal.join(nals), np.uint8), pts)
            if index - 1 in lost:
                buffer.set_flags(gst.load().BufferFlags.DISCONT)
            pipeline.push(buffer)
            _collect(pipeline, outcome, made, 0.002)
        pipeline.element("src").emit("end-of-stream")
        _collect(pipeline, outcome, made, 120.0)
    finally:
        pipeline.stop()
    return outcome


def _collect(pipeline: gst.Pipeline, outcome: GateOutcome, made: CodedStream, wait: float) -> None:
    while (sample := pipeline.pull(wait)) is not None:
        with sample:
            outcome.quality[sample.pts_ns] = psnr(luma(sample), made.frames[sample.pts_ns])
    while (
        sample := pipeline.pull(wait if wait > 1 else 0, "coded")
    ) is not None:  # after the last one, up to the end of the stream
        with sample:
            outcome.recorded.append(sample.pts_ns)


@pytest.mark.parametrize("decoder", ["avdec", "decodebin"])
@pytest.mark.parametrize("lost", [range(3), range(5, 7), range(19, 21)])
@pytest.mark.parametrize("name", STREAMS)
def test_after_losses_only_intact_frames_are_shown(name: str, lost: range, decoder: str) -> None:
    kind, made = STREAMS[name][0], stream(name)
    if 0 in lost:  # the parameter sets are separate from the first frame
        row = codec(kind)
        sets = [unit for unit in made.units[0][0] if row.kind(unit) in row.parameter_sets]
        made.units[lost.stop] = ([*sets, *made.units[lost.stop][0]], made.units[lost.stop][1])
    text = f"{kind}parse ! avdec_{kind} thread-type=slice" if decoder == "avdec" else "decodebin"
    stream_format = "avc" if kind == "h264" else "hvc1"
    outcome = play(made, lost, stream_format, text, DecoderGate(lambda: True))
    assert min(outcome.quality.values()) > _GOOD, outcome.quality
    assert max(outcome.quality) == max(made.frames)
    assert outcome.gate.held > 0
    assert len(outcome.recorded) < len(made.units)


def test_without_subscribers_only_keyframes_are_decoded() -> None:
    made = stream("h264-idr")
    expected = False
    outcome = play(made, range(0), "byte-stream", "h264parse ! avdec_h264", DecoderGate(lambda: expected))
    assert len(outcome.quality) == 4
    assert outcome.gate.skipped == 71
    assert outcome.gate.held == 0
    assert len(outcome.recorded) == 75


def test_after_a_pause_frames_resume_at_the_next_keyframe() -> None:
    made = stream("h265-open-gop")
    calls = iter(range(1000))
    outcome = play(made, range(0), "hvc1", "h265parse ! avdec_h265", DecoderGate(lambda: next(calls) >= 30))
    assert len(outcome.quality) >= 30
    assert min(outcome.quality.values()) > _GOOD, outcome.quality


def test_for_other_codecs_the_gate_follows_the_buffer_flags() -> None:
    pipeline = gst.Pipeline(
        "videotestsrc num-buffers=5 ! video/x-raw,width=64,height=48 ! jpegenc ! tee name=tap "
        "tap. ! queue name=decode ! jpegdec ! appsink name=sink tap. ! queue ! appsink name=coded async=false"
    )
    gate = DecoderGate(lambda: True)
    gate.attach(pipeline)
    pipeline.start()
    for _ in range(5):
        sample = pipeline.pull(120.0)
        assert sample is not None
        sample.close()
    pipeline.stop()
    assert gate.held == 0


@pytest.mark.parametrize("record", [b"", b"\x01\x64", b"\x01\x64\x00\x28\xff\xe1\x00\x20ab", b"\x01" * 30])
def test_a_truncated_decoder_configuration_gives_its_complete_parameter_sets(record: bytes) -> None:
    for name in ("h264", "h265"):
        size, sets = parameter_sets(name, record)
        assert 1 <= size <= 4
        assert isinstance(sets, list)
