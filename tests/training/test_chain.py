"""The whole chain through the program a user types: compose-like data, stats, train, evaluate, export, benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.cli.main import main
from edgecam_training.data.compose import Plan, compose
from edgecam_training.data.layouts import load
from edgecam_training.data.materials import Material


def _material() -> Material:
    """Cut-outs that are plain shapes; grey backgrounds."""
    disc, square = np.zeros((60, 60, 4), np.uint8), np.full((50, 70, 4), (40, 220, 40, 255), np.uint8)
    cv2.circle(disc, (30, 30), 29, (30, 40, 230, 255), -1)
    other = np.full((40, 40, 4), (200, 90, 20, 255), np.uint8)
    grounds = [np.full((200, 260, 3), shade, np.uint8) for shade in (70, 110, 150)]
    held = {"disc": [disc], "square": [square]}
    return Material({"disc": [disc], "square": [square]}, held, [other], grounds[:2], grounds[2:], [])


def test_composing_is_reproducible_and_boxes_fit(tmp_path: Path) -> None:
    plan = Plan(train=6, val=2, held_out=2, width=160, height=120, seed=3)
    first = compose(_material(), tmp_path / "a", plan).read_bytes()
    assert compose(_material(), tmp_path / "b", plan).read_bytes() == first
    dataset = load(tmp_path / "a")
    assert dataset.counts() == {"train": 6, "val": 2, "held-out": 2}
    assert not dataset.notes.keys() - {"pictures without boxes (kept)"}
    boxes = np.concatenate([sample.boxes for sample in dataset.samples])
    assert len(boxes) > 5
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (160, 120)).all()


def test_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run, onnx = tmp_path / "data", tmp_path / "run", tmp_path / "model.onnx"
    compose(_material(), data, Plan(train=8, val=4, held_out=2, width=160, height=120))
    assert main(["dataset", "stats", str(data), "--html", str(tmp_path / "s.html")]) == 0
    assert "Bounding box distribution" in capsys.readouterr().out
    assert "data:image/png;base64" in (tmp_path / "s.html").read_text()
    train = ["train", "--data", str(data), "--output", str(run), "--epochs", "1", "--batch", "4"]
    assert main([*train, "--freeze", "all-but-classes", "--side", "160"]) == 0
    assert (run / "labels.txt").read_text().splitlines() == ["BACKGROUND", "disc", "square"]
    assert main(["export", str(run / "best.pt"), "--output", str(onnx), "--data", str(data)]) == 0
    assert "on 4 pictures" in capsys.readouterr().out
    found = {}
    for model in (run / "best.pt", onnx):
        words = ["evaluate", str(model), "--data", str(data), "--split", "val", "--output", str(tmp_path / "report")]
        assert main(words) == 0
        found[model.suffix] = json.loads((tmp_path / "report" / "report.json").read_text())["map50"]
        assert (tmp_path / "report" / "curves.png").is_file()
    assert found[".pt"] == pytest.approx(found[".onnx"], abs=1e-3)
    words = ["benchmark", str(run / "best.pt"), str(onnx), "--data", str(data), "--split", "val"]
    assert main([*words, "--output", str(tmp_path / "bench")]) == 0
    rows = json.loads((tmp_path / "bench" / "benchmark.json").read_text())
    assert [Path(row["model"]).name for row in rows] == ["best.pt", "model.onnx"]
    assert all(row["images_per_second"] > 0 and row["peak_memory_mb"] > 50 for row in rows)
    assert (tmp_path / "bench" / "benchmark.png").stat().st_size > 1000


def test_wrong_words_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "stats", str(tmp_path / "nothing")]) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["train", "--epochs", "many"]) == 2
    assert "epochs" in capsys.readouterr().err
    assert main(["train"]) == 2
    assert "must be the folder of a data set" in capsys.readouterr().err
