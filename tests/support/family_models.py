"""Models with fixed outputs, as exporters of the model families write them, and what the detector finds with them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from onnx import helper

IMAGE = np.zeros((200, 400, 3), np.uint8)  # twice as wide as high; the networks here have inputs of 100 x 100

F = np.float32


def detector(path: Path, **settings: object) -> Detector:
    return Detector.open(DetectorSettings(model=str(path), backend="onnxruntime", threads=1, **settings))  # type: ignore[arg-type]


def found(subject: Detector) -> list[tuple[str, float, tuple[int, ...]]]:
    return [
        (item.label, round(item.score, 3), tuple(round(value) for value in item.box)) for item in subject.detect(IMAGE)
    ]


def reexported(path: Path, metadata: dict[str, str], free: dict[str, tuple[int, ...]] | None = None) -> Path:
    """The model as written by another exporter: its own metadata, and dynamic sizes."""
    proto = onnx.load(path)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    for tensor in (*proto.graph.input, *proto.graph.output):
        for place in (free or {}).get(tensor.name, ()):
            tensor.type.tensor_type.shape.dim[place].dim_param = f"{tensor.name}_{place}"
    onnx.save(proto, path)
    return path


def with_input(path: Path, name: str, kind: int, shape: list[int]) -> Path:
    proto = onnx.load(path)
    proto.graph.input.append(helper.make_tensor_value_info(name, kind, shape))
    onnx.save(proto, path)
    return path


LABELS = json.dumps(["BACKGROUND", "cat", "dog"])

TENSORFLOW = {
    "detection_boxes": np.array([[[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1]]], F),
    "detection_classes": np.array([[2, 1]], F),
    "detection_scores": np.array([[0.9, 0.8]], F),
    "num_detections": np.array([1], F),  # the second row is unused
}

FINISHED: dict[str, dict[str, np.ndarray]] = {
    "end-to-end YOLO": {"output0": np.array([[[40, 45, 60, 55, 0.9, 1]] + [[0] * 6] * 9], F)},
    "TensorFlow": TENSORFLOW,
    "EfficientNMS": {
        "num_dets": np.array([[1]], np.int32),
        "det_boxes": np.array([[[20, 10, 60, 50]]], F),
        "det_scores": np.array([[0.9]], F),
        "det_classes": np.array([[1]], np.int32),
    },
    "torchvision": {
        "boxes": np.array([[20, 10, 60, 50]], F),
        "labels": np.array([2], np.int64),
        "scores": np.array([0.9], F),
    },
    "RT-DETR": {
        "labels": np.array([[1]], np.int64),
        "boxes": np.array([[[20, 10, 60, 50]]], F),
        "scores": np.array([[0.9]], F),
    },
}
