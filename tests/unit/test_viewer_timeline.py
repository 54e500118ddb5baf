"""The timeline's requests on a real socket, without ROS: order, filters, files inside the folder, ranges."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest
from clips import make_clip
from edgecam_core.events.index import NAME
from timeline import fill
from viewer_served import Served

CLIP = bytes(range(256)) * 40


class TimelineServer(Served):
    def get(self, path: str, **headers: str) -> tuple[int, Any, Any]:
        """Status, body (an object where it is JSON) and headers."""
        try:
            with urlopen(Request(self.base + path, headers=headers), timeout=60) as answer:
                return answer.status, _body(answer), answer.headers
        except HTTPError as error:
            return error.code, _body(error), error.headers

    def rules(self, query: str = "") -> list[str]:
        status, body, _ = self.get(f"/events/list?{query}")
        assert status == 200
        return [f"{one['rule']} {one['number']}" for one in body["events"]]


def _body(answer: Any) -> Any:
    data = answer.read()
    return json.loads(data) if "json" in answer.headers.get("Content-Type", "") else data


@pytest.fixture
def timeline(tmp_path: Path) -> Iterator[TimelineServer]:
    fill(tmp_path / "events", 4, CLIP)
    with TimelineServer(silent=True, events=str(tmp_path / "events")) as served:
        yield served


def parts(body: bytes) -> list[bytes]:
    """The images of a multipart body."""
    found = []
    for part in body.split(b"--frame\r\n")[1:]:
        head, _, rest = part.partition(b"\r\n\r\n")
        assert b"image/jpeg" in head
        found.append(rest[: int(head.rpartition(b": ")[2])])
    return found


@pytest.mark.parametrize(("codec", "suffix"), [("jpeg", ".mkv"), ("h265", ".mp4"), ("h264", ".mp4")])
def test_any_clip_comes_as_frames_at_its_pace(codec: str, suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", 12, codec=codec)
    fill(tmp_path / "events", 1, clip.read_bytes(), suffix=suffix)
    with TimelineServer(silent=True, events=str(tmp_path / "events")) as served:
        begin = time.monotonic()
        status, body, headers = served.get("/events/frames/e0")
    assert status == 200
    assert headers.get_content_type() == "multipart/x-mixed-replace"
    images = [cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) for one in parts(body)]
    assert [image.shape for image in images] == [(120, 160, 3)] * 12
    assert body.endswith(b"--frame--\r\n")
    assert time.monotonic() - begin > 0.4  # 11 steps of 40 ms


def test_a_file_that_is_not_a_clip_is_refused_with_the_reason(timeline: TimelineServer) -> None:
    status, body, _ = timeline.get("/events/frames/e0")
    assert status == 422
    assert "e0.mp4" in body["error"]
    assert timeline.get("/events/frames/nothing")[0] == 404


def test_newest_first_and_older_ones_by_number(timeline: TimelineServer, tmp_path: Path) -> None:
    fill(tmp_path / "events", 120, CLIP, first=4)
    status, body, _ = timeline.get("/events/list")
    numbers = [one["number"] for one in body["events"]]
    assert (status, numbers, body["more"]) == (200, list(range(124, 74, -1)), True)
    _, body, _ = timeline.get("/events/list?before=75")
    assert [one["number"] for one in body["events"]] == list(range(74, 24, -1))
    _, body, _ = timeline.get("/events/list?before=25")
    assert ([one["number"] for one in body["events"]], body["more"]) == (list(range(24, 0, -1)), False)


def test_filters(timeline: TimelineServer) -> None:
    assert timeline.rules() == ["odd 4", "even 3", "odd 2", "even 1"]
    assert timeline.rules("rule=odd") == ["odd 4", "odd 2"]
    assert timeline.rules("label=dog&zone=sofa") == ["even 3", "even 1"]
    assert timeline.rules("zone=moon") == []
    _, body, _ = timeline.get("/events/list")
    third = body["events"][1]
    assert third["end_ms"] == third["start_ms"] + 2000
    bounds = f"since={third['start_ms']}&until={third['end_ms']}"
    assert timeline.rules(bounds) == ["even 3"]
    _, choices, _ = timeline.get("/events/choices")
    assert choices["rule"] == ["even", "odd"]
    assert choices["zone"] == ["garden", "sofa"]


@pytest.mark.parametrize("query", ["before=x", "since=-1", "until=1e9", "before=" + "9" * 400, "since=٣"])
def test_bounds_that_are_not_numbers_are_refused(timeline: TimelineServer, query: str) -> None:
    status, body, _ = timeline.get(f"/events/list?{quote(query, safe='=')}")
    assert status == 400
    assert query.partition("=")[0] in body["error"]


def test_snapshots_and_clips_by_id_with_ranges(timeline: TimelineServer) -> None:
    status, body, headers = timeline.get("/events/snapshot/e2")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert body.startswith(b"\xff\xd8")
    status, body, headers = timeline.get("/events/clip/e2", Range="bytes=1000-1255")
    assert (status, body) == (206, CLIP[1000:1256])
    assert headers["Content-Range"] == f"bytes 1000-1255/{len(CLIP)}"
    assert headers["Content-Type"] == "video/mp4"
    assert timeline.get("/events/clip/e2", Range="bytes=999999-")[0] == 416


@pytest.mark.parametrize(
    "path", ["clip/e99", "clip/..%2f..%2fetc%2fpasswd", "snapshot/..", "clip/%00", "index/e2", "clip/events.sqlite"]
)
def test_nothing_else_is_served(timeline: TimelineServer, path: str) -> None:
    status, body, _ = timeline.get(f"/events/{path}")
    assert status == 404
    assert b"root:" not in json.dumps(body, default=repr).encode()


def test_a_file_outside_the_folder_is_not_served(timeline: TimelineServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    clip = tmp_path / "events" / "clips" / "e2.mp4"
    clip.unlink()
    assert timeline.get("/events/clip/e2")[0] == 404
    clip.symlink_to(secret)
    assert timeline.get("/events/clip/e2")[0] == 404


def test_a_damaged_index_is_reported_and_the_server_continues(timeline: TimelineServer, tmp_path: Path) -> None:
    for path in (tmp_path / "events").glob(f"{NAME}*"):
        path.write_bytes(b"no database" * 1000)
    status, body, _ = timeline.get("/events/list")
    assert status == 503
    assert "damaged" in body["error"]
    assert timeline.get("/events")[0] == 200
    assert timeline.log == []


def test_the_token_and_the_origin_are_required(tmp_path: Path) -> None:
    fill(tmp_path / "events", 1, CLIP)
    with TimelineServer(silent=True, events=str(tmp_path / "events"), token="sesame") as served:
        for path in ("/events/list", "/events/choices", "/events/snapshot/e0", "/events/clip/e0"):
            assert served.get(path)[0] == 401
            assert served.get(path, Authorization="Bearer sesame")[0] == 200
            assert served.get(path, Authorization="Bearer sesame", Origin="http://elsewhere.example")[0] == 403
        status, body, _ = served.get("/events")
        assert (status, b'name="token"' in body) == (401, True)


def test_without_a_folder_there_is_no_list() -> None:
    with TimelineServer(silent=True) as served:
        assert served.get("/events/list")[0] == 404
        assert served.get("/events")[0] == 200
