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

"""Export a checkpoint to ONNX (FP32, FP16, INT8) or pytorch-ssd, and check it against PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgecam_core.errors import SettingError

from edgecam_training.cli._options import add_allowed, bar, need_torch
from edgecam_training.data.findings import LEAST_SCORED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="checkpoint; for INT8 also an FP32 ONNX file or a zoo model")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument(
        "--format", choices=("onnx", "pytorch-ssd"), default="onnx",
        help="pytorch-ssd: a checkpoint that pytorch-ssd and jetson-inference load [%(default)s]",
    )  # fmt: skip
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    parser.add_argument("--batch", type=int, default=1, help="batch size, 0: dynamic [%(default)s]")
    parser.add_argument("--uint8", action="store_true", help="take uint8 pixels and normalise in the graph")
    parser.add_argument("--raw", action="store_true", help="logits and offsets instead of scores and boxes")
    parser.add_argument(
        "--nms", type=float, nargs="?", const=0.45, default=0.0, metavar="OVERLAP",
        help="final detections: NMS in the graph with this IoU [0.45 without a number]",
    )  # fmt: skip
    parser.add_argument("--data", help="data set: images to compare on; INT8: calibration and acceptance check")
    parser.add_argument("--split", default="val", help="split for comparison and acceptance check [%(default)s]")
    parser.add_argument(
        "--acceptance-images", type=int, default=LEAST_SCORED, metavar="N",
        help="INT8: minimum number of images with boxes for the acceptance check [%(default)s]",
    )  # fmt: skip
    parser.add_argument("--calibration-split", default="train", help="INT8: split for calibration [%(default)s]")
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=300,
        help="INT8: at least 300 [%(default)s]",
    )
    parser.add_argument("--int8", choices=("tensorrt", "cpu"), default="tensorrt", help="INT8 variant [%(default)s]")
    parser.add_argument(
        "--calibration", choices=("minmax", "average", "auto"), default="minmax",
        help="INT8: ranges from the extremes over all images (minmax) or the mean of each image's extremes (average); "
        "auto: the one that changes the outputs least on held-out calibration images [%(default)s]",
    )  # fmt: skip
    parser.add_argument("--max-drop", type=float, default=1.0, help="INT8: largest loss in mAP points [%(default)s]")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="CLASS=LABEL", help="the model's name for a class"
    )
    add_allowed(parser)


def waits_for(arguments: argparse.Namespace) -> str:
    return f"loading {arguments.model}"


def run(arguments: argparse.Namespace) -> int:
    need_torch()
    if not 0 <= arguments.nms < 1:
        raise SettingError("nms", arguments.nms, "must be above 0 and below 1")
    if arguments.nms and (arguments.raw or arguments.precision == "int8"):
        raise SettingError("nms", arguments.nms, "works with fp32 and fp16, and not with --raw")
    if arguments.format == "pytorch-ssd":
        return _pytorch_ssd(arguments)
    return _int8(arguments) if arguments.precision == "int8" else _float(arguments)


def _pytorch_ssd(arguments: argparse.Namespace) -> int:
    from edgecam_training.export.pytorch_ssd import export
    from edgecam_training.train.checkpoint import open_model

    plain = {"precision": "fp32", "batch": 1, "uint8": False, "raw": False, "nms": 0.0}
    for name, value in plain.items():
        if getattr(arguments, name) != value:
            raise SettingError(
                name, getattr(arguments, name), "applies only to ONNX files; remove it with --format pytorch-ssd"
            )
    model, classes = open_model(arguments.model)
    labels = export(model, classes, arguments.output)
    print(f"{arguments.output} and {labels}: {len(classes)} classes, for pytorch-ssd's and jetson-inference's mb1-ssd")
    return 0


def _float(arguments: argparse.Namespace) -> int:
    from edgecam_training.data.checks import read_image
    from edgecam_training.data.loading import load
    from edgecam_training.export.onnx_export import ExportOptions, export
    from edgecam_training.train.checkpoint import open_model

    model, classes = open_model(arguments.model)
    images = []
    if arguments.data:
        samples = load(arguments.data).split(arguments.split).samples[:8]
        images = [pixels for pixels in (read_image(sample.path) for sample in samples) if pixels is not None]
    options = ExportOptions(arguments.precision, arguments.batch, arguments.uint8, arguments.raw, arguments.nms)
    parity = export(model, classes, arguments.output, options, images)
    size = arguments.output.stat().st_size / 1e6
    print(f"{arguments.output}: {size:.1f} MB, differs from PyTorch by at most {parity.scores:.2g} in scores, ", end="")
    print(f"{parity.boxes:.2g} in boxes, on {parity.images} {'images' if images else 'images of noise'}")
    return 0


def _int8(arguments: argparse.Namespace) -> int:
    from edgecam_training.export.int8 import Int8Export, run_job
    from edgecam_training.export.quantize import LEAST_IMAGES

    if not arguments.data:
        raise SettingError("data", arguments.data, "INT8 needs a data set, for calibration and the acceptance check")
    if arguments.calibration_images < LEAST_IMAGES:
        raise SettingError("calibration-images", arguments.calibration_images, f"must be at least {LEAST_IMAGES}")
    job = Int8Export(
        model=arguments.model, output=arguments.output, data=arguments.data, split=arguments.split,
        calibration_split=arguments.calibration_split, images=arguments.calibration_images, flavour=arguments.int8,
        recipe=arguments.calibration,
        most_drop=arguments.max_drop, least_scored=arguments.acceptance_images,
        allow_dropped=arguments.allow_dropped,
        rename=dict(item.split("=", 1) for item in arguments.rename if "=" in item),
    )  # fmt: skip
    passed = run_job(job, print, bar)
    print(
        f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB, {passed.drop:+.2f} mAP points lost, ",
        end="",
    )
    print(f"{len(passed.kept)} layers in float")
    return 0
