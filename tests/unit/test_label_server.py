"""The labelling page's requests on a real socket, without ROS."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import cv2
import numpy as np
import pytest
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import Box, KeptFrame
from edgecam_core.errors import EdgecamError
from edgecam_viewer.fault_log import FaultLog
from edgecam_viewer.hub import Hub
from edgecam_viewer.server import WebServer
from edgecam_viewer.settings import ViewerSettings
from full_disk import files_of_at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def fill(folder: Path, count: int) -> Collection:
    """A collection of ``count`` frames, the last one the most valuable, each with a proposal around its square."""
    collection = Collection.create(folder)
    for number in range(count):
        image = np.full((120, 160, 3), 40, np.uint8)
        image[20:60, 30:90] = (90, 200, 30 * number % 255)
        frame = KeptFrame(
            id=f"{number:04d}",
            image=f"images/front/{number:04d}.png",
            width=160,
            height=120,
            stamp_ns=1_700_000_000_000_000_000 + number,
            frame_id="lens",
            camera="front",
            rules=({"rule": "uncertain", "value": 0.5},),
            proposals=(Box("cat", (30.0, 20.0, 90.0, 60.0), 0.5),),
            value=number / 100,
        )
        collection.add(frame, cv2.imencode(".png", image)[1].tobytes())
    return collection


FLAT = {"label": "a", "box": [5, 5, 5, 5]}


class NoPipeline:
    def ask(self, request: dict[str, Any], answer: Any) -> None:
        raise EdgecamError("no pipeline")


class Labels:
    def __init__(self, folder: Path, **values: Any) -> None:
        self.settings = ViewerSettings(port=0, collection=str(folder), **values)
        self.server = WebServer(self.settings, Hub(1, 4), NoPipeline(), FaultLog(print))
        self.server.start()
        self.base = f"http://127.0.0.1:{self.server.port}"

    def ask(self, path: str, content: object = None, raw: bytes | None = None) -> tuple[int, Any]:
        body = raw if raw is not None else (None if content is None else json.dumps(content).encode())
        request = Request(self.base + path, body, {"Content-Type": "application/json"} if body is not None else {})
        try:
            with urlopen(request, timeout=120) as answer:
                data = answer.read()
                return answer.status, json.loads(data) if "json" in answer.headers["Content-Type"] else data
        except HTTPError as error:
            data = error.read()
            return error.code, json.loads(data) if "json" in error.headers.get("Content-Type", "") else data


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    fill(tmp_path / "c", 3)
    one = Labels(tmp_path / "c")
    yield one
    one.server.stop()


def test_the_most_valuable_frame_comes_first_and_two_reviewers_get_different_ones(labels: Labels) -> None:
    assert labels.ask("/label/next?client=ann") == (200, {"id": "0002"})
    assert labels.ask("/label/next?client=bob") == (200, {"id": "0001"})
    assert labels.ask("/label/next?client=ann") == (200, {"id": "0002"})
    assert labels.ask("/label/next?client=ann&after=0002") == (200, {"id": "0000"})


def test_a_review_is_stored_and_counted(labels: Labels, tmp_path: Path) -> None:
    boxes = [{"label": "cat", "box": [30, 20, 90, 60]}, {"label": "dog", "box": [-5, 0, 20, 400]}]
    content = {"state": "reviewed", "boxes": boxes, "revision": 0, "reviewer": "ann"}
    assert labels.ask("/label/frame/0001", content) == (200, {"revision": 1})
    assert labels.ask("/label/state")[1] == {
        "classes": ["cat", "dog"],
        "frames": 3,
        "states": {"open": 2, "reviewed": 1},
        "boxes": {"cat": 1, "dog": 1},
    }
    _, answer = labels.ask("/label/frame/0001")
    assert answer["review"]["boxes"][1]["box"] == [0, 0, 20, 120]
    assert answer["review"]["reviewer"] == "ann"
    _, document = labels.ask("/label/coco.json")
    assert len(document["annotations"]) == 2
    assert labels.ask("/label/next?client=x")[1]["id"] != "0001"


def test_a_draft_is_offered_again_but_is_no_training_data(labels: Labels) -> None:
    content = {"state": "draft", "boxes": [], "revision": 0, "reviewer": "ann"}
    assert labels.ask("/label/frame/0002", content)[0] == 200
    assert labels.ask("/label/next?client=ann")[1] == {"id": "0002"}
    assert labels.ask("/label/coco.json")[1]["images"] == []


def test_a_frame_whose_draft_is_being_saved_stays_with_its_reviewer(labels: Labels) -> None:
    content = {"state": "draft", "boxes": [], "revision": 0, "reviewer": "ann", "client": "ann"}
    assert labels.ask("/label/frame/0002", content)[0] == 200
    assert labels.ask("/label/next?client=bob")[1] == {"id": "0001"}
    assert labels.ask("/label/next?client=ann")[1] == {"id": "0002"}


def test_the_second_reviewer_of_a_frame_sees_the_boxes_of_the_first(labels: Labels) -> None:
    first = {"state": "reviewed", "boxes": [{"label": "cat", "box": [1, 1, 9, 9]}], "revision": 0, "reviewer": "ann"}
    assert labels.ask("/label/frame/0000", first)[0] == 200
    status, answer = labels.ask("/label/frame/0000", {**first, "boxes": [], "reviewer": "bob"})
    assert status == 409
    assert answer["current"]["reviewer"] == "ann"
    assert len(answer["current"]["boxes"]) == 1
    assert labels.ask("/label/frame/0000", {**first, "boxes": [], "reviewer": "bob", "revision": 1})[0] == 200


def test_image_page_and_classes(labels: Labels) -> None:
    status, data = labels.ask("/label/image/0001")
    assert status == 200
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (120, 160, 3)
    assert b"Label frames" in labels.ask("/label")[1]
    assert labels.ask("/label/classes", {"classes": ["pig", " cow "]})[1]["classes"] == ["pig", "cow", "cat"]


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/label/frame/nobody", None, 404),
        ("/label/frame/..%2f..%2fcollection", None, 404),
        ("/label/image/..%2fcollection.json", None, 404),
        ("/label/frame/0001", {"state": "reviewed", "boxes": "x", "revision": 0}, 400),
        ("/label/frame/0001", {"state": "reviewed", "boxes": [], "revision": "0"}, 400),
        ("/label/frame/0001", {"state": "perfect", "boxes": [], "revision": 0}, 404),
        (
            "/label/frame/0001",
            {"state": "reviewed", "boxes": [{"label": "a", "box": [5, 5, 5, 5]}], "revision": 0},
            400,
        ),
        ("/label/frame/0001", [], 400),
        ("/label/classes", {"classes": [1]}, 400),
    ],
)
def test_impossible_requests_are_refused_with_the_reason(
    labels: Labels, path: str, content: object, status: int
) -> None:
    code, answer = labels.ask(path, content)
    assert code == status
    assert answer["error"] if isinstance(answer, dict) else answer


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["label", "box", "score"]), inner),
    max_leaves=12,
)


def test_no_request_body_ends_the_server_or_damages_the_collection(labels: Labels) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.fixed_dictionaries({}, optional={"state": values, "boxes": values, "revision": values, "reviewer": values})
    )
    def send(content: dict[str, Any]) -> None:
        status, _ = labels.ask("/label/frame/0000", raw=json.dumps(content).encode())
        assert status in (200, 400, 404, 409)

    send()
    assert labels.ask("/label/frame/0000", raw=b"[" * 60_000)[0] == 400
    assert labels.ask("/label/frame/0000")[0] == 200


def test_a_full_disk_is_reported_and_the_previous_review_stays(labels: Labels, tmp_path: Path) -> None:
    content = {"state": "reviewed", "boxes": [{"label": "cat", "box": [30, 20, 90, 60]}], "revision": 0}
    assert labels.ask("/label/frame/0001", content)[0] == 200
    kept = labels.ask("/label/frame/0001")
    changed = {"state": "reviewed", "boxes": [], "revision": 1}
    with files_of_at_most(10):
        status, answer = labels.ask("/label/frame/0001", changed)
    assert status == 507
    assert "the disk is full; free some space" in answer["error"]
    assert labels.ask("/label/frame/0001") == kept
    assert labels.ask("/label/frame/0001", changed) == (200, {"revision": 2})


def test_a_collection_that_vanishes_is_reported(labels: Labels, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "c")
    status, answer = labels.ask("/label/state")
    assert status == 404
    assert "collection.json" in answer["error"]


def test_the_labelling_page_needs_the_token_too(tmp_path: Path) -> None:
    fill(tmp_path / "c", 1)
    one = Labels(tmp_path / "c", token="secret")
    try:
        assert one.ask("/label/state")[0] == 401
        assert one.ask("/label/image/0000")[0] == 401
        assert one.ask("/label/state?token=secret")[0] == 200
    finally:
        one.server.stop()


def test_the_same_review_sent_twice_is_one_and_another_is_a_conflict(labels: Labels) -> None:
    review = {"state": "reviewed", "boxes": [{"label": "cat", "box": [1, 2, 30, 40], "score": 1}], "revision": 0}
    for _ in range(2):
        assert labels.ask("/label/frame/0002", review) == (200, {"revision": 1})
    for other in ({"state": "skipped"}, {"boxes": []}, {"reviewer": "bob"}):
        assert labels.ask("/label/frame/0002", review | other)[0] == 409
    assert labels.ask("/label/frame/0002", review | {"revision": 1}) == (200, {"revision": 2})


def test_the_command_shows_address_token_and_qr_code_where_others_can_reach_it(tmp_path: Path) -> None:
    fill(tmp_path / "c", 1)
    command = [sys.executable, "-m", "edgecam_core.cli.main", "label", str(tmp_path / "c"), "--port", "0"]
    with subprocess.Popen([*command, "--host", "0.0.0.0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(4)]
            assert lines[0] == f"1 frame in {tmp_path / 'c'}\n"
            address, _, token = lines[1].split()[3].partition("/label?token=")
            assert token
            assert lines[2] == f"token {token}\n"
            assert "█" in lines[3]
            local = f"http://127.0.0.1:{address.split(':')[2]}/label?token={token}"
            with build_opener(HTTPCookieProcessor()).open(local, timeout=120) as answer:
                assert b"label.js" in answer.read()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
    assert process.returncode == 0


def test_a_damaged_review_hides_no_other_frame_and_the_next_one_replaces_it(labels: Labels, tmp_path: Path) -> None:
    review = {"state": "reviewed", "boxes": [{"label": "cat", "box": [1, 2, 30, 40]}], "revision": 0}
    for name in ("0000", "0001"):
        assert labels.ask(f"/label/frame/{name}", review)[0] == 200
    path = tmp_path / "c" / "reviews" / "0001.json"
    cut = path.read_bytes()[:40]
    for content in (cut, b'{"state": "reviewed", "boxes": []}'):  # truncated, or without the fields of this version
        path.write_bytes(content)
        assert labels.ask("/label/state")[1]["states"] == {"open": 2, "reviewed": 1}
        status, answer = labels.ask("/label/frame/0001")
        assert (status, answer["review"]) == (200, None)
        assert "0001.json" in answer["problem"]
    assert labels.ask("/label/frame/0001", review) == (200, {"revision": 1})
    assert labels.ask("/label/frame/0001")[1]["problem"] == ""
    assert path.with_name("0001.json.damaged").read_bytes() == b'{"state": "reviewed", "boxes": []}'
    assert labels.ask("/label/state")[1]["states"] == {"open": 1, "reviewed": 2}


def test_an_image_that_was_deleted_is_reported_with_its_frame(labels: Labels, tmp_path: Path) -> None:
    (tmp_path / "c" / "images" / "front" / "0001.png").unlink()
    assert labels.ask("/label/image/0001")[0] == 404
    status, answer = labels.ask("/label/frame/0001")
    assert status == 200
    assert "no longer exists" in answer["problem"]
    assert labels.ask("/label/frame/0001", {"state": "skipped", "boxes": [], "revision": 0})[0] == 200
