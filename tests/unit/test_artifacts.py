"""Derived model files: made once, described, rebuilt when stale, shared between processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from edgecam_core.cache import CacheError
from edgecam_core.errors import ModelError
from edgecam_core.inference.artifacts import Artifact, list_artifacts
from edgecam_core.inference.backends import open_runner
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.inference.openvino_runner import OpenVinoRunner
from edgecam_core.inference.runner import Runner, RunnerOptions
from tiny_models import color_detector

from edgecam_core import cache


class Maker:
    """Counts how often an artifact is made."""

    def __init__(self, data: bytes = b"engine") -> None:
        self.data = data
        self.count = 0
        self.lock = threading.Lock()

    def __call__(self) -> tuple[bytes, dict[str, object]]:
        with self.lock:
            self.count += 1
        return self.data, {"layers": {"fp16": 3}}


FACTS = {"model_sha256": "abc", "gpu": "Orin", "precision": "fp16"}


def test_an_artifact_is_made_once_and_described(tmp_path: Path) -> None:
    make, artifact = Maker(), Artifact(tmp_path / "new" / "m.engine")
    for _ in range(3):
        assert artifact.get(FACTS, make).read_bytes() == b"engine"
    assert make.count == 1
    assert artifact.facts()["gpu"] == "Orin"
    assert artifact.facts()["layers"] == {"fp16": 3}
    assert [item.path for item in list_artifacts(tmp_path / "new")] == [artifact.path]


DAMAGES = {
    "facts": "gpu is 'Thor' now, the file was built for 'Orin'",
    "content": "the file is not the one its sidecar describes",
    "sidecar": "is missing or unreadable",
    "garbage": "is missing or unreadable",
    "gone": "it does not exist yet",
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.items())
def test_a_stale_artifact_is_rebuilt_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str, reason: str
) -> None:
    make, artifact = Maker(), Artifact(tmp_path / "m.engine")
    artifact.get(FACTS, make)
    facts = dict(FACTS)
    if damage == "facts":
        facts["gpu"] = "Thor"
    elif damage == "content":
        artifact.path.write_bytes(b"engin")
    elif damage == "sidecar":
        artifact.sidecar.unlink()
    elif damage == "garbage":
        artifact.sidecar.write_text("{")
    else:
        artifact.path.unlink()
    artifact.get(facts, make)
    assert make.count == 2
    assert reason in caplog.text
    assert artifact.mismatch(facts) == ""


def test_two_processes_build_an_artifact_once(tmp_path: Path) -> None:
    make, artifact = Maker(), Artifact(tmp_path / "m.engine")
    threads = [threading.Thread(target=artifact.get, args=(FACTS, make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.count == 1


BUILDER = """
import signal, sys
from pathlib import Path
from edgecam_core.inference.artifacts import Artifact

def build():
    print("building", flush=True)
    signal.pause()

Artifact(Path(sys.argv[1])).get({"gpu": "Orin"}, build)
"""


def test_a_killed_builder_does_not_block_others(tmp_path: Path) -> None:
    path = tmp_path / "m.engine"
    waiting = threading.Event()
    with subprocess.Popen([sys.executable, "-c", BUILDER, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"building\n"
        make, options = Maker(), RunnerOptions(progress=lambda _: waiting.set())
        mine = threading.Thread(target=Artifact(path).get, args=(FACTS, make), kwargs=options.artifact_options())
        mine.start()
        assert waiting.wait(120)
        assert make.count == 0
        other.kill()
        mine.join(60)
    assert make.count == 1
    assert Artifact(path).mismatch(FACTS) == ""
    assert [item.path for item in list_artifacts(tmp_path)] == [path]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> tuple[bytes, dict[str, object]]:
        raise ModelError("no")

    artifact = Artifact(tmp_path / "m.engine")
    with pytest.raises(ModelError):
        artifact.get(FACTS, fail)
    assert not artifact.path.exists()
    assert artifact.get(FACTS, Maker()).exists()


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match=r"cannot write .*file: .*; make it writable"):
        Artifact(tmp_path / "file" / "m.engine").get(FACTS, Maker())


def test_an_artifact_that_cannot_be_stored_is_used_from_a_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    make, reports = Maker(), []
    path = Artifact(tmp_path / "file" / "m.engine").get(FACTS, make, degraded=reports.append)
    assert path.read_bytes() == b"engine"
    assert make.count == 1
    assert "cannot write" in reports[0]
    assert "every start rebuilds m.engine" in reports[0]


def test_a_full_disk_does_not_fail_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        if path.parent == tmp_path:
            raise CacheError("the disk is full")
        path.write_bytes(data)

    monkeypatch.setattr(cache, "write", full)
    make, reports = Maker(), []
    path = Artifact(tmp_path / "m.engine").get(FACTS, make, degraded=reports.append)
    assert (path.read_bytes(), make.count) == (b"engine", 1)
    assert "the disk is full" in reports[0]


def test_auto_skips_a_back_end_whose_cache_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Runner:
        raise CacheError("the disk is full")

    monkeypatch.setattr(OpenVinoRunner, "load", fail)
    runner = open_runner(ModelFile.read(color_detector(tmp_path / "m.onnx")))
    assert runner.name == "onnxruntime"
    assert runner.rejected["openvino on cpu"] == "the disk is full"


def test_a_wait_for_another_process_is_reported_and_can_be_cancelled(tmp_path: Path) -> None:
    class LoadAbandoned(Exception):
        pass

    reports: list[str] = []

    def progress(text: str) -> None:
        reports.append(text)
        if len(reports) == 3:
            raise LoadAbandoned

    make, artifact = Maker(), Artifact(tmp_path / "m.engine")
    with cache.lock(tmp_path / "m.engine.lock"), pytest.raises(LoadAbandoned):
        artifact.get(FACTS, make, progress=progress)
    assert make.count == 0
    assert "waiting for another process" in reports[0]


def test_a_foreign_engine_is_not_trusted(tmp_path: Path) -> None:
    artifact = Artifact(tmp_path / "m.engine")
    artifact.path.write_bytes(b"from the internet")
    artifact.sidecar.write_text(json.dumps({**FACTS, "sha256": "0" * 64}))
    make = Maker()
    assert artifact.get(FACTS, make).read_bytes() == b"engine"
    assert make.count == 1
