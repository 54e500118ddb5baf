"""The photographs and the clip match their descriptions. test_golden.py tests the detections in them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "tests/assets/photos"
CLIP = json.loads((ROOT / "media/animals.json").read_text())


def test_every_photograph_is_listed_with_its_source() -> None:
    files = {path.name for path in PHOTOS.glob("*.jpg")}
    rows = [line.split("|") for line in (PHOTOS / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert {row[1].strip(" `") for row in rows} == files
    for row in rows:
        assert row[3].strip()  # the author
        assert row[4].strip() in ("CC0-1.0", "public domain")
        assert "https://commons.wikimedia.org/wiki/File:" in row[5]
    assert sum(path.stat().st_size for path in PHOTOS.glob("*.jpg")) < 900_000


def test_the_clip_is_as_described() -> None:
    path = ROOT / "media" / CLIP["file"]
    assert path.stat().st_size < 1_500_000
    capture = cv2.VideoCapture(str(path))
    assert [capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)] == CLIP["size"]
    assert capture.get(cv2.CAP_PROP_FPS) == CLIP["fps"]
    ends = [0, *(segment["end_s"] for segment in CLIP["segments"])]
    assert [segment["start_s"] for segment in CLIP["segments"]] == ends[:-1]
    assert all((PHOTOS / segment["photo"]).is_file() for segment in CLIP["segments"])


def test_a_decoder_can_start_at_any_second() -> None:
    """Each second of the stream starts with an IDR image and its parameter sets; the others refer to earlier images."""
    data = (ROOT / "media" / CLIP["file"]).read_bytes()
    kinds = _nal_kinds(data)
    period = ["VPS", "SPS", "PPS", "IDR", *["P"] * (CLIP["fps"] - 1)]
    assert kinds == period * CLIP["segments"][-1]["end_s"]


NAL = {1: "P", 19: "IDR", 20: "IDR", 32: "VPS", 33: "SPS", 34: "PPS"}


def _nal_kinds(data: bytes) -> list[str]:
    """Types of the NAL units in the file's media data, each preceded by its length in 4 bytes (ISO/IEC 14496-15)."""
    position, kinds = data.index(b"mdat") + 4, []
    end = position - 8 + int.from_bytes(data[position - 8 : position - 4], "big")
    while position < end:
        size = int.from_bytes(data[position : position + 4], "big")
        number = data[position + 4] >> 1 & 63
        kinds.append(NAL.get(number, f"type {number}"))
        position += 4 + size
    return kinds
