import math
import threading

import pytest
from edgecam_core.counters import Counters, Meter


def test_counters_report_once_and_keep_totals() -> None:
    counters = Counters()
    threads = [threading.Thread(target=lambda: [counters.add("late") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counters.add("short", 2)
    assert counters.take() == "2000 x late, 2 x short"
    assert counters.take() == ""
    assert counters.totals() == {"late": 2000, "short": 2}


def test_counters_stay_bounded_with_ever_new_reasons() -> None:
    counters = Counters(max_reasons=2)
    for width in (1, 2, 3, 4, 1):
        counters.add(f"{width} pixels")
    assert counters.totals() == {"1 pixels": 2, "2 pixels": 1, "others": 2}
    assert counters.take() == "2 x 1 pixels, 1 x 2 pixels, 2 x others"
    counters.add("5 pixels")
    assert counters.take() == "1 x 5 pixels"


def test_meter_rate_and_percentile() -> None:
    meter = Meter(window=5.0)
    for i in range(100):
        meter.add(i / 25, value=i / 1000)
    assert meter.rate(99 / 25) == pytest.approx(25, rel=0.02)
    assert meter.percentile(99 / 25, 50) == pytest.approx(0.0495)
    assert meter.count == 100


def test_the_rate_falls_when_nothing_arrives() -> None:
    meter = Meter(window=5.0)
    for i in range(50):
        meter.add(i / 25)
    assert meter.rate(4.0) < 15
    assert meter.rate(60.0) == 0.0
    assert math.isnan(meter.percentile(60.0, 50))
