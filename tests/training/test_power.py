"""Energy readers against file trees like the kernel's, and a counter that wraps around."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgecam_training import power


def _write(root: Path, files: dict[str, object]) -> Path:
    for name, value in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{value}\n")
    return root


def test_jetson_board_rail(tmp_path: Path) -> None:
    _write(tmp_path / "class/hwmon/hwmon2", {
        "name": "ina3221", "in1_label": "VDD_CPU_GPU_CV", "in1_input": 5000, "curr1_input": 9999,
        "in2_label": "VDD_IN", "in2_input": 5040, "curr2_input": 2500,
    })  # fmt: skip
    source = power.find(tmp_path)
    assert source is not None
    assert source.name == "INA3221 VDD_IN"
    assert source.watts is not None
    assert source.watts() == pytest.approx(12.6)
    begin = time.perf_counter()
    with power.EnergyMeter(source) as meter:
        pass
    assert meter.joules is not None
    assert 0 < meter.joules <= 12.6 * (time.perf_counter() - begin)


def test_rapl_counts_packages_once_and_wraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no nvidia-smi
    zones = tmp_path / "class/powercap"
    for name, kind in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "package-1")):
        _write(zones / name, {"name": kind, "energy_uj": 9_000_000, "max_energy_range_uj": 10_000_000})
    with power.EnergyMeter(power.find(tmp_path)) as meter:
        _write(zones, {"intel-rapl:0/energy_uj": 9_500_000, "intel-rapl:1/energy_uj": 9_250_000})
    assert meter.joules == pytest.approx(0.75)
    with power.EnergyMeter(power.find(tmp_path)) as meter:
        _write(zones, {"intel-rapl:0/energy_uj": 9_900_000, "intel-rapl:1/energy_uj": 100_000})
    assert meter.joules == pytest.approx(0.4 + 0.85)  # the second has wrapped around and is at 10 J


def test_a_machine_without_sensors_has_no_power_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    source = power.find(tmp_path)
    assert source is None
    with power.EnergyMeter(source) as meter:
        pass
    assert meter.joules is None


def test_a_sensor_that_disappears_gives_no_measurement(tmp_path: Path) -> None:
    hwmon = _write(tmp_path / "class/hwmon/hwmon0", {"in1_label": "VDD_IN", "in1_input": 5000, "curr1_input": 100})
    with power.EnergyMeter(power.find(tmp_path)) as meter:
        (hwmon / "curr1_input").unlink()
    assert meter.joules is None
