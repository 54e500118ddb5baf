"""Exchanging the model of a running detector: no image is lost, and no array mixes the boxes of two models."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from detecting import Detecting, names
from edgecam_core.inference.runner import Progress
from edgecam_core.models import opening
from edgecam_core.models.store import ModelStore
from edgecam_core.side_process import SideProcess
from edgecam_ros.conversions import ns_from_stamp
from edgecam_ros.qos import latched_qos
from full_disk import read_only
from onnx import helper, numpy_helper
from rcl_interfaces.srv import GetParameters
from ros_peer import Peer
from std_srvs.srv import Trigger
from tiny_models import color_detector, quadrants
from vision_msgs.msg import LabelInfo, VisionInfo
from waiting import DISCOVERY, wait_until

OLD, NEW = {"red", "green", "blue"}, {"rot", "gruen", "blau"}
LONG = 2 * DISCOVERY


def labelled(path: Path, labels: list[str], size: int = 8) -> Path:
    return color_detector(path, size=size, metadata={"labels": json.dumps(["BACKGROUND", *labels])})


def shrunk(path: Path) -> Path:
    """The model with only its first two colours, as 'rot' and 'gruen'."""
    proto = onnx.load(str(labelled(path, ["rot", "gruen"])))
    for node in proto.graph.node:
        node.output[:] = ["all" if name == "scores" else name for name in node.output]
    proto.graph.initializer.append(numpy_helper.from_array(np.arange(3), "columns"))
    proto.graph.node.append(helper.make_node("Gather", ["all", "columns"], ["scores"], axis=2))
    proto.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 3
    onnx.save(proto, str(path))
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """A store whose model 'colours' has two versions, the first one deployed."""
    monkeypatch.setenv("EDGECAM_MODELS", str(tmp_path / "store"))
    store = ModelStore()
    store.add(labelled(tmp_path / "old.onnx", ["red", "green", "blue"]), "colours")
    store.deploy("colours")
    store.add(labelled(tmp_path / "new.onnx", ["rot", "gruen", "blau"]), "colours")
    return store


@pytest.fixture
def subject(peer: Peer, store: ModelStore) -> Iterator[Detecting]:
    one = Detecting(peer, Path("store:colours"), max_slowdown=0.0)
    yield one
    one.close()


class Load:
    """Sends images until stopped, each after the result of the previous one."""

    def __init__(self, subject: Detecting) -> None:
        self._subject = subject
        self._stop = threading.Event()
        self.sent: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for stamp in itertools.count(1_800_000_000_000_000_000):
            if self._stop.is_set():
                return
            self.sent.append(stamp)
            self._subject.send(quadrants(32, 32), stamp)
            for _ in range(2000):
                arrays = self._subject.arrays
                if self._stop.wait(0.005) or (arrays and ns_from_stamp(arrays[-1].header.stamp) == stamp):
                    break

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def test_a_deployment_takes_over_under_load_and_is_rolled_back(
    peer: Peer, store: ModelStore, subject: Detecting
) -> None:
    labels = peer.collect(LabelInfo, "/camera/label_info", latched_qos())
    vision = peer.collect(VisionInfo, "/camera/vision_info", latched_qos())
    assert names(subject.answer(quadrants(32, 32))) == OLD
    load = Load(subject)
    try:
        wait_until(lambda: len(load.sent) > 10, LONG, "the load")
        store.deploy("colours")  # by any process: the node follows the link
        wait_until(lambda: names(subject.arrays[-1]) == NEW, LONG, "the new model")
        answer = peer.call(Trigger, "/camera/detector/rollback", Trigger.Request(), LONG)
        assert answer.success, answer.message
        wait_until(lambda: names(subject.arrays[-1]) == OLD, LONG, "the old model")
    finally:
        load.stop()
    found = [names(array) for array in subject.arrays]
    assert all(one in (OLD, NEW) for one in found)  # no array mixes two models
    changes = [(before, after) for before, after in itertools.pairwise(found) if before != after]
    assert changes == [(OLD, NEW), (NEW, OLD)]
    answered = {ns_from_stamp(array.header.stamp) for array in subject.arrays}
    lost = [stamp for stamp in load.sent[5:-1] if stamp not in answered]
    assert len(lost) <= 2  # at most one at each of the two exchanges
    wait_until(lambda: len(labels) >= 3 and len(vision) >= 3, LONG, "both latched topics")
    maps = [{one.class_name for one in message.class_map} for message in labels]
    assert maps[-3:] == [OLD, NEW, OLD]
    versions = [message.database_version for message in vision]
    assert versions == sorted(versions)
    assert versions[-1] == 3
    request = GetParameters.Request(names=["class_names"])
    reported = peer.call(GetParameters, "/camera/detector/get_parameters", request).values[0].string_array_value
    assert set(reported) >= OLD
    assert "follows the model" in subject.set(class_names=["x"])


def load(peer: Peer, service: str = "load_model") -> tuple[bool, str]:
    """Call the service; repeat the call while the node is busy following the store."""
    answer = peer.call(Trigger, f"/camera/detector/{service}", Trigger.Request(), LONG)
    while answer.message.startswith("another model"):
        answer = peer.call(Trigger, f"/camera/detector/{service}", Trigger.Request(), LONG)
    return answer.success, answer.message


@pytest.mark.parametrize("swapped", ["text", "another model"])
def test_a_file_that_was_swapped_on_disk_is_neither_loaded_nor_rolled_back_to(
    peer: Peer, store: ModelStore, subject: Detecting, swapped: str
) -> None:
    assert names(subject.answer(quadrants(32, 32))) == OLD
    first, second = store.versions("colours")
    good = second.path.read_bytes()
    store.deploy("colours")
    second.path.write_bytes(b"swapped on disk" if swapped == "text" else first.path.read_bytes())
    loaded, message = load(peer)
    assert not loaded
    assert "the current model stays" in message
    assert ("SHA-256" if swapped == "another model" else "not an ONNX file") in message
    assert names(subject.answer(quadrants(32, 32))) == OLD
    second.path.write_bytes(good)
    assert load(peer)[0]
    assert names(subject.answer(quadrants(32, 32))) == NEW
    first.path.write_bytes(b"swapped on disk" if swapped == "text" else good)
    back, message = load(peer, "rollback")
    assert not back
    assert ("SHA-256" if swapped == "another model" else "not an ONNX file") in message
    assert store.version("colours").number == 2
    assert names(subject.answer(quadrants(32, 32))) == NEW


def test_a_build_whose_process_dies_leaves_the_old_model_in_place(
    peer: Peer, store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(SideProcess):
        def result(self, progress: Progress) -> Any:
            os.kill(self.pid, signal.SIGKILL)  # as when the memory is short
            return super().result(progress)

    subject = Detecting(
        peer, Path("store:colours"), max_slowdown=0.0, precision="fp16", engine_cache=str(tmp_path / "e")
    )
    try:
        assert names(subject.answer(quadrants(32, 32))) == OLD
        with monkeypatch.context() as patch:
            patch.setattr(opening, "SideProcess", Killed)
            store.deploy("colours")
            loaded, message = load(peer)
            assert not loaded
            assert message == ("the current model stays: the process for building a model ended with signal SIGKILL")
            assert names(subject.answer(quadrants(32, 32))) == OLD
        loaded, message = load(peer)
        assert loaded, message
        assert names(subject.answer(quadrants(32, 32))) == NEW
    finally:
        subject.close()


def test_a_model_with_fewer_classes_takes_over_with_its_labels(
    peer: Peer, store: ModelStore, subject: Detecting, tmp_path: Path
) -> None:
    labels = peer.collect(LabelInfo, "/camera/label_info", latched_qos())
    assert names(subject.answer(quadrants(32, 32))) == OLD
    store.add(shrunk(tmp_path / "small.onnx"), "colours")
    store.deploy("colours")
    assert load(peer)[0]
    assert names(subject.answer(quadrants(32, 32))) == {"rot", "gruen"}
    wait_until(lambda: {one.class_name for one in labels[-1].class_map} == {"rot", "gruen"}, LONG, "label_info")


def test_a_model_without_a_requested_class_leaves_the_old_one_in_place(
    peer: Peer, store: ModelStore, tmp_path: Path
) -> None:
    store.add(shrunk(tmp_path / "small.onnx"), "colours")
    subject = Detecting(peer, Path("store:colours"), max_slowdown=0.0, classes=["blue"])
    try:
        assert names(subject.answer(quadrants(32, 32))) == {"blue"}
        store.deploy("colours", 3)
        loaded, message = load(peer)
        assert not loaded
        assert "'classes'" in message
        assert "no such class; it has" in message
        assert names(subject.answer(quadrants(32, 32))) == {"blue"}
    finally:
        subject.close()


def test_a_model_that_is_too_slow_leaves_the_old_one_in_place(peer: Peer, store: ModelStore, tmp_path: Path) -> None:
    store.add(labelled(tmp_path / "slow.onnx", ["rot", "gruen", "blau"], size=1024), "colours")
    subject = Detecting(peer, Path("store:colours"), max_slowdown=1.01)
    load = Load(subject)
    try:
        wait_until(lambda: len(subject.arrays) > 5, LONG, "detections of the old model")
        store.deploy("colours", 3)
        wait_until(lambda: "max_slowdown" in subject.node._models.swap.state, LONG, "the refusal")
        seen = len(subject.arrays)
        wait_until(lambda: len(subject.arrays) > seen + 3, LONG, "detections after the refusal")
    finally:
        load.stop()
        subject.close()
    assert all(names(array) == OLD for array in subject.arrays)


def test_a_read_only_store_refuses_a_rollback_and_leaves_the_detector_alone(
    peer: Peer, store: ModelStore, subject: Detecting
) -> None:
    store.deploy("colours")
    wait_until(lambda: names(subject.answer(quadrants(32, 32))) == NEW, LONG, "the new model")
    load = Load(subject)
    try:
        with read_only(store.root):
            answer = peer.call(Trigger, "/camera/detector/rollback", Trigger.Request(), LONG)
            assert not answer.success
            assert answer.message.startswith(f"cannot write {store.root / 'colours'}: "), answer.message
            assert answer.message.endswith("; make it writable"), answer.message
            seen = len(subject.arrays)
            wait_until(lambda: len(subject.arrays) > seen + 3, LONG, "detections after the refusal")
            assert all(names(array) == NEW for array in subject.arrays[seen:])
        answer = peer.call(Trigger, "/camera/detector/rollback", Trigger.Request(), LONG)
        assert answer.success, answer.message
        wait_until(lambda: names(subject.arrays[-1]) == OLD, LONG, "the old model")
    finally:
        load.stop()


def test_a_model_from_outside_the_store_cannot_be_rolled_back(peer: Peer, tmp_path: Path) -> None:
    subject = Detecting(peer, color_detector(tmp_path / "m.onnx"), max_slowdown=0.0)
    try:
        answer = peer.call(Trigger, "/camera/detector/rollback", Trigger.Request(), LONG)
        assert not answer.success
        assert "store:NAME" in answer.message
        again = peer.call(Trigger, "/camera/detector/load_model", Trigger.Request(), LONG)
        assert again.success or "waited" in again.message
    finally:
        subject.close()
