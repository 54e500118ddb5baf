from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import ImageError, InferenceError, MissingDependency, ModelError, SettingError
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.types import Detections, Frame
from tiny_models import color_detector, quadrants


def detector(path: Path, **settings: object) -> Detector:
    return Detector.open(DetectorSettings(model=str(path), backend="onnxruntime", threads=1, **settings))  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return color_detector(tmp_path / "colors.onnx")


def by_label(found: Detections) -> dict[str, tuple[float, ...]]:
    return {item.label: item.box for item in found}


@pytest.mark.parametrize(("width", "height"), [(8, 8), (640, 480), (641, 333), (64, 1000), (2, 2)])
def test_boxes_are_in_source_pixels(model: Path, width: int, height: int) -> None:
    found = by_label(detector(model).detect(quadrants(width, height)))
    assert set(found) == {"red", "green", "blue"}
    assert found["red"] == pytest.approx((0, 0, width / 2, height / 2))
    assert found["green"] == pytest.approx((width / 2, 0, width, height / 2))
    assert found["blue"] == pytest.approx((0, height / 2, width / 2, height))


def test_best_score_comes_first(model: Path) -> None:
    image = quadrants(64, 64) // 255 * np.array([230, 170, 250], np.uint8)  # blue, green, red
    found = list(detector(model).detect(image))
    assert [item.label for item in found] == ["red", "blue", "green"]
    assert [item.score for item in found] == pytest.approx([250 / 255, 230 / 255, 170 / 255], abs=0.01)


ENCODED = {
    "rgb8": lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),
    "bgra8": lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2BGRA),
    "rgba8": lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2RGBA),
    "yuv422_yuy2": lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_YUY2),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_every_encoding_gives_the_same_detections(model: Path, encoding: str) -> None:
    bgr = quadrants(64, 48)
    found = detector(model).detect(Frame.from_array(ENCODED[encoding](bgr), encoding))
    assert by_label(found) == by_label(detector(model).detect(bgr))


@pytest.mark.parametrize("encoding", ["nv12", "nv21"])
def test_two_plane_images(model: Path, encoding: str) -> None:
    i420 = cv2.cvtColor(quadrants(64, 48), cv2.COLOR_BGR2YUV_I420)
    u, v = i420[48:60].reshape(-1), i420[60:].reshape(-1)
    chroma = np.stack([u, v] if encoding == "nv12" else [v, u], axis=-1).reshape(24, 64)
    found = detector(model, confidence_threshold=0.8).detect(Frame.from_array(np.vstack([i420[:48], chroma]), encoding))
    assert set(by_label(found)) == {"red", "green", "blue"}


def test_padded_rows_are_skipped(model: Path) -> None:
    padded = np.full((48, 64 * 3 + 40), 255, np.uint8)
    padded[:, : 64 * 3] = quadrants(64, 48).reshape(48, -1)
    found = detector(model).detect(Frame(64, 48, "bgr8", padded.shape[1], padded.reshape(-1)))
    assert set(by_label(found)) == {"red", "green", "blue"}
    assert len(found) == 3


def test_sixteen_bit_grey(model: Path) -> None:
    grey = np.zeros((40, 40), np.uint16)
    grey[:20, :20] = 65535
    found = detector(model, confidence_threshold=0.9).detect(Frame.from_array(grey, "mono16"))
    assert [item.box for item in found] == [(0, 0, 20, 20)] * 3


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (10_000, 10_000)])
def test_odd_sizes_do_no_harm(model: Path, width: int, height: int) -> None:
    white = Frame.from_array(np.full((height, width), 255, np.uint8), "mono8")
    found = detector(model).detect(white)
    assert len(found) == 12
    assert found.boxes[:, 2].max() <= width
    assert found.boxes[:, 3].max() <= height


def test_a_side_beyond_the_limit_is_refused(model: Path) -> None:
    with pytest.raises(ImageError, match="40000x1 image is too large; the limit is 32766"):
        detector(model).detect(Frame.from_array(np.zeros((1, 40_000), np.uint8), "mono8"))


def test_nothing_found_is_empty(model: Path) -> None:
    found = detector(model).detect(np.zeros((48, 64, 3), np.uint8))
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_thresholds_and_classes_change_while_running(model: Path) -> None:
    subject = detector(model)
    settings = DetectorSettings(model=str(model))
    image = quadrants(64, 48) // 255 * np.array([100, 200, 250], np.uint8)
    assert set(by_label(subject.detect(image))) == {"green", "red"}
    subject.update(settings.changed(confidence_threshold=0.3))
    assert set(by_label(subject.detect(image))) == {"green", "red", "blue"}
    subject.update(settings.changed(classes=("Red", "3"), confidence_threshold=0.3))
    assert set(by_label(subject.detect(image))) == {"red", "blue"}
    subject.update(settings.changed(max_detections=1))
    assert set(by_label(subject.detect(image))) == {"red"}


def test_an_unknown_class_is_refused_and_changes_nothing(model: Path) -> None:
    subject = detector(model)
    with pytest.raises(SettingError, match=r"'classes' is 'gren': .* 'green'"):
        subject.update(DetectorSettings(classes=("gren",)))
    assert len(subject.detect(quadrants(64, 48))) == 3


def test_a_batch_is_one_call(tmp_path: Path) -> None:
    subject = detector(color_detector(tmp_path / "any.onnx", batch=2))
    images = [quadrants(64, 48), quadrants(32, 16), np.zeros((8, 8, 3), np.uint8)]
    found = subject.detect_batch(images)
    assert subject.max_batch == 2
    assert [len(item) for item in found] == [3, 3, 0]
    assert by_label(found[1])["red"] == (0, 0, 16, 8)


def test_scores_that_are_not_numbers_are_an_error(tmp_path: Path) -> None:
    subject = detector(color_detector(tmp_path / "nan.onnx", nan=True))
    with pytest.raises(InferenceError, match="not numbers"):
        subject.detect(quadrants(64, 48))


def test_labels_with_or_without_background(model: Path, tmp_path: Path) -> None:
    for text in ("BACKGROUND\nr\ng\nb\n", "r\ng\nb\n\n"):
        (tmp_path / "l.txt").write_text(text)
        subject = detector(model, labels=str(tmp_path / "l.txt"))
        assert set(by_label(subject.detect(quadrants(64, 48)))) == {"r", "g", "b"}
    assert subject.classes() == [(1, "r"), (2, "g"), (3, "b")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r\ng\n", "has 2 labels, but the model has 3 classes; use a file with 3 labels, or 4 with BACKGROUND first"),
        (
            "BACKGROUND\nr\ng\n",
            "has 3 labels, but the model has 3 classes; use a file with 3 labels, or 4 with BACKGROUND first",
        ),
        ("a\nr\ng\nb\n", "put BACKGROUND first"),
        ("\n \n", "holds no label"),
    ],
)
def test_a_wrong_label_count_is_refused(model: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(SettingError, match=message):
        detector(model, labels=str(tmp_path / "l.txt"))


def test_labels_next_to_the_model_are_found(tmp_path: Path) -> None:
    path = color_detector(tmp_path / "m.onnx", metadata={"labels": None})
    assert detector(path).labels == ("BACKGROUND", "class 1", "class 2", "class 3")
    (tmp_path / "labels.txt").write_text("BACKGROUND\nx\ny\nz\n")
    assert detector(path).labels == ("BACKGROUND", "x", "y", "z")


def test_a_missing_model_names_the_parameter() -> None:
    with pytest.raises(ModelError, match=r"'model' is '/nowhere/m.onnx': there is no such file; .*ssd_mobile"):
        Detector.open(DetectorSettings(model="/nowhere/m.onnx"))


def test_a_bgr_model_gets_bgr(tmp_path: Path) -> None:
    path = color_detector(tmp_path / "m.onnx", metadata={"color": "bgr"})
    found = by_label(detector(path).detect(quadrants(8, 8)))
    assert found["blue"] == (0, 0, 4, 4)  # its third channel is red then


def test_a_letterbox_model_sees_the_aspect_ratio(tmp_path: Path) -> None:
    path = color_detector(tmp_path / "m.onnx", size=16, metadata={"fit": "letterbox"})
    # 64x16 becomes 16x4 with bars of 6 rows; the parts of the cells' boxes in the bars are clipped.
    full = np.full((16, 64, 3), 255, np.uint8)
    subject = detector(path, confidence_threshold=0.4)
    assert subject.detect(full).boxes[0].tolist() == [0, 0, 32, 8]


def test_a_free_batch_size_is_used(tmp_path: Path) -> None:
    subject = detector(color_detector(tmp_path / "any.onnx", batch=None), max_batch=3)
    assert subject.max_batch == 3
    found = subject.detect_batch([quadrants(64, 48)] * 7)
    assert [set(by_label(item)) for item in found] == [{"red", "green", "blue"}] * 7


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_several_threads_detect_at_a_time(model: Path, backend: str) -> None:
    try:
        subject = Detector.open(DetectorSettings(model=str(model), backend=backend, threads=2), streams=2)
    except MissingDependency as error:
        pytest.skip(str(error))
    assert subject.streams == 2
    images = [np.roll(quadrants(64, 48), shift, axis=1) for shift in range(64)]
    expected = [subject.detect(image).scores for image in images]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            got = [found.scores for found in pool.map(subject.detect, images)]
            assert all(np.array_equal(one, other) for one, other in zip(got, expected, strict=True))


def test_tracking_takes_one_image_after_the_other(model: Path) -> None:
    assert Detector.open(DetectorSettings(model=str(model), backend="onnxruntime", track=True), streams=2).streams == 1


def test_thresholds_of_single_classes(model: Path) -> None:
    subject = detector(model, class_thresholds=("red=0.2", "Green = 0.9"))
    image = quadrants(64, 48) // 255 * np.array([150, 200, 100], np.uint8)  # blue, green, red
    assert set(by_label(subject.detect(image))) == {"red", "blue"}


def test_regions_keep_objects_with_their_centre_inside(model: Path) -> None:
    subject = detector(model, regions=("0,0 1,0 1,0.5 0,0.5",))
    assert set(by_label(subject.detect(quadrants(640, 480)))) == {"red", "green"}
    settings = DetectorSettings(regions=("front: 0,0 0.5,0 0.5,1", "rear: 0.5,0.1 1,0.1 1,0.5"))
    subject.update(settings)
    found = subject.detect_batch([quadrants(640, 480)] * 3, ["front", "rear", "side"])
    assert [set(by_label(item)) for item in found] == [{"red"}, {"green"}, {"red", "green", "blue"}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_thresholds": ("red",)}, "must be like 'person=0.7'"),
        ({"class_thresholds": ("red=2",)}, "must be like 'person=0.7'"),
        ({"class_thresholds": ("pink=0.5",)}, "no such class"),
        ({"class_thresholds": ("background=0.5",)}, "it has 1 to 3 as numbers"),
        ({"classes": ("BACKGROUND",)}, "it has 1 to 3 as numbers"),
        ({"classes": ("0",)}, "it has 1 to 3 as numbers"),
        ({"regions": ("0,0 1,1",)}, "must be three or more points"),
        ({"regions": ("0,0 1,1 300,200",)}, "fractions of the image"),
        ({"regions": ("0,0 1,1 nan,0",)}, "fractions of the image"),
        ({"regions": ("0,0 1 1,0",)}, "must be three or more points"),
        ({"regions": ("",)}, "must be three or more points"),
    ],
)
def test_impossible_selections_are_refused(model: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        detector(model, **settings)


def test_tracking_keeps_the_id_through_a_drop_in_score(model: Path) -> None:
    subject = detector(model, track=True)
    dim = quadrants(64, 48) // 255 * np.array([90, 255, 255], np.uint8)  # blue falls to 0.35
    answers = []
    for number, pixels in enumerate([quadrants(64, 48), dim, np.zeros((48, 64, 3), np.uint8), dim, quadrants(64, 48)]):
        frame = Frame.from_array(pixels, "bgr8", (number + 1) * 33_000_000)
        answers.append({item.label: item.track_id for item in subject.detect(frame)})
    assert sorted(answers[0].values()) == ["1", "2", "3"]
    assert answers[1] == answers[0] == answers[3] == answers[4]
    assert answers[2] == {}
    other = subject.detect_batch([dim], ["another camera"])[0]
    assert sorted(item.label for item in other) == ["green", "red"]
