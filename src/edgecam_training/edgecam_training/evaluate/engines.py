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

"""Opens TensorRT engine files with the detector's interface.

An engine contains neither labels nor normalisation. They come from the ONNX file it was built from, which is identified
by its hash in the sidecar file of ``edgecam engine build``.
"""

from __future__ import annotations

from pathlib import Path

from edgecam_core.errors import EdgecamError, ModelError
from edgecam_core.inference.artifacts import Artifact
from edgecam_core.inference.runner import RunnerOptions
from edgecam_core.inference.tensorrt_runner import TensorRtRunner
from edgecam_core.models import zoo
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.plan import Plan


def open_engine(engine: Path, onnx: str, settings: DetectorSettings) -> Detector:
    """A detector of an engine file.

    Args:
        onnx: the file the engine was built from; empty: found by the sidecar, next to the engine, in the working
            directory or in the zoo.

    Raises:
        ModelError: no such engine or ONNX file, another ONNX file, or this machine cannot run the engine.
        MissingDependency: TensorRT is not installed.
    """
    if not engine.is_file():
        raise ModelError(f"engine '{engine}': there is no such file; make one with edgecam engine build")
    facts = Artifact(engine).facts()
    plan = Plan.read(settings.changed(model=onnx or str(_source(engine, facts))))
    expected = facts.get("model_sha256")
    if expected and plan.model.sha256 != expected:
        raise ModelError(
            f"engine '{engine}' was built from another {plan.model.path.name}, with SHA-256 {expected[:12]}…"
        )
    options = RunnerOptions(max_batch=int(facts.get("max_batch", 1)))
    try:
        runner = TensorRtRunner.load_engine(engine, options)
    except EdgecamError as error:
        raise type(error)(f"engine '{engine}': {error}") if isinstance(error, ModelError) else error from error
    return Detector(plan, runner, settings)


def _source(engine: Path, facts: dict[str, object]) -> Path:
    name = str(facts.get("model", ""))
    for folder in (engine.parent, Path()):
        if name and (folder / name).is_file():
            return folder / name
    if Path(name).stem in zoo.MODELS:
        return zoo.fetch(Path(name).stem)
    raise ModelError(f"engine '{engine}': {name or 'what it was built from'} is not found; name the file with --onnx")
