"""The gates before the decoder, by buffer flags."""

from __future__ import annotations

from edgecam_core.camera.keyframe_gate import BufferKeyframeGate, IdleFrameSkipper
from edgecam_core.media import gst

FLAGS = gst.load().BufferFlags
KEY, DELTA = 0, int(FLAGS.DELTA_UNIT)
GAP = int(FLAGS.DISCONT)


def test_nothing_passes_before_the_first_key_frame() -> None:
    gate = BufferKeyframeGate()
    assert [gate.take(flags) for flags in (DELTA | GAP, DELTA, KEY, DELTA)] == [False, False, True, True]
    assert gate.held == 2


def test_after_a_gap_everything_waits_for_the_next_key_frame() -> None:
    gate = BufferKeyframeGate()
    assert gate.take(KEY)
    assert [gate.take(flags) for flags in (DELTA, DELTA | GAP, DELTA, KEY, DELTA)] == [True, False, False, True, True]


def test_a_gap_right_before_a_key_frame_costs_nothing() -> None:
    gate = BufferKeyframeGate()
    assert [gate.take(flags) for flags in (KEY, KEY | GAP, DELTA)] == [True, True, True]
    assert gate.held == 0


def test_while_nobody_wants_frames_only_key_frames_are_decoded() -> None:
    wanted = False
    gate = IdleFrameSkipper(lambda: wanted)
    assert [gate.take(flags) for flags in (KEY, DELTA, DELTA, KEY)] == [True, False, False, True]
    wanted = True
    assert [gate.take(flags) for flags in (DELTA, KEY, DELTA, DELTA)] == [False, True, True, True]
    wanted = False
    assert [gate.take(flags) for flags in (DELTA, KEY, DELTA)] == [False, True, False]
    assert gate.skipped == 5
