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

"""Measures energy if the machine has a power sensor. RAPL may need root: some systems restrict its counters.

The first available of three sources is used: INA3221 power monitors of Jetson boards (``/sys/class/hwmon``: the rail
of the whole board, in mV and mA), NVIDIA's driver (``nvidia-smi``, the graphics card), Intel's and AMD's RAPL counters
(``/sys/class/powercap``, the processor packages).
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_SYS = Path("/sys")
_PERIOD = 0.1  # seconds between two power readings
_INPUT_RAILS = ("VDD_IN", "POM_5V_IN", "VDD_SYS", "SYS5V")  # supply of the whole board


@dataclass(frozen=True)
class EnergySource:
    """``watts`` reads the current power; ``joules`` reads counters with their wrap values; one of them is None."""

    name: str
    watts: Callable[[], float] | None = None
    joules: Callable[[], list[tuple[float, float]]] | None = None


def find(sys: Path = _SYS) -> EnergySource | None:
    """The machine's energy source, or None."""
    return _ina3221(sys) or _nvidia() or _rapl(sys)


class EnergyMeter:
    """Measures during a ``with`` block; sets ``joules`` at its end, None if no source is available."""

    def __init__(self, source: EnergySource | None) -> None:
        self.joules: float | None = None
        self._source = source
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="power", daemon=True)

    def __enter__(self) -> EnergyMeter:
        self._before = self._source.joules() if self._source and self._source.joules else None
        if self._source and self._source.watts:
            self._thread.start()
        return self

    def _sample(self) -> None:
        assert self._source is not None
        assert self._source.watts is not None
        sum_, last = 0.0, time.perf_counter()
        try:
            while True:
                ended = self._ends.wait(_PERIOD)
                power, now = self._source.watts(), time.perf_counter()
                sum_, last = sum_ + power * (now - last), now
                if ended:
                    break
        except (OSError, ValueError, subprocess.SubprocessError):
            return  # the sensor failed: no result
        self.joules = sum_

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._before is not None and self._source and self._source.joules:
            pairs = zip(self._before, self._source.joules(), strict=True)
            self.joules = sum((after - before) % wraps_at for (before, wraps_at), (after, _) in pairs)


def _ina3221(sys: Path) -> EnergySource | None:
    for label in sorted(sys.glob("class/hwmon/hwmon*/in*_label")):
        if _text(label) in _INPUT_RAILS:
            number = label.name.removeprefix("in").removesuffix("_label")
            volts, amperes = (label.with_name(f"{kind}{number}_input") for kind in ("in", "curr"))
            if _readable(volts) and _readable(amperes):
                return EnergySource(f"INA3221 {_text(label)}", watts=partial(_watts, volts, amperes))
    return None


def _watts(millivolts: Path, milliamperes: Path) -> float:
    return float(millivolts.read_text()) * float(milliamperes.read_text()) / 1e6


def _nvidia() -> EnergySource | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]

    def watts() -> float:
        text = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        return sum(float(line) for line in text.split())

    try:
        watts()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return EnergySource("nvidia-smi", watts=watts)


def _rapl(sys: Path) -> EnergySource | None:
    """The RAPL counters of processor packages; their sub-zones would be counted twice."""
    zones = [
        zone for zone in sorted(sys.glob("class/powercap/intel-rapl:*"))
        if _text(zone / "name").startswith("package") and _readable(zone / "energy_uj")
    ]  # fmt: skip
    if not zones:
        return None

    def joules() -> list[tuple[float, float]]:
        files = ("energy_uj", "max_energy_range_uj")
        pairs = ([float((zone / file).read_text()) / 1e6 for file in files] for zone in zones)
        return [(used, most) for used, most in pairs]

    return EnergySource("RAPL", joules=joules)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _readable(path: Path) -> bool:
    return _text(path).isdigit()
