"""Images per second from a folder of JPEGs to boxes with PyTorch eager: read, resize, infer, suppress, in sequence.

The same network and weights as the default model, written as in a tutorial. Usage:
torch_folder FOLDER cpu|cuda [--all]; see detect_folder.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from edgecam_core.models.coco_labels import LABELS
from edgecam_training.models.mobilenet_v2_ssd import MobileNetV2Ssd
from torchvision.ops import batched_nms


def main() -> None:
    folder, device, *everything = sys.argv[1:]
    model = MobileNetV2Ssd(len(LABELS)).eval()
    model.load_coco({column: column for column in range(1, len(LABELS))})
    model.to(device)
    paths = sorted(Path(folder).glob("*.jpg"))
    if everything:
        print(json.dumps({path.name: _plain(*detect(model, path, 0.01)) for path in paths}))
        return
    for path in paths[:5]:
        detect(model, path)
    started = time.perf_counter()
    for path in paths:
        detect(model, path)
    print(len(paths) / (time.perf_counter() - started))


@torch.no_grad()
def detect(
    model: MobileNetV2Ssd, path: Path, threshold: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes in pixels, scores, classes."""
    image = cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    device = next(model.parameters()).device
    small = torch.from_numpy(cv2.resize(image, (300, 300))).to(device).permute(2, 0, 1).float()
    logits, offsets = model(((small - 127) / 128)[None])
    scores = torch.sigmoid(logits[0])
    boxes = model.boxes(offsets)[0].clamp(0, 1) * torch.tensor([width, height, width, height], device=device)
    rows, classes = torch.nonzero(scores[:, 1:] > threshold, as_tuple=True)
    kept = batched_nms(boxes[rows], scores[rows, classes + 1], classes, 0.5)[:100]
    return boxes[rows][kept], scores[rows, classes + 1][kept], classes[kept] + 1


def _plain(boxes: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor) -> list[list[object]]:
    each = zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True)
    return [[LABELS[number], score, *box] for box, score, number in each]


if __name__ == "__main__":
    main()
