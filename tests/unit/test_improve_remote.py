"""The work of `edgecam improve` is done on another machine, over ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from edgecam_core.errors import SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_training.improve.improve import Request as AnyRequest
from edgecam_training.improve.remote import RemoteError, improve_on
from field_frames import collect, default_model, silent
from network import free_tcp_port
from waiting import wait_until

Request = partial(AnyRequest, precision="fp32")  # not what a detector has measured on the machine of the test


@pytest.fixture(scope="module")
def model() -> Path:
    return default_model()


@pytest.fixture(scope="module")
def few(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect(tmp_path_factory.mktemp("few") / "c", model, panda=4)


SSH = """#!/bin/sh
# Stands in for ssh: runs the command in another home folder.
while [ "$1" = -o ]; do shift 2; done
echo "$1" >>"$SSH_HOME/hosts"
cd "$SSH_HOME" || exit 255
[ "$1" = nobody@nowhere ] && { echo "ssh: connect to host nowhere port 22: No route to host" >&2; exit 255; }
exec sh -c "$2"
"""


@pytest.fixture
def other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of another machine, in which the program 'ssh' on PATH works."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SSH_HOME", str(home))
    use_as_ssh(SSH, tmp_path / "bin", monkeypatch)
    return home


def use_as_ssh(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "ssh").write_text(script)
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_the_work_is_done_on_another_machine_and_nothing_stays_there(
    model: Path, few: Path, other_machine: Path, tmp_path: Path
) -> None:
    request = Request(few, str(model), tmp_path / "run", train="heads")
    lines: list[str] = []
    command = f"{sys.executable} -m edgecam_core.cli.main"
    outcome = improve_on("me@gpu", request, [], command, lines.append)
    assert not outcome.verdict.enough
    assert outcome.facts["made_on"] == "me@gpu"
    assert outcome.facts["made"]["parent"] == ModelFile.read(model).sha256
    assert outcome.facts["settings"]["train"] == "heads"
    assert outcome.model.is_file()
    assert "data:image/jpeg" in (tmp_path / "run" / "report.html").read_text()
    assert any(line.startswith("me@gpu: ") for line in lines)
    assert list((other_machine / ".cache" / "edgecam").iterdir()) == []
    assert set((other_machine / "hosts").read_text().split()) == {"me@gpu"}


SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@pytest.fixture
def ssh_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """OpenSSH's server on loopback with ``tmp_path/home`` as home folder, as the host "trainer" of this user's ssh."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("there is no OpenSSH server here: apt install openssh-server, which starts it")
    home, port = tmp_path / "home", free_tcp_port()
    home.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (tmp_path / "sshd.conf").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/user.pub\n"
        f'PidFile none\nUsePAM no\nStrictModes no\nForceCommand cd {home} && exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    (tmp_path / "ssh.conf").write_text(
        f"Host trainer\n HostName 127.0.0.1\n Port {port}\n IdentityFile {tmp_path}/user\n"
        f" UserKnownHostsFile {tmp_path}/known\n StrictHostKeyChecking accept-new\n"
    )
    script = f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh.conf "$@"\n'
    use_as_ssh(script, tmp_path / "bin", monkeypatch)
    with (
        (tmp_path / "sshd.log").open("w") as log,
        subprocess.Popen([SSHD, "-D", "-e", "-f", str(tmp_path / "sshd.conf")], stderr=log) as server,
    ):
        wait_until(lambda: "listening" in (tmp_path / "sshd.log").read_text(), what="the SSH server")
        yield home
        server.terminate()


def test_the_work_is_done_over_a_real_ssh_connection(model: Path, few: Path, ssh_server: Path, tmp_path: Path) -> None:
    request = Request(few, str(model), tmp_path / "run")
    lines: list[str] = []
    command = f"env PYTHONPATH={os.environ.get('PYTHONPATH', '')} {sys.executable} -m edgecam_core.cli.main"
    outcome = improve_on("trainer", request, [], command, lines.append)
    assert outcome.facts["made_on"] == "trainer"
    assert ModelFile.read(outcome.model).inputs
    assert any(line.startswith("trainer: ") for line in lines)
    assert list((ssh_server / ".cache" / "edgecam").iterdir()) == []
    (tmp_path / "user").unlink()
    with pytest.raises(RemoteError, match=r"trainer cannot be reached.*Permission denied.*without a password"):
        improve_on("trainer", request, [], command, silent)


def test_a_machine_that_cannot_help_is_named_with_the_reason(
    model: Path, few: Path, other_machine: Path, tmp_path: Path
) -> None:
    request = Request(few, str(model), tmp_path / "run")
    with pytest.raises(RemoteError, match=r"No route to host.*without a password"):
        improve_on("nobody@nowhere", request, [], "edgecam", silent)
    with pytest.raises(RemoteError, match="--on-command"):
        improve_on("me@gpu", request, [], "no-such-edgecam", silent)
    with pytest.raises(RemoteError, match="disk is full"):
        improve_on("me@gpu", request, [], "echo the disk is full >&2; exit 1;", silent)
    with pytest.raises(RemoteError, match="returned no archive"):  # it reports success without a result
        improve_on("me@gpu", request, [], "true", silent)
    with pytest.raises(SettingError, match="user@"):
        improve_on("-oProxyCommand=evil", request, [], "edgecam", silent)
    with pytest.raises(SettingError, match="must be a folder"):
        improve_on("me@gpu", request, [("--old-set", tmp_path / "gone")], "edgecam", silent)
    assert not (tmp_path / "run" / "model.onnx").exists()
