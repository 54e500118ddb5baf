"""Parts of the doctor that need hardware or another user, on simulated facts."""

from __future__ import annotations

import importlib.util
import os
import stat
from pathlib import Path

import pytest
from edgecam_core.doctor import Level, examine, examine_group, nvidia, ros_environment, system

from edgecam_core import doctor


def device(mode: int, user: int = 0, group: int = 44) -> os.stat_result:
    return os.stat_result((stat.S_IFCHR | mode, 0, 0, 1, user, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("facts", "user", "groups", "may"),
    [
        (device(0o660), 1000, [44], True),
        (device(0o660), 1000, [1000], False),
        (device(0o666), 1000, [1000], True),
        (device(0o600, user=1000), 1000, [], True),
        (device(0o060), 0, [44], False),  # the owner's bits count for the owner, not the group's
        (device(0o440), 1000, [44], False),
    ],
)
def test_permissions_of_a_camera(facts: os.stat_result, user: int, groups: list[int], may: bool) -> None:
    assert system.may_open(facts, user, groups) is may


def test_a_file_in_place_of_a_camera(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.write_text("")
    (finding,) = system._cameras([str(path)])
    assert finding.level is Level.ERROR
    assert str(path) in finding.remedy


def test_a_small_socket_buffer(tmp_path: Path) -> None:
    path = tmp_path / "rmem_max"
    path.write_text("212992\n")
    finding = system._socket_buffer(path)
    assert finding.level is Level.WARNING
    assert "sysctl" in finding.remedy


def test_a_driver_without_its_library(tmp_path: Path) -> None:
    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.1\n")
    findings = {one.key: one for one in nvidia.check(driver, tmp_path / "none")}
    assert findings["nvidia-driver"].text.startswith("NVRM version")
    assert findings["cuda"].level in (Level.ERROR, Level.OK)  # OK only on a machine with a real driver
    if findings["cuda"].level is Level.ERROR:
        assert findings["cuda"].remedy
    there = any(importlib.util.find_spec(name) for name in ("pycuda", "cuda"))  # TensorRT runs through either
    assert findings["cuda-python"].level is (Level.OK if there else Level.WARNING)


def test_a_missing_driver_is_not_a_fault(tmp_path: Path) -> None:
    (finding,) = nvidia.check(tmp_path / "none", tmp_path / "none")
    assert finding.level is Level.NOTE


def test_the_shipped_profile_has_a_large_segment() -> None:
    assert ros_environment.segment_size(Path(__file__).parents[2] / "config" / "fastdds.xml") == 40 * 2**20


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty package that can be imported, with a name of its own in each test."""
    package = tmp_path / f"planted_{tmp_path.name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return package


def test_a_check_that_fails_or_crashes_is_a_finding_and_the_others_continue(planted: Path) -> None:
    good = '"""Good."""\nfrom edgecam_core.doctor import ok\ndef check():\n    yield ok("good", "fine")\n'
    (planted / "a_good.py").write_text(good)
    (planted / "b_raises.py").write_text('"""Raises."""\ndef check():\n    raise OSError("disk on fire")\n')
    (planted / "c_crashes.py").write_text('"""Crashes."""\nimport os\ndef check():\n    os.abort()\n')
    found = {one.key: one for one in examine([planted.name, "no_such_package.doctor"])}
    assert found["good"].level is Level.OK
    assert found["good"].group == "Good"
    assert "disk on fire" in found["b_raises-check"].text
    assert "ended with exit code -6" in found["c_crashes-check"].text
    assert all(one.remedy for one in found.values() if one.level is Level.ERROR)


def test_a_check_that_hangs_is_a_finding(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TIMEOUT", 1.0)
    (planted / "d_hangs.py").write_text('"""Hangs."""\nimport time\ndef check():\n    time.sleep(600)\n')
    (finding,) = examine([planted.name])
    assert (finding.key, finding.level) == ("d_hangs-check", Level.ERROR)
    assert "did not finish within 1 s" in finding.text
    assert finding.remedy


def test_this_machine_can_be_examined() -> None:
    assert {one.key for one in examine_group("edgecam_core.doctor.system")} >= {"cache", "clock", "udp-buffer"}
