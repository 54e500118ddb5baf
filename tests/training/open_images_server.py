"""A local server with the layout of Open Images and the faults of real servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest
from edgecam_training.data.open_images import transfer
from shapes import shape_image

_HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"

_FACTS = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5,"
    "Thumbnail300KURL,Rotation"
)


class OpenImagesServer:
    """``files`` by path; ``cut`` paths break off once in the middle, ``flaky`` ones respond with 503 once."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.flaky: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        span = request.headers.get("Range", "")
        self.asked.append((request.path, span))
        data = self.files.get(request.path)
        if data is None:
            request.send_error(404)
            return
        if request.path in self.flaky:
            self.flaky.discard(request.path)
            request.send_error(503)
            return
        begin = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        request.send_response(206 if span else 200)
        request.send_header("Content-Length", str(len(data) - begin))
        request.end_headers()
        if request.path in self.cut:
            self.cut.discard(request.path)
            request.wfile.write(data[: len(data) // 2])
            request.close_connection = True
            return
        request.wfile.write(data[begin:])


@contextmanager
def small_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenImagesServer]:
    """Eight images of zebras and whales over the three splits; the downloader's pauses are short meanwhile."""
    monkeypatch.setattr(transfer, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(transfer, "TRIES", 3)
    found = OpenImagesServer()
    found.files["/v5/class-descriptions-boxable.csv"] = b"/m/z,Zebra\n/m/w,Whale\n/m/s,Sea turtle\n"
    rows = {"train": [], "validation": [], "test": []}
    for number in range(8):
        split = ("train", "train", "train", "train", "train", "validation", "test", "train")[number]
        name, code = f"{number:016x}", ("/m/z", "/m/w")[number % 2]
        group = int(number == 2)
        rows[split].append((name, f"{name},x,{code},1,0.1,0.6,0.2,0.7,0,0,{group},0,0"))
        good, data = cv2.imencode(".jpg", shape_image(number)[0])
        assert good
        found.files[f"/{split}/{name}.jpg"] = data.tobytes()
    boxes = {"train": "/v6/oidv6-train-annotations-bbox.csv"}
    images = {"train": "/2018_04/train/train-images-boxable-with-rotation.csv"}
    for split in ("validation", "test"):
        boxes[split] = f"/v5/{split}-annotations-bbox.csv"
        images[split] = f"/2018_04/{split}/{split}-images-with-rotation.csv"
    for split, lines in rows.items():
        other = "f" * 16 + ",x,/m/other,1,0,1,0,1,0,0,0,0,0"
        found.files[boxes[split]] = "\n".join([_HEAD, other, *(line for _, line in lines)]).encode()
        facts = [f"{name},{split},u,https://photo/{name},CC-BY,p,An Author,t,1,m,x,0" for name, _ in lines]
        found.files[images[split]] = "\n".join([_FACTS, *facts]).encode()
    try:
        yield found
    finally:
        found.http.shutdown()
        found.http.server_close()
