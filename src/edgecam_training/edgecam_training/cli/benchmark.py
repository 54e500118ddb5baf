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

"""Compare models: size, AP, images per second from file to boxes, latency, peak memory."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgecam_training.cli._options import add_allowed, need_torch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "models", nargs="+", help="checkpoints, ONNX files, zoo models; FILE@backend selects a back end"
    )
    parser.add_argument("--data", required=True, help="data set")
    parser.add_argument("--split", default="test", help="split [%(default)s]")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="CLASS=LABEL", help="the model's name for a class"
    )
    add_allowed(parser)
    parser.add_argument("--output", type=Path, help="folder for benchmark.md, .json and .png")


def waits_for(arguments: argparse.Namespace) -> str:
    return f"loading {arguments.data} and {', '.join(arguments.models)}"


def run(arguments: argparse.Namespace) -> int:
    need_torch()
    from edgecam_training import benchmark

    rename = dict(item.split("=", 1) for item in arguments.rename if "=" in item)
    rows = []
    for item in arguments.models:
        model, _, backend = item.partition("@")
        row = benchmark.measure_apart(
            model, backend or "auto", arguments.data, arguments.split, rename, arguments.allow_dropped
        )
        rows.append(row)
    print(benchmark.markdown(rows))
    if arguments.output:
        benchmark.write(rows, arguments.output)
    return 0
