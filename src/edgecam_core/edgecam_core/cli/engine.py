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

"""Build, list and remove engines and quantised models; measure the fastest way to run a model on the CPU.

edgecam engine build --precision int8 --calibration images/
edgecam engine tune
edgecam engine list
edgecam engine clean
"""

from __future__ import annotations

import argparse
import re
import sys

from edgecam_core.cli._settings import add_settings, settings_from, shown_address
from edgecam_core.errors import SettingError
from edgecam_core.models.detector_settings import DetectorSettings

_BUILDING = (
    "model", "backend", "device", "precision", "calibration", "engine_cache", "force_engine_update", "max_batch",
    "threads",
)  # fmt: skip
_TUNING = ("model", "backend", "precision", "calibration", "engine_cache", "max_batch", "threads")
_ELSEWHERE = (
    "note: this machine has no NVIDIA GPU, so this engine is for another machine; "
    "use --backend openvino or onnxruntime to build for this machine"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="build|tune|list|clean")
    build = actions.add_parser("build", help="build what the detector would build on its first start")
    add_settings(build, DetectorSettings, _BUILDING)
    tuned = actions.add_parser("tune", help="measure back ends, precisions and threads, and keep the fastest")
    add_settings(tuned, DetectorSettings, _TUNING)
    for name, text in (("list", "list the content of the cache"), ("clean", "remove the content of the cache")):
        add_settings(actions.add_parser(name, help=text), DetectorSettings, ("engine_cache",))


def waits_for(args: argparse.Namespace) -> str:
    doing = {"build": "building", "tune": "measuring"}.get(args.action)
    if doing is None:
        return ""
    model = shown_address(args, DetectorSettings, "model")
    return f"{doing} {model}; this can take minutes"


def run(args: argparse.Namespace) -> int:
    settings = settings_from(args, DetectorSettings)
    return {"build": _build, "tune": _tune, "list": _list, "clean": _clean}[args.action](settings)


def _build(settings: DetectorSettings) -> int:
    from edgecam_core.cache import CacheError
    from edgecam_core.errors import MissingDependency
    from edgecam_core.inference.batching import dynamic_batch
    from edgecam_core.inference.cuda_driver import find_gpu
    from edgecam_core.inference.tensorrt_api import import_tensorrt
    from edgecam_core.inference.tensorrt_runner import ensure_engine
    from edgecam_core.models.detector import Detector
    from edgecam_core.models.plan import Plan, runner_options

    plan = Plan.read(settings)
    options = runner_options(plan, settings, _Steps())
    try:
        api = import_tensorrt() if settings.backend in ("auto", "tensorrt") else None
    except MissingDependency:
        if settings.backend == "tensorrt":
            raise
        api = None
    if api is not None:
        # TensorRT-RTX builds for every RTX card, even on a machine without one.
        model = dynamic_batch(plan.model, options) if settings.max_batch > 1 else plan.model
        gpu = find_gpu()
        path, precision = ensure_engine(model, options, api, gpu)
        options.progress("")
        print(f"{path} ({precision}, {api})")
        if gpu is None:
            print(_ELSEWHERE, file=sys.stderr)
        return 0
    detector = Detector.load(plan, settings, options.progress)
    options.progress("")
    print(f"{plan.model.path.name}: {detector.runner.description}")
    detector.close()
    if detector.warnings:  # the result could not be stored, which is the purpose of this command
        raise CacheError(detector.warnings[0])
    return 0


def _tune(settings: DetectorSettings) -> int:
    from edgecam_core.models.tuning import is_open, tune

    if not is_open(settings):
        raise SettingError(
            "backend", settings.backend, "or the precision must be auto; otherwise there is nothing to choose"
        )
    steps = _Steps()
    ranked = tune(settings, steps)
    steps("")
    for choice in ranked:
        print(choice)
    return 0


def _list(settings: DetectorSettings) -> int:
    from edgecam_core.inference import artifacts

    where = artifacts.folder(settings.cache_folder)
    found = list(artifacts.list_artifacts(where))
    if not found:
        print(f"nothing in {where}")
    for artifact in found:
        facts = artifact.facts()
        size = artifact.path.stat().st_size / 2**20 if artifact.path.exists() else 0.0
        state = artifact.mismatch({}) or "ok"
        made_for = f"{facts.get('tensorrt', 'ONNX')}  {facts.get('gpu', '-')}"
        print(f"{artifact.path.name}  {size:.1f} MiB  {made_for}  {state}")
    return 0


def _clean(settings: DetectorSettings) -> int:
    from edgecam_core.inference import artifacts

    removed = 0
    for artifact in list(artifacts.list_artifacts(artifacts.folder(settings.cache_folder))):
        artifact.remove()
        removed += 1
    print(f"{removed} removed")
    return 0


class _Steps:
    """Prints progress to stderr: one changing line on a terminal (an empty text clears it), else one line per step."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def __call__(self, text: str) -> None:
        kind = re.sub(r" \d+ of \d+$", "", text)
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="\r", file=sys.stderr, flush=True)
        elif kind and kind not in self._printed:
            self._printed.add(kind)
            print(kind, file=sys.stderr, flush=True)
