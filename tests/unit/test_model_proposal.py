"""A model that passed the gate waits for approval of exactly the version that was shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from edgecam_core.cli.main import main
from edgecam_core.errors import ModelError
from edgecam_core.models import proposal
from edgecam_core.models.proposal import PENDING, REFUSED, Proposal
from edgecam_core.models.store import ModelStore
from tiny_models import color_detector


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store with two versions of 'door', the first one deployed."""
    store = ModelStore(tmp_path / "store")
    report = tmp_path / "report.html"
    report.write_text("<p>passed</p>")
    for labels in (["BACKGROUND", "red", "green", "blue"], ["BACKGROUND", "rot", "gruen", "blau"]):
        model = color_detector(tmp_path / "m.onnx", metadata={"labels": json.dumps(labels)})
        store.add(model, "door", [report])
    store.deploy("door", 1)
    return store


def offer(store: ModelStore, version: int = 2, state: str = PENDING) -> Proposal:
    stored = store.version("door", version)
    report = stored.folder / "report.html"
    made = Proposal("door", state, "passed", version, stored.facts["sha256"], report, {"after": "72.8"})
    proposal.write(store, made)
    found = proposal.read(store, "door")
    assert found is not None
    return found


def current(store: ModelStore) -> int:
    return store.version("door").number


def test_nothing_is_deployed_before_the_approval_and_once_by_it(store: ModelStore) -> None:
    assert proposal.all_in(store) == []
    offered = offer(store)
    assert proposal.all_in(store) == [offered]
    assert offered.report == store.version("door", 2).folder / "report.html"
    assert offered.figures == {"after": "72.8"}
    assert current(store) == 1
    assert proposal.approve(store, "door", offered.version, offered.sha256).number == 2
    assert current(store) == 2
    store.rollback("door")
    with pytest.raises(ModelError, match=r"no version of .door. waits for approval.*was approved"):
        proposal.approve(store, "door", offered.version, offered.sha256)
    assert current(store) == 1


def test_an_approval_never_reaches_another_version_than_the_one_shown(store: ModelStore, tmp_path: Path) -> None:
    shown = offer(store)
    third = store.add(store.version("door", 1).path, "door")
    offer(store, third.number)
    with pytest.raises(ModelError, match="version 3 of 'door' waits for approval, not 2"):
        proposal.approve(store, "door", shown.version, shown.sha256)
    with pytest.raises(ModelError, match="is not the model that was proposed"):
        proposal.approve(store, "door", third.number, shown.sha256)
    assert current(store) == 1


def test_a_swapped_removed_refused_or_declined_version_is_not_deployed(store: ModelStore) -> None:
    offered = offer(store, state=REFUSED)
    with pytest.raises(ModelError, match="waits for approval"):
        proposal.approve(store, "door", offered.version, offered.sha256)
    offered = offer(store)
    proposal.decline(store, "door", offered.version)
    with pytest.raises(ModelError, match="was declined"):
        proposal.approve(store, "door", offered.version, offered.sha256)
    offered = offer(store)
    path = store.version("door", 2).path
    path.write_bytes(store.version("door", 1).path.read_bytes())
    with pytest.raises(ModelError, match="SHA-256"):
        proposal.approve(store, "door", offered.version, offered.sha256)
    store.remove("door", 2)
    with pytest.raises(ModelError, match="no version 2"):
        proposal.approve(store, "door", offered.version, offered.sha256)
    assert current(store) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"state": "pending"}', b"\xff\xfe", b'{"state": "ha", "text": "", "version": 1, "sha256": ""}'],
)
def test_a_damaged_file_is_not_a_proposal(store: ModelStore, content: bytes) -> None:
    (store.root / "door" / proposal.FILE).write_bytes(content)
    assert proposal.all_in(store) == []
    with pytest.raises(ModelError):
        proposal.approve(store, "door", 2, "")


def test_a_report_outside_the_store_is_not_shown(store: ModelStore, tmp_path: Path) -> None:
    offered = offer(store)
    row = json.loads((store.root / "door" / proposal.FILE).read_text())
    (store.root / "door" / proposal.FILE).write_text(json.dumps({**row, "report": "../../report.html"}))
    assert (tmp_path / "report.html").is_file()
    assert proposal.read(store, "door") == replace(offered, report=None)


def test_the_command_lists_approves_and_declines(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    def edgecam(*words: str) -> int:
        return main(["model", "--store", str(store.root), *words])

    assert edgecam("pending") == 0
    assert "--watch" in capsys.readouterr().out
    assert edgecam("approve", "door") == 1
    assert "no version of 'door' waits" in capsys.readouterr().err
    offer(store)
    assert edgecam("pending") == 0
    assert "pending" in capsys.readouterr().out
    assert edgecam("decline", "door") == 0
    assert current(store) == 1
    offer(store)
    assert edgecam("approve", "door") == 0
    assert current(store) == 2
