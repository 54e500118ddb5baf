"""Versions of models in plain folders: stored completely, deployed by a link, rolled back, checked by hash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from edgecam_core.cache import CacheError
from edgecam_core.cli.main import main
from edgecam_core.errors import ModelError
from edgecam_core.models.store import ModelStore
from edgecam_core.models.zoo import check_model, locate
from full_disk import files_of_at_most, read_only
from tiny_models import color_detector


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    names = (["BACKGROUND", "red", "green", "blue"], ["BACKGROUND", "rot", "gruen", "blau"])
    return [
        color_detector(tmp_path / f"m{number}.onnx", metadata={"labels": json.dumps(labels)})
        for number, labels in enumerate(names)
    ]


def test_versions_are_counted_and_only_a_deployed_one_is_current(store: ModelStore, models: list[Path]) -> None:
    first = store.add(models[0], "door", parent="none")
    second = store.add(models[1], "door")
    assert [(one.number, one.current) for one in store.versions("door")] == [(1, False), (2, False)]
    assert first.facts["parent"] == "none"
    with pytest.raises(ModelError, match="deploy one of 1, 2"):
        store.version("door")
    assert store.deploy("door").number == 2
    assert store.locate("store:door") == second.path
    assert store.locate("store:door@1") == first.path
    assert os.readlink(store.root / "door" / "current") == "2"


def test_rolling_back_goes_through_the_history(store: ModelStore, models: list[Path]) -> None:
    for number in range(3):
        store.add(models[number % 2], "door")
        store.deploy("door")
    assert store.rollback("door").number == 2
    assert store.rollback("door").number == 1
    with pytest.raises(ModelError, match="go back"):
        store.rollback("door")
    assert store.version("door").number == 1


def test_the_current_version_is_not_removed_and_numbers_are_not_reused(store: ModelStore, models: list[Path]) -> None:
    store.add(models[0], "door")
    store.deploy("door")
    store.add(models[1], "door")
    with pytest.raises(ModelError, match="deployed"):
        store.remove("door", 1)
    store.deploy("door", 2)
    store.deploy("door", 1)
    store.remove("door", 2)
    assert store.add(models[1], "door").number == 3


def test_a_file_replaced_on_disk_is_refused_and_the_current_one_stays(store: ModelStore, models: list[Path]) -> None:
    store.add(models[0], "door")
    store.deploy("door")
    other = store.add(models[1], "door")
    other.path.write_bytes(models[0].read_bytes())
    with pytest.raises(ModelError, match="SHA-256"):
        store.deploy("door", 2)
    assert store.version("door").number == 1
    with pytest.raises(ModelError, match="SHA-256"):
        store.locate("store:door@2")


def test_a_file_that_is_not_a_model_leaves_nothing_behind(store: ModelStore, tmp_path: Path) -> None:
    text = tmp_path / "x.onnx"
    text.write_text("not a model")
    with pytest.raises(ModelError):
        store.add(text, "door")
    assert store.names() == []


def test_a_full_disk_leaves_no_half_version_and_the_deployed_one(store: ModelStore, models: list[Path]) -> None:
    store.add(models[0], "door")
    store.deploy("door")
    with files_of_at_most(100), pytest.raises(CacheError, match=r"the disk is full; free some space$"):
        store.add(models[1], "door")
    assert [path.name for path in (store.root / "door").iterdir() if path.name.isdecimal()] == ["1"]
    assert not list((store.root / "door").glob(".new-*"))
    assert store.add(models[1], "door").number == 2
    with files_of_at_most(1), pytest.raises(CacheError, match="the disk is full"):
        store.deploy("door", 2)
    assert store.version("door").number == 1
    assert store.deploy("door", 2).number == 2
    with files_of_at_most(1), pytest.raises(CacheError, match="the disk is full"):
        store.rollback("door")
    assert store.version("door").number == 2
    assert store.rollback("door").number == 1


def test_a_read_only_store_refuses_every_change_and_can_be_used(
    store: ModelStore, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for model in models:
        store.add(model, "door")
        store.deploy("door")
    files = sorted(store.root.rglob("*"))
    with read_only(store.root):
        for words in (["deploy", "door", "1"], ["rollback", "door"], ["remove", "door", "1"],
                      ["import", str(models[0]), "door"], ["import", str(models[0]), "gate"]):  # fmt: skip
            assert main(["model", "--store", str(store.root), *words]) == 1, words
            error = capsys.readouterr().err.splitlines()[-1]
            assert error.startswith(f"error: cannot write {store.root}"), error
            assert error.endswith("; make it writable"), error
        assert sorted(store.root.rglob("*")) == files
        assert store.locate("store:door") == store.root / "door" / "2" / "model.onnx"
    assert store.rollback("door").number == 1


def test_a_deployment_that_ends_before_its_link_is_not_rolled_back_to(
    store: ModelStore, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(models[0], "door")
    store.deploy("door")
    store.add(models[1], "door")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", full)  # a link needs an inode, which no resource limit refuses
        with pytest.raises(CacheError, match="the disk is full"):
            store.deploy("door", 2)
    assert store.version("door").number == 1
    with pytest.raises(ModelError, match="go back"):
        store.rollback("door")
    assert store.version("door").number == 1


def test_a_file_replaced_on_disk_is_not_rolled_back_to(store: ModelStore, models: list[Path]) -> None:
    first = store.add(models[0], "door")
    store.deploy("door")
    store.add(models[1], "door")
    store.deploy("door")
    first.path.write_bytes(models[1].read_bytes())
    with pytest.raises(ModelError, match=r"not the file that was stored.*SHA-256"):
        store.rollback("door")
    assert store.version("door").number == 2


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "x" * 100])
def test_names_that_cannot_be_folders_are_refused(store: ModelStore, models: list[Path], name: str) -> None:
    with pytest.raises(ModelError):
        store.add(models[0], name)
    with pytest.raises(ModelError):
        store.version(name)


def test_the_parameter_model_takes_a_stored_one(
    store: ModelStore, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECAM_MODELS", str(store.root))
    stored = store.add(models[0], "door")
    with pytest.raises(ModelError, match="deploy"):
        check_model("store:door")
    store.deploy("door")
    check_model("store:door")
    assert locate("store:door") == stored.path
    with pytest.raises(ModelError, match="there are door"):
        check_model("store:window")
    with pytest.raises(ModelError, match="number"):
        check_model("store:door@new")


@pytest.mark.parametrize("target", ["{}/2", "./2", "2"])
def test_a_link_made_by_hand_counts_however_it_is_written(store: ModelStore, models: list[Path], target: str) -> None:
    for number in range(2):
        store.add(models[number], "door")
    folder = store.root / "door"
    (folder / "current").symlink_to(target.format(folder))
    assert store.version("door").number == 2


@pytest.mark.parametrize("target", ["7", "/nowhere/2", "../door", "../other/1", ""])
def test_a_dangling_link_is_not_a_deployment_and_the_next_one_replaces_it(
    store: ModelStore, models: list[Path], target: str
) -> None:
    store.add(models[0], "door")
    store.add(models[1], "other")
    (store.root / "door" / "current").symlink_to(target or "current")  # empty: a link to itself
    with pytest.raises(ModelError, match="deploy one of 1"):
        store.version("door")
    assert store.deploy("door").number == 1
    assert os.readlink(store.root / "door" / "current") == "1"


def test_two_processes_that_deploy_at_once_leave_one_of_the_two(store: ModelStore, models: list[Path]) -> None:
    for number in range(2):
        store.add(models[number], "door")
    program = (
        "import sys; from pathlib import Path; from edgecam_core.models.store import ModelStore;"
        "[ModelStore(Path(sys.argv[1])).deploy('door', int(sys.argv[2])) for _ in range(20)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(store.root), str(one)]) for one in (1, 2)]
    assert [one.wait(timeout=120) for one in running] == [0, 0]
    assert store.version("door").number in (1, 2)
    store.rollback("door")


def test_two_processes_that_store_at_once_get_different_numbers(store: ModelStore, models: list[Path]) -> None:
    program = (
        "import sys; from pathlib import Path; from edgecam_core.models.store import ModelStore;"
        "print(ModelStore(Path(sys.argv[1])).add(Path(sys.argv[2]), 'door').number)"
    )
    command = [sys.executable, "-c", program, str(store.root), str(models[0])]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(int(one.communicate(timeout=120)[0]) for one in running) == [1, 2, 3]


def test_the_commands_store_deploy_show_and_roll_back(
    store: ModelStore, models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"better": True}))

    def edgecam(*words: str) -> int:
        return main(["model", "--store", str(store.root), *words])

    assert edgecam("list") == 0
    assert "import FILE NAME" in capsys.readouterr().out
    assert edgecam("import", str(models[0]), "door", "--report", str(report)) == 0
    assert edgecam("import", str(models[1]), "door") == 0
    assert edgecam("deploy", "door", "1") == 0
    assert edgecam("deploy", "door") == 0
    capsys.readouterr()
    assert edgecam("rollback", "door") == 0
    assert edgecam("show", "door") == 0
    shown = capsys.readouterr().out
    assert "report.json" in shown
    assert "* door" in shown
    assert edgecam("remove", "door", "2") == 0
    assert edgecam("remove", "door", "1") == 1
    assert "roll back first" in capsys.readouterr().err


def test_a_model_from_a_url_needs_its_hash(
    store: ModelStore, models: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    address = models[0].as_uri()
    digest = hashlib.sha256(models[0].read_bytes()).hexdigest()
    words = ["model", "--store", str(store.root), "get", "door", "--url", address]
    assert main(words) == 1
    assert "--sha256" in capsys.readouterr().err
    assert main([*words, "--sha256", "0" * 64]) == 1
    assert store.names() == []
    assert main([*words, "--sha256", digest]) == 0
    assert store.versions("door")[0].facts["origin"] == address
