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

"""Runs ``edgecam improve`` on another machine over ssh: copies the data there, model and report back, and cleans up."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED
from edgecam_core.errors import EdgecamError, MissingDependency, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models.zoo import locate

from edgecam_core import cache
from edgecam_training.improve import field, precision, recipe
from edgecam_training.improve.improve import Outcome, Request
from edgecam_training.improve.judge import Verdict
from edgecam_training.improve.measure import Progress

FILES = ("model.onnx", "report.json", "report.html")
REFUSED = 3
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:%\[\]-]*")
_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=20")
_CONNECTION, _NO_COMMAND = 255, 127


class RemoteError(EdgecamError):
    """The other machine cannot be reached, or the run failed there."""


def improve_on(
    host: str, request: Request, folders: Sequence[tuple[str, Path]], command: str, progress: Progress
) -> Outcome:
    """As :func:`edgecam_training.improve.improve.improve`, on ``host``. Blocks until the end of the run.

    An interrupted run continues when started again with the same data. A finished run leaves nothing on the other
    machine.

    Args:
        host: a host for ssh, ``user@host`` or a name in ~/.ssh/config, with access by key.
        folders: options and folders of additional data (``--old-set``, ``--replay``).
        command: the command that starts edgecam on the host.

    Raises:
        RemoteError: no connection, no edgecam on the host, or it failed; the message ends with its output.
        SettingError: invalid host name, or a data set is a single file.
        MissingDependency: ssh is not installed on this machine.
    """
    if not _HOST.fullmatch(host):
        raise SettingError("on", host, "must be a host name for ssh, for example user@192.168.1.20")
    for option, folder in folders:
        if not folder.is_dir():
            raise SettingError(option.lstrip("-"), str(folder), "must be a folder, with --on")
    model = ModelFile.read(locate(request.model))
    images = field.reviewed(request.collection)
    data = recipe.of_data(model, images, request.split(images), request.seed)
    key = hashlib.sha256(f"{data['data']} {model.sha256} {[str(folder) for folder in folders]}".encode()).hexdigest()[
        :16
    ]
    remote = f".cache/edgecam/improve-{key}"  # relative to the home folder
    progress(f"copying {len(images)} reviewed frames to {host}")
    _send(host, remote, request.collection, model, folders)
    live = precision.of_live(model, request.precision)
    options = [
        "collection", "--model", f"model/{model.path.name}", "--output", "run",
        "--max-loss", f"{100 * request.max_loss:g}", "--max-false-alarms", repr(request.max_false_alarms),
        "--test-share", repr(request.test_share), "--gap-seconds", repr(request.gap_seconds),
        "--seed", str(request.seed), "--precision", live,
        "--train", request.train,
    ]  # fmt: skip
    options += [word for camera in request.test_cameras for word in ("--test-camera", camera)]
    options += [word for option, _ in folders for word in (option, option.lstrip("-"))]
    _work(host, f"cd {remote} && {command} improve {shlex.join(options)}", progress)
    progress(f"fetching the model from {host}")
    _fetch(host, remote, request.output, FILES if live == model.precision else (*FILES, f"model.{live}.onnx"))
    outcome = _outcome(request.output, model, data, host)
    _run(host, f"rm -rf {remote}")
    return outcome


def _ssh(host: str, command: str) -> list[str]:
    return ["ssh", *_OPTIONS, host, command]


def _run(host: str, command: str) -> None:
    with _started(host, command):
        pass


@contextlib.contextmanager
def _started(host: str, command: str, **pipes: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command over ssh during the block, then check its exit code."""
    try:
        process = subprocess.Popen(_ssh(host, command), stderr=subprocess.PIPE, **pipes)  # type: ignore[call-overload]
    except FileNotFoundError:
        raise MissingDependency("the program 'ssh'", "apt-get install openssh-client") from None
    try:
        with contextlib.suppress(BrokenPipeError):
            yield process
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        output = process.stderr.read().decode(errors="replace")
        code = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    if code:
        raise _failed(host, code, output)


def _failed(host: str, code: int, output: str) -> RemoteError:
    last = "; ".join(line.strip() for line in output.strip().splitlines()[-3:]) or f"exit code {code}"
    if code == _CONNECTION:
        return RemoteError(f"{host} cannot be reached: {last}. 'ssh {host} true' must work without a password")
    if code == _NO_COMMAND:
        remedy = (
            "install edgecam there, or give --on-command, for example 'source edgecam/install/setup.bash && edgecam'"
        )
        return RemoteError(f"edgecam was not found on {host}: {last}; {remedy}")
    return RemoteError(f"the run on {host} failed: {last}; start the same command again to continue")


def _send(host: str, remote: str, collection: Path, model: ModelFile, folders: Sequence[tuple[str, Path]]) -> None:
    unpack = f"mkdir -p {remote} && tar -xf - -C {remote}"
    with (
        _started(host, unpack, stdin=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdin, mode="w|") as archive,
    ):
        for path, name in _needed(collection):
            archive.add(path, f"collection/{name}")
        for path in (model.path, *model.data_files):
            archive.add(path, f"model/{path.relative_to(model.path.parent)}")
        for option, folder in folders:
            archive.add(folder, option.lstrip("-"))


def _needed(root: Path) -> Iterator[tuple[Path, str]]:
    """Files and archive names of the reviewed frames; other frames are not sent."""
    collection = Collection.open(root)
    yield collection.root / "collection.json", "collection.json"
    for review in collection.reviews():
        if review.state == REVIEWED:
            image = collection.stored_image(collection.frame(review.id))
            for name in (f"frames/{review.id}.json", f"reviews/{review.id}.json"):
                yield collection.root / name, name
            yield image, str(image.relative_to(collection.root.resolve()))


def _work(host: str, command: str, progress: Progress) -> None:
    """Run a command and pass its lines to ``progress``; a refused model is not a failure."""
    process = subprocess.Popen(
        _ssh(host, command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            progress(f"{host}: {line.strip()}")
        code = process.wait()
    finally:
        process.kill()
        process.wait()
    if code not in (0, REFUSED):
        raise _failed(host, code, "".join(lines))


def _fetch(host: str, remote: str, output: Path, files: Sequence[str]) -> None:
    names = " ".join(files)
    with cache.explained(output):
        output.mkdir(parents=True, exist_ok=True)
    with _started(host, f"tar -cf - -C {remote}/run {names}", stdout=subprocess.PIPE) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() and member.name in files else None
                    if content is not None:
                        cache.write(output / member.name, content.read())
        except tarfile.TarError as error:
            raise RemoteError(f"{host} returned no archive: {error}") from error


def _outcome(output: Path, parent: ModelFile, data: dict[str, Any], host: str) -> Outcome:
    """The outcome in the returned files; RemoteError if the model was not trained from the sent data."""
    try:
        facts = json.loads((output / "report.json").read_text(encoding="utf-8"))
        made = facts["made"]
        verdict = Verdict(facts["verdict"]["passed"], facts["verdict"]["enough"], tuple(facts["verdict"]["reasons"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RemoteError(f"the report from {host} is invalid: {error}") from error
    model = ModelFile.read(output / "model.onnx")
    if different := [name for name, value in data.items() if made.get(name) != value]:
        names = ", ".join(different)
        raise RemoteError(f"{host} returned a model with another {names}; does it have the same version of edgecam?")
    if model.metadata.get("edgecam.parent_sha256") != parent.sha256:
        raise RemoteError(f"{host} returned a model that its report does not describe")
    facts["made_on"] = host
    return Outcome(output / "model.onnx", verdict, facts)
