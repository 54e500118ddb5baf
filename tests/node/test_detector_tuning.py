"""A running detector measures which configuration of its model is the fastest, and switches to it."""

from __future__ import annotations

from pathlib import Path

import cv2
from detecting import Detecting, names
from edgecam_core.models.plan import Plan
from edgecam_core.models.tuning import stored_choice
from ros_peer import Peer
from waiting import wait_until

HORSE = cv2.imread(str(Path(__file__).parents[1] / "assets" / "photos" / "horse.jpg"))
LONG = 180.0


def test_the_fastest_configuration_takes_over_between_two_images_and_stays(peer: Peer, tmp_path: Path) -> None:
    given = {"engine_cache": str(tmp_path), "tune": True}
    subject = Detecting(peer, Path("ssd_mobilenet_v2_coco"), **given)
    try:
        worker = subject.node._worker
        assert worker is not None
        first = worker.detector
        assert first is not None
        assert not first.tuned
        assert "horse" in names(subject.answer(HORSE))
        wait_until(lambda: list(tmp_path.glob("*.choice.json")), LONG, "the measurement")
        fastest = stored_choice(Plan.read(subject.node.settings), subject.node.settings)
        assert fastest is not None
        if fastest.precision == "int8":  # not if the processor lacks the instructions for it
            wait_until(lambda: worker.detector is not first, LONG, "the faster configuration")
            assert worker.detector is not None
            assert worker.detector.tuned
            assert worker.detector.runner.description.endswith("int8")
        assert "horse" in names(subject.answer(HORSE))
    finally:
        subject.close()
    again = Detecting(peer, Path("ssd_mobilenet_v2_coco"), **given)
    try:
        assert again.node._worker is not None
        assert again.node._worker.detector is not None
        assert again.node._worker.detector.tuned
    finally:
        again.close()
