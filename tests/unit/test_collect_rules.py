"""The observations that each rule keeps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from edgecam_core.collect.joiner import StampJoiner
from edgecam_core.collect.observation import Observation
from edgecam_core.collect.perceptual_hash import BITS, KeptHashes, perceptual_hash
from edgecam_core.collect.privacy import blurred
from edgecam_core.collect.rules import (
    REQUEST,
    RULES,
    WORTH,
    Disagree,
    Flicker,
    Novel,
    OfClass,
    Periodic,
    Uncertain,
    count_unmatched,
)
from edgecam_core.collect.settings import CollectorSettings
from edgecam_core.errors import SettingError
from edgecam_core.types import Detection, Frame

SECOND = 1_000_000_000
PIXELS = np.zeros((48, 64, 3), np.uint8)


def cat(score: float = 0.9, x: float = 10.0, label: str = "cat", track: str = "") -> Detection:
    return Detection(label, 0, score, (x, 10.0, x + 20, 30.0), track)


def seen(seconds: float, *found: Detection, camera: str = "front", **values: object) -> Observation:
    frame = Frame.from_array(PIXELS, "bgr8", round(seconds * SECOND), "lens")
    return Observation(camera, frame, found, **values)  # type: ignore[arg-type]


def test_a_score_in_the_band_is_uncertain() -> None:
    rule = Uncertain(CollectorSettings())
    assert rule.examine(seen(0, cat(0.9), cat(0.2))) is None
    match = rule.examine(seen(1, cat(0.9), cat(0.58), cat(0.44)))
    assert match is not None
    assert match.value == 0.44


def test_the_frame_in_which_a_track_was_lost_is_kept_when_it_is_found_again() -> None:
    rule = Flicker(CollectorSettings())
    there = [cat(track="7")]
    assert all(rule.examine(seen(second, *there)) is None for second in (0.0, 0.1))
    assert rule.examine(seen(0.2)) is None
    assert rule.examine(seen(0.3)) is None
    match = rule.examine(seen(0.4, *there))
    assert match is not None
    assert match.observation.stamp_ns == round(0.2 * SECOND)
    assert match.value == pytest.approx(0.3)
    assert rule.examine(seen(0.5, *there)) is None


def test_a_track_gone_for_too_long_does_not_flicker() -> None:
    rule = Flicker(CollectorSettings(flicker_seconds=0.5))
    rule.examine(seen(0, cat(track="7")))
    rule.examine(seen(0.1))
    assert rule.examine(seen(0.7, cat(track="7"))) is None


def test_a_label_that_changes_within_a_track_flickers_and_cameras_do_not_mix() -> None:
    rule = Flicker(CollectorSettings())
    rule.examine(seen(0, cat(track="7")))
    assert rule.examine(seen(0.05, cat(label="dog", track="7"), camera="rear")) is None
    match = rule.examine(seen(0.1, cat(label="dog", track="7")))
    assert match is not None
    assert match.value == 0


def test_a_timeline_that_starts_over_is_not_a_gap() -> None:
    rule = Flicker(CollectorSettings())
    rule.examine(seen(100, cat(track="7")))
    rule.examine(seen(1))
    assert rule.examine(seen(1.1, cat(track="7"))) is None


def test_novel_disagree_class_and_interval() -> None:
    settings = CollectorSettings(rules=("class",), keep_classes=("dog",), interval=10.0)
    assert Novel(settings).examine(seen(0, distance=13)) is None
    assert Novel(settings).examine(seen(0, distance=14)) is not None
    assert Novel(settings).examine(seen(0)) is None
    assert Disagree(settings).examine(seen(0, cat())) is None
    assert Disagree(settings).examine(seen(0, cat(), shadow=(cat(x=12),))) is None
    match = Disagree(settings).examine(seen(0, cat(), shadow=(cat(label="dog"),)))
    assert match is not None
    assert match.value == 2
    assert OfClass(settings).examine(seen(0, cat())) is None
    assert OfClass(settings).examine(seen(0, cat(0.7, label="dog"))) is not None
    interval = Periodic(settings)
    kept = [second for second in range(31) if interval.examine(seen(second))]
    assert kept == [10, 20, 30]
    assert [second for second in (5, 14, 15, 25) if interval.examine(seen(second))] == [
        15,
        25,
    ]  # the clock stepped back


def test_the_table_of_rules_matches_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "field.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted([*RULES, REQUEST])
    assert set(WORTH) == {*RULES, REQUEST}
    assert all(0 < worth <= 1 for worth in WORTH.values())
    assert max(WORTH, key=lambda rule: WORTH[rule]) == REQUEST  # frames requested by a person are deleted last


def test_an_object_is_matched_at_most_once() -> None:
    assert count_unmatched((cat(), cat(x=11)), (cat(),)) == 1
    assert count_unmatched((), ()) == 0


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"rules": ("magic",)}, "rules"),
        ({"rules": ("class",)}, "keep_classes"),
        ({"uncertain_low": 0.7}, "uncertain_low"),
        ({"blur": ("faces",), "image_format": "source"}, "blur"),
    ],
)
def test_impossible_settings_are_refused(values: dict[str, object], name: str) -> None:
    with pytest.raises(SettingError, match=name):
        CollectorSettings(**values)  # type: ignore[arg-type]


def test_the_hash_measures_similarity() -> None:
    chance = np.random.default_rng(1)
    one, other = (chance.integers(0, 255, (12, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1) for _ in range(2))
    brighter = np.clip(one.astype(int) + 12, 0, 255).astype(np.uint8)
    first, second, third = (perceptual_hash(Frame.from_array(image, "bgr8")) for image in (one, brighter, other))
    kept = KeptHashes()
    assert kept.distance(first) == BITS
    kept.add(first)
    assert kept.distance(second) <= 4
    assert kept.distance(third) >= 14


def test_blurred_regions_are_unrecognisable_and_the_rest_is_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (100, 100, 3), np.uint8)
    out = blurred(pixels, [Detection("person", 0, 0.9, (20.0, 20.0, 60.0, 60.0)), cat()], ["person"])
    assert (out[:15] == pixels[:15]).all()
    assert out[25:55, 25:55].std() < pixels[25:55, 25:55].std() / 4
    beyond = Detection("person", 0, 0.9, (-1e9, 90.0, 1e9, 1e9))
    assert blurred(pixels, [beyond], ["person"]).shape == pixels.shape


def test_frames_and_detections_are_paired_by_exact_stamp_in_bounded_memory() -> None:
    joiner: StampJoiner[str, str] = StampJoiner(max_bytes=100)
    assert joiner.frame(1, "a", 60) is None
    assert joiner.detections(1, "x") == ("a", "x")
    assert joiner.detections(2, "y") is None
    assert joiner.frame(2, "b", 60) == ("b", "y")
    joiner.frame(3, "c", 60)
    joiner.frame(4, "d", 60)
    assert joiner.detections(3, "z") is None
    assert joiner.detections(4, "z") == ("d", "z")
    for stamp in range(1000):
        joiner.detections(10 + stamp, "z")
    assert joiner.frame(10, "e", 1) is None
