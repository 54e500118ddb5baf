"""Decoding and conversion only. Usage: bare_pipeline FILE; prints one JSON line."""

from __future__ import annotations

import sys

from edgecam_core.media import gst

from benchmarks.peers.spent import Spent


def main() -> None:
    spent = Spent()
    pipeline = gst.Pipeline(
        f"uridecodebin uri={gst.quoted('file://' + sys.argv[1])} ! videoconvert ! video/x-raw,format=BGR "
        "! fakesink name=sink sync=false"
    )
    pipeline.start()
    end = pipeline.wait_for(("eos", "error"), 120)
    assert end is not None
    assert end.kind == "eos", end.text
    frames, _waiting = pipeline.arrivals("sink")
    spent.report(frames)
    pipeline.stop()


if __name__ == "__main__":
    main()
