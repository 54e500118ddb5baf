"""The whole chain with the user's commands: data, stats, train, resume, export, engine, evaluate, benchmark."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from edgecam_core.cli.main import main
from edgecam_core.errors import ModelError
from edgecam_core.inference.cuda_driver import find_gpu
from edgecam_training.data.compose import CompositionPlan, compose
from edgecam_training.data.loading import load
from edgecam_training.data.materials import SceneMaterial
from edgecam_training.evaluate.models import open_detector
from edgecam_training.export import quantize
from edgecam_training.train import checkpoint
from edgecam_training.train.trainer import Trainer


def _material() -> SceneMaterial:
    """Cut-outs that are plain shapes; grey backgrounds."""
    disc, square = np.zeros((60, 60, 4), np.uint8), np.full((50, 70, 4), (40, 220, 40, 255), np.uint8)
    cv2.circle(disc, (30, 30), 29, (30, 40, 230, 255), -1)
    other = np.full((40, 40, 4), (200, 90, 20, 255), np.uint8)
    grounds = [np.full((200, 260, 3), shade, np.uint8) for shade in (70, 110, 150)]
    held = {"disc": [disc], "square": [square]}
    return SceneMaterial({"disc": [disc], "square": [square]}, held, [other], grounds[:2], grounds[2:], [])


def test_composing_is_reproducible_and_boxes_fit(tmp_path: Path) -> None:
    plan = CompositionPlan(train=6, val=2, held_out=2, width=160, height=120, seed=3)
    first = compose(_material(), tmp_path / "a", plan).read_bytes()
    assert compose(_material(), tmp_path / "b", plan).read_bytes() == first
    dataset = load(tmp_path / "a")
    assert dataset.counts() == {"train": 6, "val": 2, "held-out": 2}
    assert set(dataset.findings.counts()) <= {"note images: without boxes, used as background"}
    boxes = np.concatenate([sample.boxes for sample in dataset.samples])
    assert len(boxes) > 5
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (160, 120)).all()


def test_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compose(_material(), Path("data"), CompositionPlan(train=20, val=4, held_out=2, width=160, height=120))
    assert main(["dataset", "check", "data"]) == 0
    assert "used      20 images with" in capsys.readouterr().out
    assert main(["dataset", "stats", "data", "--html", "s.html"]) == 0
    assert "Bounding box distribution" in capsys.readouterr().out
    assert "data:image/png;base64" in Path("s.html").read_text()

    few = compose(_material(), Path("few"), CompositionPlan(train=8, val=4, held_out=0, width=160, height=120)).parent
    train = ["train", "--data", str(few), "--batch", "4", "--freeze", "all-but-classes", "--side", "160"]
    train += ["--evaluate-every", "2"]
    assert main([*train, "--output", "whole", "--epochs", "2"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", _stopped_in_the_second(Trainer._epoch))
        assert main([*train, "--output", "cut", "--epochs", "2"]) == 0
    seen = capsys.readouterr().out
    assert "continue with --resume cut" in seen
    assert "not evaluated yet: there is no best.pt, the weights are in cut/last.pt" in seen
    assert main(["train", "--resume", "cut"]) == 0
    seen = capsys.readouterr().out
    assert "ssd_mobilenet_v2, weights of cut/last.pt" in seen
    assert "random weights" not in seen
    whole, cut = (checkpoint.read(f"{run}/last.pt") for run in ("whole", "cut"))
    assert all(torch.equal(value, cut["state"][name]) for name, value in whole["state"].items())
    assert Path("cut/labels.txt").read_text().splitlines() == ["BACKGROUND", "disc", "square"]

    best = "whole/best.pt"
    assert main(["export", best, "--output", "fp32.onnx", "--data", "few"]) == 0
    assert main(["export", best, "--output", "fp16.onnx", "--data", "few", "--precision", "fp16"]) == 0
    assert "on 4 images" in capsys.readouterr().out
    with monkeypatch.context() as patch:  # test_export.py tests the minimum number
        patch.setattr(quantize, "LEAST_IMAGES", 20)
        assert main(["export", "fp32.onnx", "--output", "int8.onnx", "--data", "data", *_INT8]) == 0
    files = [best, "fp32.onnx", "fp16.onnx", "int8.onnx"]
    engine = _engine(files[-1], capsys)  # of each precision: test_export.py

    found = {}
    for file in files:
        assert main(["evaluate", file, "--data", "few", "--split", "val", "--output", "report"]) == 0
        found[file] = json.loads(Path("report/report.json").read_text())["map50"]
        assert Path("report/curves.png").is_file()
    for file, most in (("fp32.onnx", 1e-3), ("fp16.onnx", 0.02), ("int8.onnx", 0.2)):
        assert found[file] == pytest.approx(found[best], abs=most)
    capsys.readouterr()
    if find_gpu() is None:  # built for any RTX card, but nothing here can run it
        assert main(["evaluate", str(engine), "--data", "few", "--split", "val"]) == 1
        assert f"engine '{engine}': TensorRT needs an NVIDIA GPU" in capsys.readouterr().err
    else:
        assert main(["evaluate", str(engine), "--data", "few", "--split", "val"]) == 0

    assert main(["benchmark", best, "int8.onnx", "--data", "few", "--split", "val", "--output", "bench"]) == 0
    rows = json.loads(Path("bench/benchmark.json").read_text())
    assert [row["model"] for row in rows] == [best, "int8.onnx"]
    assert all(row["images_per_second"] > 0 and row["peak_memory_mb"] > 50 for row in rows)
    assert "J/image" in Path("bench/benchmark.md").read_text()
    assert Path("bench/benchmark.png").stat().st_size > 1000


def _stopped_in_the_second(epoch: Callable[[Trainer], bool]) -> Callable[[Trainer], bool]:
    """An epoch in which Ctrl-C is pressed once."""

    def stopped(trainer: Trainer) -> bool:
        if trainer.progress.epoch == 1:
            signal.raise_signal(signal.SIGINT)
        return epoch(trainer)

    return stopped


# Everything is accepted: after two epochs on eight images, a point of mAP means nothing.
_INT8 = ("--precision", "int8", "--max-drop", "100", "--acceptance-images", "1", "--calibration-images", "20")


def _engine(onnx: str, capsys: pytest.CaptureFixture[str]) -> Path:
    """Built by TensorRT-RTX, which needs no GPU to build."""
    assert main(["engine", "build", "--model", onnx, "--backend", "tensorrt", "--engine-cache", "engines"]) == 0
    path = Path(capsys.readouterr().out.split(" (")[0].splitlines()[-1])
    assert path.suffix == ".engine"
    assert path.stat().st_size > 1_000_000
    return path


def test_an_engine_needs_the_file_it_was_built_from(tmp_path: Path) -> None:
    engine = tmp_path / "some.engine"
    with pytest.raises(ModelError, match="there is no such file"):
        open_detector(str(engine))
    engine.write_bytes(b"engine")
    with pytest.raises(ModelError, match="name the file with --onnx"):
        open_detector(str(engine))
    sidecar = {"model": "ssd_mobilenet_v2_coco.onnx", "model_sha256": "0" * 64, "precision": "fp16"}
    Path(f"{engine}.json").write_text(json.dumps(sidecar))
    with pytest.raises(ModelError, match="was built from another ssd_mobilenet_v2_coco"):
        open_detector(str(engine))


def test_wrong_arguments_are_refused_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "stats", str(tmp_path / "nothing")]) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["train", "--epochs", "many"]) == 2
    assert "epochs" in capsys.readouterr().err
    assert main(["train"]) == 2
    assert "must be the folder of a data set" in capsys.readouterr().err
