# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Layouts of other exporters that are recognised, but not read: the error names them and what to export instead."""

from __future__ import annotations

from edgecam_core.inference.model_file import ModelFile

_MOST_ROWS = 1000  # detections after NMS; YOLOv5 and v7 with two classes have more rows at any useful size


def reason(model: ModelFile) -> str:
    """What the outputs are and what to do; empty if they are of no such layout."""
    shapes = [tuple(shape) for shape in model.outputs.values()]
    if len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][:2] in ((1, 1), (None, 1)) and shapes[0][3] == 7:
        return (
            "its output [1, 1, K, 7] is DetectionOutput of Caffe and OpenVINO (image, class, score, x1 y1 x2 y2), and "
            "the file does not state how its input is normalised; export it before this layer with decoded boxes, as "
            "'boxes' [B, N, 4] and 'scores' [B, N, C]"
        )
    if any("mbox" in name for name in model.outputs) or _is_raw_caffe(shapes):
        return (
            "its outputs are SSD's mbox_loc and mbox_conf before decoding, without the priors; export it with decoded "
            "boxes, as 'boxes' [B, N, 4] and 'scores' [B, N, C]"
        )
    if _is_automl(model, shapes):
        return (
            "its output [B, K, 7] is 'detections' of AutoML's EfficientDet (image, y1 x1 y2 x2, score, class); export "
            "it with the outputs detection_boxes, detection_scores, detection_classes and num_detections. If it is "
            "YOLOv5 or YOLOv7 with two classes, add the metadata edgecam.layout = rows"
        )
    if len(shapes) == 2 and sorted(len(shape) for shape in shapes) == [2, 3] and (5 in [shape[-1] for shape in shapes]):
        return (
            "its outputs are those of MMDeploy, 'dets' [B, K, 5] with the score in the last column and 'labels'; "
            "export it with boxes, scores and labels as three outputs"
        )
    if len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] == 6:
        return (
            "its output [K, 6] is that of PaddleDetection (class, score, x1 y1 x2 y2) or YOLOX with NMS; export it "
            "without NMS, as [B, N, 5 + C]"
        )
    return ""


def _is_raw_caffe(shapes: list[tuple[int | None, ...]]) -> bool:
    """mbox_loc [B, N * 4] and mbox_conf [B, N * C], flat, with or without mbox_priorbox [1, 2, N * 4]."""
    flat = [shape[1] for shape in shapes if len(shape) == 2 and shape[1]]
    return len(shapes) in (2, 3) and len(flat) == 2 and min(flat) >= 400 and all(size % 2 == 0 for size in flat)


def _is_automl(model: ModelFile, shapes: list[tuple[int | None, ...]]) -> bool:
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] != 7 or (shapes[0][1] or _MOST_ROWS + 1) > _MOST_ROWS:
        return False
    return not {"task", "names"} & set(model.metadata) and model.fact("layout") is None
