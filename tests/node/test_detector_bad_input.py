"""A detector node with unusable models and images: it keeps running, reports the reason and recovers."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
from cv_bridge import CvBridge
from detecting import SENT, STAMP, Detecting, names
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from edgecam_core.errors import InferenceError
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_core.types import Frame
from edgecam_ros.conversions import image_to_ros
from ros_peer import Peer
from sensor_msgs.msg import Image
from tiny_models import color_detector, quadrants
from waiting import wait_until

ALL = {"red", "green", "blue"}


def truncated(path: Path) -> dict[str, Any]:
    path.write_bytes(color_detector(path).read_bytes()[:100])
    return {}


def text(path: Path) -> dict[str, Any]:
    path.write_text("not a model")
    return {}


def unknown_operator(path: Path) -> dict[str, Any]:
    path.write_bytes(color_detector(path).read_bytes().replace(b"AveragePool", b"AveragePoop"))
    return {}


def wrong_labels(path: Path) -> dict[str, Any]:
    color_detector(path)
    (path.parent / "short.txt").write_text("one\n")
    return {"labels": str(path.parent / "short.txt")}


def unknown_class(path: Path) -> dict[str, Any]:
    color_detector(path)
    return {"classes": ["purple"]}


def no_gpu(path: Path) -> dict[str, Any]:
    if find_gpu() is not None:
        pytest.skip("there is a GPU here")
    color_detector(path)
    return {"backend": "tensorrt"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "is not an ONNX file, or it is truncated"),
        (text, "is not an ONNX file, or it is truncated"),
        (unknown_operator, "AveragePoop"),
        (wrong_labels, "has 1 labels, but the model has 3 classes"),
        (unknown_class, "the model has no such class"),
        (no_gpu, "TensorRT needs an NVIDIA GPU"),
    ],
)
def test_without_a_model_the_node_keeps_running_and_reports_the_reason(
    peer: Peer, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    spoil: Callable[[Path], dict[str, Any]], message: str,
) -> None:  # fmt: skip
    statuses: list[DiagnosticArray] = peer.collect(DiagnosticArray, "/diagnostics")
    subject = Detecting(peer, tmp_path / "m.onnx", loads=False, **spoil(tmp_path / "m.onnx"))

    def reported() -> DiagnosticStatus | None:
        subject.send(quadrants(64, 48))
        for array in statuses:
            for status in array.status:
                if message in status.message and any(item.key == "dropped without a model" for item in status.values):
                    return status
        return None

    try:
        status = wait_until(reported, what="the reason in /diagnostics", every=SENT)
        assert status.level == DiagnosticStatus.ERROR
        assert subject.set(confidence_threshold=0.4) == ""
        assert subject.node.state_label() == "active"
    finally:
        subject.close()
    assert len([line for line in capfd.readouterr().err.splitlines() if message in line]) == 1


def test_every_configure_transition_reports_the_reason(
    peer: Peer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.onnx"
    subject = Detecting(peer, model, loads=False, **text(model))
    try:
        wait_until(subject.refusal, what="the refusal")
        subject.cycle_lifecycle()
        wait_until(subject.refusal, what="the second refusal")
    finally:
        subject.close()
    assert len([line for line in capfd.readouterr().err.splitlines() if "not an ONNX file" in line]) == 2


def test_a_repaired_model_is_loaded(peer: Peer, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    subject = Detecting(peer, model, loads=False, **text(model))
    try:
        wait_until(subject.refusal, what="the refusal")
        color_detector(model)
        subject.cycle_lifecycle()  # it also retries automatically, but only every ten seconds
        assert names(subject.answer(quadrants(64, 48))) == ALL
    finally:
        subject.close()


def test_a_signal_ends_a_node_without_a_model_cleanly(tmp_path: Path) -> None:
    text(tmp_path / "m.onnx")
    command = [sys.executable, "-m", "edgecam_detector.node", "--ros-args", "-p", f"model:={tmp_path / 'm.onnx'}"]
    with forked.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "not an ONNX file" in process.stderr.readline()
        process.terminate()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.fixture(scope="module")
def detecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Detecting]:
    peer = Peer("bad_images_peer")
    subject = Detecting(peer, color_detector(tmp_path_factory.mktemp("model") / "m.onnx"))
    yield subject
    subject.close()
    peer.close()


def message(pixels: np.ndarray, true_encoding: str, **damage: Any) -> Image:
    """An image message with some invalid fields."""
    found = image_to_ros(Frame.from_array(pixels, true_encoding, STAMP, "odd"))
    for name, value in damage.items():
        setattr(found, name, value)
    return found


def frame_ids(detecting: Detecting, seen: int) -> set[str]:
    """The frame ids of the results since then; results of valid images may be late or repeated."""
    return {array.header.frame_id for array in detecting.arrays[seen:]}


GOOD = quadrants(64, 48)
REFUSED = {
    "no pixels": message(GOOD, "bgr8", width=0, height=0),
    "fancy12": message(GOOD, "bgr8", encoding="fancy12"),
    "step 3 is too short": message(GOOD, "bgr8", step=3),
    "4000 bgr8": message(GOOD, "bgr8", height=4000),
    "needs an even size": message(GOOD, "bgr8", encoding="nv12", height=47),
    "needs 9216 bytes, got 0": message(GOOD, "bgr8", data=b""),
    "40000x1 image is too large": message(np.zeros((1, 40_000), np.uint8), "mono8"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_bad_image_is_counted_and_the_next_works(detecting: Detecting, reason: str) -> None:
    statuses = detecting.peer.collect(DiagnosticArray, "/diagnostics")
    seen = len(detecting.arrays)

    def reported() -> bool:
        detecting.images.publish(REFUSED[reason])
        return any(reason in status.message for array in statuses for status in array.status)

    wait_until(reported, what="the reason in /diagnostics", every=SENT)
    assert "odd" not in frame_ids(detecting, seen)
    assert names(detecting.answer(GOOD)) == ALL


@pytest.mark.parametrize(
    "image",
    [
        message(np.full((1, 1, 3), 255, np.uint8), "bgr8"),
        message(np.full((48, 64), 65535, np.uint16), "mono16"),
        message(np.zeros((10, 10), np.uint8), "mono8", width=7),  # three bytes of padding in every row
        message(np.zeros((72, 64), np.uint8), "nv12"),
    ],
    ids=["1x1", "16 bit", "padded", "nv12"],
)
def test_an_unusual_image_gets_detections(detecting: Detecting, image: Image) -> None:
    seen = len(detecting.arrays)

    def answered() -> bool:
        detecting.images.publish(image)
        return "odd" in frame_ids(detecting, seen)

    wait_until(answered, what="detections", every=SENT)
    assert names(detecting.answer(GOOD)) == ALL


def test_a_hundred_megapixel_image_gets_detections(detecting: Detecting) -> None:
    seen = len(detecting.arrays)
    detecting.node._on_local_frame("", Frame.from_array(np.zeros((10_000, 10_000), np.uint8), "mono8", STAMP, "odd"))
    wait_until(lambda: "odd" in frame_ids(detecting, seen), what="detections")
    assert names(detecting.answer(GOOD)) == ALL


def test_the_node_survives_garbage_in_every_field(detecting: Detecting) -> None:
    chance = random.Random(5)
    for _ in range(300):
        damaged = Image(
            height=chance.choice((0, 1, 47, 48, 2**16, 2**32 - 1)),
            width=chance.choice((0, 1, 63, 64, 2**16, 2**32 - 1)),
            step=chance.choice((0, 1, 191, 192, 2**32 - 1)),
            encoding=chance.choice(("bgr8", "nv12", "mono16", "bayer_rggb8", "yuv422", "32FC1", "8UC3", "", "\u00e4")),
            is_bigendian=chance.choice((0, 1, 255)),
            data=bytes(chance.choice((0, 1, 192 * 48))),
        )
        detecting.node._on_image("", damaged)  # as received from DDS
    assert names(detecting.answer(GOOD)) == ALL
    assert detecting.node.failure is None


@pytest.mark.parametrize("error", [ImportError("libtbb.so.12"), AttributeError("newbyteorder")])
def test_a_broken_cv_bridge_loses_only_its_images(
    detecting: Detecting, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(CvBridge, "imgmsg_to_cv2", broken)  # as the original with another version of NumPy or OpenCV
    statuses = detecting.peer.collect(DiagnosticArray, "/diagnostics")

    def reported() -> bool:
        detecting.images.publish(message(GOOD, "bgr8", encoding="rgb16"))
        return any(f"cannot be converted: {error}" in status.message for array in statuses for status in array.status)

    wait_until(reported, what="the reason in /diagnostics", every=SENT)
    assert names(detecting.answer(GOOD)) == ALL


def test_a_model_that_fails_is_counted_and_the_next_image_works(
    detecting: Detecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = detecting.peer.collect(DiagnosticArray, "/diagnostics")
    runner = detecting.node._worker.detector.runner

    def out_of_memory(_feed: object) -> dict[str, np.ndarray]:
        raise InferenceError("CUDA failed: cuMemAlloc failed: out of memory")

    def nan(feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array * np.nan for name, array in type(runner)._infer(runner, feed).items()}

    for fails, reason in ((out_of_memory, "out of memory"), (nan, "not numbers (NaN")):
        with monkeypatch.context() as patched:
            patched.setattr(runner, "_infer", fails)

            def reported(reason: str = reason) -> bool:
                detecting.send(GOOD)
                return any(reason in status.message for array in statuses for status in array.status)

            wait_until(reported, what="the reason in /diagnostics", every=SENT)
        assert names(detecting.answer(GOOD)) == ALL
