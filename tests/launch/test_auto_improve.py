"""``auto_improve:=true``: a finished review starts the improvement, at low priority, and nothing is deployed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED, KeptFrame, Review
from edgecam_core.models import proposal
from edgecam_core.models.store import ModelStore
from launched import Launched
from tiny_models import color_detector
from waiting import wait_until


def test_a_finished_review_is_noticed_and_its_outcome_is_in_the_store(
    launch: Callable[..., Launched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECAM_MODELS", str(tmp_path / "store"))
    store = ModelStore()
    store.add(color_detector(tmp_path / "live.onnx"), "door")
    store.deploy("door")
    collection = Collection.create(tmp_path / "collection")
    frame = KeptFrame("a", "images/a.jpg", 64, 48, 1, "lens", "front", (), ())
    collection.add(frame, cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    running = launch("improve.launch.xml", f"collection:={collection.root}", "model:=store:door", "precision:=fp16")
    running.wait_for("waiting for finished reviews of")
    assert proposal.read(store, "door") is None
    collection.save_review(Review("a", REVIEWED))
    found = wait_until(lambda: proposal.read(store, "door"), 120, "the outcome")
    found = wait_until(
        lambda: (one := proposal.read(store, "door")) and one.state == proposal.FAILED and one, 120, "the failure"
    )
    assert "none of the 1 reviewed frames of" in found.text
    (worker,) = [
        one for one in psutil.Process(running.process.pid).children(recursive=True) if "--watch" in one.cmdline()
    ]
    assert worker.nice() == 19
    assert worker.cmdline()[-4:] == ["--precision", "fp16", "--train", "heads"]
    assert store.version("door").number == 1
    assert running.stop() == 0
    assert running.orphans() == []
    assert "Traceback" not in running.text()
