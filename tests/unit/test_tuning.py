"""Choosing how a model runs on the CPU: candidates, measurements, stored results."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from edgecam_core.cli import main as cli
from edgecam_core.errors import EdgecamError, ModelError, SettingError
from edgecam_core.inference.model_file import ModelFile
from edgecam_core.models import tuning
from edgecam_core.models.detector import Detector
from edgecam_core.models.detector_settings import DetectorSettings
from edgecam_core.models.opening import open_tuned
from edgecam_core.models.plan import Plan
from edgecam_core.models.tuning import (
    TuningChoice,
    allowed_precisions,
    measured,
    rank,
    start_tuning,
    stored_choice,
    tune,
)
from edgecam_core.models.zoo import fetch
from onnx import helper
from tiny_models import color_detector


def settings(model: Path, folder: Path, **more: object) -> DetectorSettings:
    return DetectorSettings(model=str(model), engine_cache=str(folder)).changed(**more)


def with_facts(path: Path, **facts: str | None) -> ModelFile:
    """The default model with other metadata; None removes a key."""
    proto = onnx.load(fetch())
    known = {item.key: item.value for item in proto.metadata_props} | {f"edgecam.{key}": facts[key] for key in facts}
    helper.set_model_props(proto, {key: value for key, value in known.items() if value is not None})
    onnx.save(proto, path)
    return ModelFile.read(path)


def choice(ms: float, cpu: float, threads: int = 2, backend: str = "onnxruntime") -> TuningChoice:
    return TuningChoice(backend, "auto", threads, ms, cpu)


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ([choice(9, 9, 1), choice(5, 10)], choice(5, 10)),  # faster, although it takes more CPU time
        ([choice(5.4, 6), choice(5, 10)], choice(5.4, 6)),  # equally fast
        ([choice(60, 9, 1), choice(80, 9.5), choice(40, 20)], choice(80, 9.5)),  # other processes used the CPU
        ([choice(60, 9, 1), choice(9, 20)], choice(60, 9, 1)),
    ],
)
def test_the_fastest_wins_and_cpu_time_decides_between_similar_times(
    found: list[TuningChoice], best: TuningChoice
) -> None:
    assert rank(found)[0] == best
    assert rank(found[::-1])[0] == best
    assert sorted(map(str, rank(found))) == sorted(map(str, found))


def test_int8_is_a_candidate_only_if_the_file_states_its_cost(tmp_path: Path) -> None:
    assert allowed_precisions(ModelFile.read(fetch())) == ["auto", "int8"]
    refused: dict[str, dict[str, str | None]] = {
        "costs too much": {"loss": '{"int8": 0.6}'},
        "may cost less": {"max_loss": "0.1"},
        "nothing is known": {"loss": None},
        "not a number": {"loss": '{"int8": "little"}'},
        "no ranges": {"ranges": None},
    }
    for name, facts in refused.items():
        assert allowed_precisions(with_facts(tmp_path / "m.onnx", **facts)) == ["auto"], name


def test_measurements_are_kept_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(color_detector(tmp_path / "m.onnx"), tmp_path / "engines")
    assert stored_choice(Plan.read(given), given) is None
    assert not open_tuned(given).tuned
    ranked = tune(given)
    assert {item.backend for item in ranked} >= {"onnxruntime"}
    assert all(item.ms > 0 and item.threads >= 1 for item in ranked)
    assert stored_choice(Plan.read(given), given) == ranked[0]
    subject = open_tuned(given)
    assert subject.tuned
    assert subject.runner.name == ranked[0].backend
    for other in (given.changed(max_batch=2), given.changed(threads=1)):
        assert stored_choice(Plan.read(other), other) is None
    assert not open_tuned(given.changed(tune=False)).tuned
    assert not open_tuned(given.changed(backend="onnxruntime", precision="fp32")).tuned
    monkeypatch.setattr(tuning, "_version", lambda _package: "0.0")  # another version may be faster in another way
    assert stored_choice(Plan.read(given), given) is None


def test_a_stored_choice_that_no_longer_loads_is_skipped(tmp_path: Path) -> None:
    given = settings(color_detector(tmp_path / "m.onnx"), tmp_path / "engines")
    artifact, facts = tuning._record(Plan.read(given), given)
    artifact.put(facts, json.dumps({"best": {**vars_of(choice(1, 1)), "precision": "int8"}}).encode())
    subject = open_tuned(given)
    assert not subject.tuned
    assert "cannot be loaded" in subject.warnings[0]
    for damaged in (b"{}", b"no json", b'{"best": {"name": 1}}'):
        artifact.put(facts, damaged)
        assert stored_choice(Plan.read(given), given) is None


def vars_of(item: TuningChoice) -> dict[str, object]:
    return {"backend": item.backend, "threads": item.threads, "ms": item.ms, "cpu_ms": item.cpu_ms}


def test_measuring_runs_in_a_separate_process(tmp_path: Path) -> None:
    given = settings(color_detector(tmp_path / "m.onnx"), tmp_path / "engines", classes=("red",))
    best = measured(start_tuning(given))[0]
    assert stored_choice(Plan.read(given), given) == best
    with pytest.raises(EdgecamError, match="there is no such file"):
        measured(start_tuning(given.changed(model=str(tmp_path / "missing.onnx"))))


def test_a_model_that_nothing_can_run_is_an_error(tmp_path: Path) -> None:
    given = settings(color_detector(tmp_path / "m.onnx"), tmp_path / "engines", backend="openvino", precision="fp32")
    with pytest.raises((ModelError, SettingError)):
        tune(given.changed(precision="int8"))


def test_the_command_measures_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, folder = str(color_detector(tmp_path / "m.onnx")), str(tmp_path / "engines")
    assert cli.main(["engine", "tune", "--model", model, "--engine-cache", folder]) == 0
    assert "onnxruntime fp32" in capsys.readouterr().out
    assert cli.main(["engine", "list", "--engine-cache", folder]) == 0
    assert "m-tuned-" in capsys.readouterr().out
    assert cli.main(["engine", "tune", "--model", model, "--backend", "torch", "--precision", "fp32"]) != 0
    assert "nothing to choose" in capsys.readouterr().err


def test_tracks_survive_a_change_of_back_end_for_the_same_model(tmp_path: Path) -> None:
    path = color_detector(tmp_path / "m.onnx")
    one, same = (Detector.open(settings(path, tmp_path, track=True)) for _ in range(2))
    other = Detector.open(settings(color_detector(tmp_path / "n.onnx", metadata={"x": 1}), tmp_path, track=True))
    one._trackers["front"] = tracker = object()  # type: ignore[assignment]
    same.continue_from(one)
    other.continue_from(one)
    assert same._trackers.get("front") is tracker
    assert other._trackers == {}
