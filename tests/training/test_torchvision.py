"""Real exports of torchvision's detectors: boxes, scores and classes are torchvision's own.

Random weights, scaled so that activations and scores are spread as after training. Two networks take about 12 seconds
of CPU time; ``EDGECAM_TORCHVISION=all`` runs all five with list and batch input.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from torch import nn

detection = pytest.importorskip("torchvision").models.detection
HEIGHT, WIDTH = 128, 160
THRESHOLD, MOST = 0.3, 30
PLAIN: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": 4}
ONE_STAGE = PLAIN | {"score_thresh": THRESHOLD, "detections_per_img": MOST}
PYRAMID = ONE_STAGE | {"min_size": HEIGHT, "max_size": WIDTH}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ssdlite": lambda: detection.ssdlite320_mobilenet_v3_large(**ONE_STAGE),
    "faster-rcnn": lambda: detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        **PLAIN, box_score_thresh=THRESHOLD, box_detections_per_img=MOST
    ),
    "ssd300": lambda: detection.ssd300_vgg16(**ONE_STAGE),
    "retinanet": lambda: detection.retinanet_resnet50_fpn(**PYRAMID),
    "fcos": lambda: detection.fcos_resnet50_fpn(**PYRAMID),
}
# Two stages amplify rounding: PyTorch in float32 and float64 differ by 0.004 pixels here, too.
TOLERANCE = {"faster-rcnn": 0.02}
ALL = [(name, batch) for name in NETWORKS for batch in (False, True)]
USUAL = [("ssdlite", False), ("faster-rcnn", True)]


def _score_layers(network: Any) -> list[nn.Module]:
    if hasattr(network, "roi_heads"):
        return [network.roi_heads.box_predictor.cls_score]
    head = network.head.classification_head
    if hasattr(head, "cls_logits"):
        return [head.cls_logits]
    return [part if isinstance(part, nn.Conv2d) else part[-1] for part in head.module_list]


def _spread(network: Any, image: torch.Tensor) -> None:
    """Scale activations, proposals and scores, which vanish with random weights."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    network.backbone.train()
    network.backbone(network.transform([image, image.flip(-1)])[0].tensors)
    network.eval()
    if hasattr(network, "rpn"):
        for layer in (network.rpn.head.cls_logits, network.rpn.head.bbox_pred):
            nn.init.normal_(layer.weight, std=0.05)
    layers = _score_layers(network)
    deviations = dict.fromkeys(layers, 0.0)

    def note(layer: nn.Module, _: Any, output: torch.Tensor) -> None:
        deviations[layer] = max(deviations[layer], float(output.std()))  # RetinaNet's layer serves five levels

    hooks = [layer.register_forward_hook(note) for layer in layers]
    network([image])
    for hook in hooks:
        hook.remove()
    for layer in layers:
        layer.weight.mul_(2 / deviations[layer])  # type: ignore[operator]


@pytest.mark.parametrize(("name", "batch"), ALL if os.environ.get("EDGECAM_TORCHVISION") == "all" else USUAL)
@torch.no_grad()
def test_exports_give_torchvisions_own_boxes(name: str, batch: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    small = np.random.default_rng(5).integers(0, 256, (12, 15, 3), np.uint8)
    pixels = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    image = torch.from_numpy(pixels[:, :, ::-1].copy()).permute(2, 0, 1).float() / 255
    network = NETWORKS[name]().eval()
    _spread(network, image)
    path = tmp_path / f"{name}.onnx"
    torch.onnx.export(network, (image[None] if batch else [image],), str(path), dynamo=False, opset_version=17)
    if name in ("retinanet", "fcos"):  # they have no background and use class 0, too
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {"edgecam.first_class": "0"})
        onnx.save(model, path)
    labels = ["a", "b", "c", "d"] if name in ("retinanet", "fcos") else ["BACKGROUND", "b", "c", "d"]
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    settings = DetectorSettings(
        model=str(path), device="cpu", backend="onnxruntime", confidence_threshold=THRESHOLD, max_detections=MOST
    )
    detector = Detector.open(settings)
    try:
        found = detector.detect(pixels)
    finally:
        detector.close()
    expected = {key: value.numpy() for key, value in network([image])[0].items()}
    solid = ((expected["boxes"][:, 2:] - expected["boxes"][:, :2]) > 0).all(axis=1) & (expected["scores"] > THRESHOLD)
    assert solid.sum() >= 2  # of RetinaNet and FCOS many lie outside the image
    assert len(found.scores) == solid.sum()
    # Class, score and corners side by side; equal scores may be in another order.
    numbers = {label: number for number, label in enumerate(labels)}
    ours = np.column_stack([[numbers[found.labels[n]] * 1e3 for n in found.class_ids], found.scores, found.boxes])
    theirs = np.column_stack([expected["labels"] * 1e3, expected["scores"], expected["boxes"]])[solid]
    apart = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < TOLERANCE.get(name, 2e-3)
