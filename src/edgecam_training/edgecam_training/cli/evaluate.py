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

"""Evaluate the AP of a model file (.pt, .pth, .onnx, .engine or zoo model) on a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgecam_training.cli._options import add_allowed, bar, need_torch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="checkpoint, ONNX file, TensorRT engine or zoo model")
    parser.add_argument("--data", required=True, help="data set")
    parser.add_argument("--split", default="test", help="split to score [%(default)s]")
    parser.add_argument("--onnx", default="", help="the ONNX file an engine was built from, if not found automatically")
    parser.add_argument("--backend", default="auto", help="back end, except for checkpoints [%(default)s]")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="CLASS=LABEL", help="the model's name for a class"
    )
    add_allowed(parser)
    parser.add_argument("--output", type=Path, help="folder for report.json, curves.png and worst.png")


def waits_for(arguments: argparse.Namespace) -> str:
    return f"loading {arguments.model} and {arguments.data}"


def run(arguments: argparse.Namespace) -> int:
    need_torch()
    from edgecam_training.data.summary import load_accepted
    from edgecam_training.evaluate import plots
    from edgecam_training.evaluate.evaluation import as_dict, evaluate, text_table
    from edgecam_training.evaluate.models import open_detector

    dataset = load_accepted(arguments.data, arguments.allow_dropped).split(arguments.split)
    rename = dict(item.split("=", 1) for item in arguments.rename if "=" in item)
    detector = open_detector(arguments.model, arguments.backend, onnx=arguments.onnx)
    result = evaluate(detector, dataset, rename, bar("images"))
    print(f"{arguments.model} ({detector.runner.description}) on {dataset.root}, {arguments.split}\n")
    print(text_table(result))
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "report.json").write_text(json.dumps(as_dict(result), indent=2) + "\n")
        plots.curves(result, arguments.output / "curves.png")
        plots.worst(result, arguments.output / "worst.png")
    return 0
