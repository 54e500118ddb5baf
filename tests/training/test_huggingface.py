"""Real exports of Hugging Face's detectors: boxes, scores and classes are those of their own image processors.

Random weights, one or two hundred thousand each. DEIMv2 with DINOv3 is missing, because neither of PyTorch's exporters
can export it; ``tests/unit/test_families.py`` has the names in its graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from torch import nn

transformers = pytest.importorskip("transformers")
SIDE, CLASSES = 128, 4
HEIGHT, WIDTH = 256, 384  # of the image, which is stretched
THREE = ["stage2", "stage3", "stage4"]
DECODER = {"num_labels": CLASSES, "d_model": 32, "decoder_ffn_dim": 32, "decoder_layers": 2, "num_queries": 30}
HYBRID = DECODER | {
    "encoder_hidden_dim": 32, "encoder_ffn_dim": 32, "encoder_attention_heads": 2, "encoder_in_channels": [16, 24, 32],
    "decoder_attention_heads": 2, "decoder_in_channels": [32] * 3, "num_denoising": 0,
}  # fmt: skip


def _resnet(config: Any, out_features: list[str]) -> Any:
    return config(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1] * 4, layer_type="basic", out_features=out_features
    )  # fmt: skip


def _hgnet(out_features: list[str]) -> Any:
    return transformers.HGNetV2Config(
        embedding_size=8, stem_channels=[3, 8, 8], hidden_sizes=[16, 16, 24, 32], depths=[1] * 4,
        stage_in_channels=[8, 16, 16, 24], stage_mid_channels=[8] * 4, stage_out_channels=[16, 16, 24, 32],
        stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4, out_features=out_features,
    )  # fmt: skip


def _rt_detr_v2() -> nn.Module:
    config = transformers.RTDetrV2Config(backbone_config=_resnet(transformers.RTDetrResNetConfig, THREE), **HYBRID)
    return transformers.RTDetrV2ForObjectDetection(config)


def _d_fine() -> nn.Module:
    return transformers.DFineForObjectDetection(transformers.DFineConfig(backbone_config=_hgnet(THREE), **HYBRID))


def _deim(**settings: Any) -> nn.Module:
    config = transformers.Deimv2Config(**HYBRID | {"backbone_config": _hgnet(THREE)} | settings)
    return transformers.Deimv2ForObjectDetection(config)


def _deim_lite() -> nn.Module:
    """As its Atto, Femto and Pico."""
    return _deim(
        backbone_config=_hgnet(THREE[:2]), encoder_in_channels=[16, 24], encoder_type="lite", num_feature_levels=2,
        feat_strides=[8, 16], decoder_in_channels=[32] * 2, use_gateway=False, share_bbox_head=True,
    )  # fmt: skip


def _rf_detr() -> nn.Module:
    backbone = transformers.RfDetrDinov2Config(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, mlp_ratio=2, image_size=SIDE, patch_size=16,
        num_windows=2, out_indices=[1, 3],
    )  # fmt: skip
    heads = {"decoder_self_attention_heads": 2, "decoder_cross_attention_heads": 2, "group_detr": 1}
    return transformers.RfDetrForObjectDetection(
        transformers.RfDetrConfig(backbone_config=backbone, **DECODER, **heads)
    )


def _detr() -> nn.Module:
    config = transformers.DetrConfig(
        backbone_config=_resnet(transformers.ResNetConfig, THREE[2:]), use_timm_backbone=False, encoder_layers=1,
        use_pretrained_backbone=False, encoder_ffn_dim=32, encoder_attention_heads=2, decoder_attention_heads=2,
        **DECODER,
    )  # fmt: skip
    return transformers.DetrForObjectDetection(config)


@dataclass(frozen=True)
class Case:
    """``fractions``: the network was trained on pixel / 255, else on ImageNet's normalisation."""

    network: Callable[[], nn.Module]
    processor: str
    fractions: bool = True
    export: dict[str, Any] | None = None


CASES = {
    "rt-detr-v2": Case(_rt_detr_v2, "RTDetrImageProcessor"),
    "d-fine": Case(_d_fine, "RTDetrImageProcessor"),
    "deimv2": Case(_deim, "RTDetrImageProcessor"),
    "deimv2-lite": Case(_deim_lite, "RTDetrImageProcessor"),
    "detr": Case(_detr, "DetrImageProcessor", fractions=False),
    "rf-detr": Case(_rf_detr, "RfDetrImageProcessor", fractions=False, export={"dynamo": True, "opset_version": 18}),
}


class Outputs(nn.Module):
    """The network with the outputs that Hugging Face's own exporter keeps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.model = network

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = self.model(pixel_values=pixel_values, return_dict=True)
        return outputs.logits, outputs.pred_boxes


def _spread(network: nn.Module) -> None:
    """Draw weights that spread scores and boxes, which are nearly equal with the initial ones."""
    for name, weights in network.named_parameters():
        if weights.dim() > 1 and weights.numel():
            spread = 0.1 if "bbox_embed" in name else 1.2  # RF-DETR's boxes are not limited to the image
            weights.normal_(0, spread / weights[0].numel() ** 0.5)
        elif name.endswith("bias") and len(weights) in (CLASSES, CLASSES + 1):
            weights.zero_()  # the initial weights predict no object


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_exports_give_the_boxes_of_their_own_processor(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    case = CASES[name]
    network = case.network().eval()
    _spread(network)
    small = np.random.default_rng(5).integers(0, 256, (9, 12, 3), np.uint8)
    small = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    pixels = small.repeat(HEIGHT // SIDE, axis=0).repeat(WIDTH // SIDE, axis=1)  # any filter makes it small again
    processor = getattr(transformers, case.processor)(do_resize=False, do_pad=False, do_normalize=not case.fractions)
    tensor = processor(images=small[:, :, ::-1].copy(), return_tensors="pt")["pixel_values"]
    assert tensor.shape == (1, 3, SIDE, SIDE)
    outputs = network(tensor)  # before the export, which may change the network
    path = tmp_path / f"{name}.onnx"
    torch.onnx.export(
        Outputs(network), (tensor,), str(path), input_names=["pixel_values"], output_names=["logits", "pred_boxes"],
        **(case.export or {"dynamo": False, "opset_version": 17}),
    )  # fmt: skip
    scores = outputs.logits.softmax(-1)[..., :-1] if name == "detr" else outputs.logits.sigmoid()
    threshold = float(scores.flatten().sort(descending=True).values[12:14].mean())  # between two scores
    (expected,) = processor.post_process_object_detection(outputs, threshold, [(HEIGHT, WIDTH)])
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    settings = DetectorSettings(model=str(path), device="cpu", backend="onnxruntime", confidence_threshold=threshold)
    detector = Detector.open(settings)
    try:
        found = detector.detect(pixels)
    finally:
        detector.close()
    corners = expected["boxes"].numpy().clip(0, [WIDTH, HEIGHT] * 2)  # ours are clipped to the image
    assert len(expected["scores"]) >= 8
    assert len(found.scores) == len(expected["scores"])
    ours = np.column_stack([found.class_ids * 1e3, found.scores * 1e2, found.boxes])
    theirs = np.column_stack([expected["labels"] * 1e3, expected["scores"] * 1e2, corners])
    apart = np.abs(ours[:, None] - theirs[None]).max(axis=2)
    assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 0.02
