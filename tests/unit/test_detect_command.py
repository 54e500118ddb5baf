"""``edgecam detect``: annotated images and videos, results as JSON and CSV, errors in one line."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from blind_detector import blind_detector
from clips import make_clip
from edgecam_core.cli.detect import summary
from edgecam_core.cli.main import main
from edgecam_core.images import annotate
from edgecam_core.images.inputs import InputImage, expand
from edgecam_core.types import Detections, Frame
from tiny_models import color_detector, image_folder, quadrants


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(color_detector(tmp_path / "m.onnx"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "in")


def detect(*arguments: object) -> int:
    return main(["detect", *map(str, arguments), "--backend", "onnxruntime", "--threads", "1"])


def test_a_folder_becomes_annotated_images_and_results(
    model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code = detect(
        folder, "--model", model, "--output", f"{out}/%i.png",
        "--json", out / "d.json", "--coco", out / "coco.json", "--csv", out / "d.csv",
    )  # fmt: skip
    assert code == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["0.png", "1.png", "2.png"]
    drawn = cv2.imread(str(out / "1.png"))
    assert drawn.shape == (80, 100, 3)
    assert (drawn != quadrants(100, 80)).any()
    reported = json.loads((out / "d.json").read_text())
    assert [(one["width"], one["height"], len(one["detections"])) for one in reported] == [
        (64, 48, 3),
        (100, 80, 3),
        (33, 33, 3),
    ]
    red = next(item for item in reported[1]["detections"] if item["label"] == "red")
    assert red["box"] == [0, 0, 50, 40]
    coco = json.loads((out / "coco.json").read_text())
    assert {row["image_id"] for row in coco} == {0, 1, 2}
    assert {"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 40], "score": 1.0} in coco
    rows = list(csv.DictReader((out / "d.csv").open()))
    assert len(rows) == 9
    assert rows[0]["file"].endswith("000000000000.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("000000000000.png: red 1.00, green 1.00, blue 1.00")
    assert lines[-1].startswith("3 images, ")
    assert "per second" in lines[-1]


def test_images_of_the_same_name_are_all_kept(model: str, folder: Path, tmp_path: Path) -> None:
    (folder / "below").mkdir()
    cv2.imwrite(str(folder / "below" / f"{1:012d}.png"), quadrants(20, 20))
    assert detect(folder, "--model", model, "--output", tmp_path / "out") == 0
    names = [f"{number:012d}" for number in range(3)]
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == [*names[:2], f"{names[1]}_2", names[2]]


def test_an_input_is_not_overwritten(
    model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [path.read_bytes() for path in sorted(folder.iterdir())]
    assert detect(folder, "--model", model, "--output", f"{folder}/{{name}}.png", "--json", tmp_path / "d.json") == 2
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == before
    (folder / "clip.mp4").write_bytes(b"a clip")
    assert detect(folder / "clip.mp4", "--model", model, "--output", folder / "clip.mp4") == 2
    assert (folder / "clip.mp4").read_bytes() == b"a clip"


def test_results_are_kept_if_annotating_fails(
    model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, result = tmp_path / "out", tmp_path / "d.json"
    (out / "1.png").mkdir(parents=True)  # blocks the file of the second image
    assert detect(folder, "--model", model, "--output", f"{out}/%i.png", "--json", result) == 1
    assert "cannot write" in capsys.readouterr().err
    assert len(json.loads(result.read_text())) == 2


def test_a_bad_image_is_reported_and_the_rest_is_processed(
    model: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "0.jpg").write_bytes(b"no image")
    assert detect(folder, "--model", model, "--json", tmp_path / "d.json") == 1
    reported = capsys.readouterr()
    assert "0.jpg: cannot be read as an image" in reported.err
    assert "1 could not be used" in reported.out
    assert len(json.loads((tmp_path / "d.json").read_text())) == 3


def test_half_a_jpeg_is_an_error_and_a_rotated_one_is_turned_upright(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    whole = cv2.imencode(".jpg", quadrants(64, 48))[1].tobytes()
    exif = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    (folder / "a.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "b.jpg").write_bytes(whole[:2] + exif + whole[2:] + b"a clip")
    assert detect(folder, "--model", model, "--json", tmp_path / "d.json") == 1
    reported = capsys.readouterr()
    assert "a.jpg: is truncated" in reported.err
    assert "1 could not be used" in reported.out
    (one,) = json.loads((tmp_path / "d.json").read_text())
    assert (one["width"], one["height"]) == (48, 64)
    assert {item["label"]: item["box"] for item in one["detections"]}["red"] == [24, 0, 48, 32]


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "h264"), ("a.avi", "jpeg"), ("a.mp4", "h264")])
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_video_cut_short_is_an_error_after_what_can_be_read(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, codec: str, share: float
) -> None:
    whole = make_clip(tmp_path / name, frames=30, rate=10, codec=codec)
    assert detect(whole, "--model", model, "--json", tmp_path / "whole.json") == 0
    data = whole.read_bytes()
    length = int(share * len(data))
    whole.write_bytes(data[:length])
    assert detect(whole, "--model", model, "--json", tmp_path / "d.json") == 1
    output = capsys.readouterr()
    assert re.search(f"{name}: (is truncated|cannot be read as a video).*last [0-9]+ bytes are missing", output.err)
    assert "1 could not be used" in output.out
    if name != "a.mp4":  # the index at its end is missing
        assert 5 < len(json.loads((tmp_path / "d.json").read_text())) <= 30


def test_a_video_in_and_out(model: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for _ in range(5):
        writer.write(quadrants(64, 48))
    writer.release()
    seen = tmp_path / "new" / "seen.mp4"
    assert detect(clip, "--model", model, "--output", seen, "--csv", tmp_path / "d.csv", "--limit", "4") == 0
    assert int(cv2.VideoCapture(str(seen)).get(cv2.CAP_PROP_FRAME_COUNT)) == 4
    files = {row["file"] for row in csv.DictReader((tmp_path / "d.csv").open())}
    assert files == {f"{clip}#{number}" for number in range(1, 5)}


def clip(path: Path, rate: float, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (64, 48))
    for number in range(count):
        writer.write(np.full((48, 64, 3), 5 * number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("rate", [10, 25, 29.97, 60])
def test_an_annotated_video_has_the_rate_of_its_original(model: str, tmp_path: Path, rate: float) -> None:
    seen = tmp_path / "seen.mp4"
    assert detect(clip(tmp_path / "clip.mp4", rate, 20), "--model", model, "--output", seen, "--quiet") == 0
    video = cv2.VideoCapture(str(seen))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=1e-3)
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 20


def written(path: Path, stamps_ms: list[int], rate: float) -> list[int]:
    """The numbers of the source frames in a video, frame by frame."""
    nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ())
    writer = annotate.writer(str(path))
    for number, stamp in enumerate(stamps_ms):
        frame = Frame.from_array(np.full((48, 64, 3), 40 * number, np.uint8), "bgr8", stamp * 1_000_000)
        writer.write(InputImage(str(number), "x", frame, rate=rate), nothing)
    writer.close()
    video, shown = cv2.VideoCapture(str(path)), []
    while (frame := video.read())[0]:
        shown.append(round(float(frame[1].mean()) / 40))
    return shown


def test_unevenly_spaced_frames_keep_their_time(tmp_path: Path) -> None:
    assert written(tmp_path / "a.mp4", [100, 200, 300, 400], 10) == [0, 1, 2, 3]
    assert written(tmp_path / "b.mp4", [0, 33, 67, 100, 133], 30) == [0, 1, 2, 3, 4]  # rounded times are not gaps
    assert written(tmp_path / "c.mp4", [100, 400, 500], 10) == [0, 0, 0, 1, 2]
    assert written(tmp_path / "d.mp4", [100, 200, 210, 300], 10) == [0, 2, 3]
    assert written(tmp_path / "e.mp4", [0, 0, 0], 0) == [0, 1, 2]  # still images


def test_camera_sources_are_accepted_as_input(model: str, tmp_path: Path) -> None:
    for suffix in ("ppm", "pgm", "bmp", "tif", "PNG"):
        cv2.imwrite(str(tmp_path / f"x.{suffix}"), quadrants(64, 48)[:, :, 0] if suffix == "pgm" else quadrants(64, 48))
    assert len(expand([str(tmp_path)])) == 5
    assert detect(tmp_path, "--model", model, "--quiet") == 0


def test_a_silent_camera_reports_what_it_waits_for(model: str, tmp_path: Path) -> None:
    pytest.importorskip("gi")
    command = [sys.executable, "-m", "edgecam_core.cli.main", "detect", "rtsp://me:secret@127.0.0.1:1/x"]
    command += ["--model", model, "--backend", "onnxruntime"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if line.startswith("waiting for"))
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert line.startswith("waiting for rtsp://me:***@127.0.0.1:1/x: ")
    assert process.returncode == 1


def test_a_line_is_short(tmp_path: Path) -> None:
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (200, 1))
    found = Detections(boxes, np.full(200, 0.5, np.float32), np.zeros(200, np.int32), ("sheep",))
    assert summary(found) == ", ".join(["sheep 0.50"] * 5) + " and 195 more"


def test_a_camera_is_read(model: str, tmp_path: Path) -> None:
    pytest.importorskip("gi")
    out = tmp_path / "d.json"
    assert detect("test://smpte", "--model", model, "--limit", "3", "--json", out, "--output", tmp_path / "o") == 0
    assert len(json.loads(out.read_text())) == 3
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [f"camera_{n:06d}.jpg" for n in (1, 2, 3)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_results_are_kept_when_a_signal_ends_it(model: str, tmp_path: Path, number: int) -> None:
    pytest.importorskip("gi")
    out = tmp_path / "d.json"
    command = [sys.executable, "-m", "edgecam_core.cli.main", "detect", "test://smpte", "--json", str(out)]
    command += ["--model", model, "--backend", "onnxruntime"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"test://smpte#1: ")
        process.send_signal(number)
        assert process.stdout.read().splitlines()[-1].endswith(b"fp32")
    assert process.returncode == 0
    assert json.loads(out.read_text())[0]["file"] == "test://smpte#1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/*.jpg"], "'input' is 'nowhere/*.jpg': is not a file, folder or matching glob"),
        (["--confidence-threshold", "two", "."], "must be of type double"),
        (["--confidence-threshold", "2", "."], "must be 0 to 1"),
        (["--output", "one.jpg", "."], "is one file for all images"),
        (["--output", "out/%i.xyz", "."], "must end like an image"),
        (["--output", "000000000000.png/out", "."], "cannot create the folder"),
        (["--json", "000000000000.png/d.json", "."], "'json' is '000000000000.png/d.json': cannot be written"),
        (["--model", "missing.onnx", "."], "there is no such file"),
    ],
)
def test_a_mistake_gives_one_line(
    model: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert main(["detect", "--model", model, *arguments]) in (1, 2)
    waiting, error = capsys.readouterr().err.splitlines()
    assert waiting.startswith("waiting: loading ")
    assert message in error


def test_engines_are_built_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = ["--engine-cache", str(tmp_path / "engines")]
    images = image_folder(tmp_path / "images")
    model = ["--model", str(blind_detector(tmp_path / "small.onnx"))]
    expected = [*model, "--backend", "onnxruntime", "--precision", "int8", "--calibration", str(images)]
    assert main(["engine", "build", *expected, *cache]) == 0
    reported = capsys.readouterr()
    assert "int8" in reported.out
    assert "calibrating int8" in reported.err
    assert main(["engine", "list", *cache]) == 0
    assert "small-int8-cpu-" in capsys.readouterr().out
    assert main(["engine", "clean", *cache]) == 0
    assert capsys.readouterr().out == "1 removed\n"
    assert list((tmp_path / "engines").iterdir()) == []
