"""Modules that a node or command must not load, because they cost time and memory at every start."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

# Each takes 5 to 150 ms of CPU time, or megabytes. The modules that a node needs are in its row below.
COSTLY = {
    "PIL", "aiohttp", "asyncio", "cv2", "decimal", "gi", "hashlib", "http.client", "importlib.metadata", "lark",
    "matplotlib", "mcap", "numpy", "onnx", "onnxruntime", "openvino", "qrcode", "rclpy", "rosbags", "scipy",
    "sqlite3", "ssl", "tarfile", "torch", "urllib.request", "vision_msgs", "zstandard",
}  # fmt: skip
EVERY_NODE = {"numpy", "rclpy"}
NEEDED = {
    "edgecam_camera.node": EVERY_NODE,
    "edgecam_rtp.sender_node": EVERY_NODE,
    "edgecam_rtp.receiver_node": EVERY_NODE,
    "edgecam_recorder.node": EVERY_NODE,
    "edgecam_detector.node": EVERY_NODE | {"cv2", "hashlib", "vision_msgs"},
    "edgecam_events.node": EVERY_NODE | {"cv2", "sqlite3", "vision_msgs"},
    "edgecam_collector.node": EVERY_NODE | {"cv2", "hashlib", "vision_msgs"},
    "edgecam_viewer.node": EVERY_NODE | {
        "aiohttp", "asyncio", "cv2", "hashlib", "http.client", "sqlite3", "ssl", "urllib.request", "vision_msgs",
    },
    "edgecam_core.cli.main": set(),
    "edgecam_core.cli.doctor": set(),
    "edgecam_core.cli.receive": set(),
    "edgecam_recorder.cli.record": set(),
    "edgecam_viewer.cli.top": set(),
    "edgecam_camera.cli.show": {"cv2", "numpy"},
    "edgecam_core.cli.detect": {"hashlib", "numpy"},
}  # fmt: skip


@pytest.mark.parametrize("module", NEEDED)
def test_a_program_loads_only_what_it_needs(module: str) -> None:
    assert loaded(f"import {module}") <= NEEDED[module] | by_numpy()


def test_help_imports_no_command() -> None:
    assert loaded("from edgecam_core.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass") <= {
        "importlib.metadata"
    }


NODE = """
import sys
from edgecam_ros.main import run_all
from edgecam_ros.node import EdgecamNode
from edgecam_core.settings import Settings

class Ends(EdgecamNode[Settings]):
    settings_type = Settings

    def start(self):
        self.finish()

assert run_all([lambda: Ends("ends")], []) == 0
"""


def test_a_running_node_loads_no_code_generator() -> None:
    assert loaded(NODE) <= EVERY_NODE | by_numpy()


def test_the_code_generator_loads_when_asked_for() -> None:
    assert "lark" in loaded(f"{NODE}\nfrom rosidl_generator_py import generate_py, import_type_support")


@cache
def by_numpy() -> set[str]:
    """What NumPy loads itself: NumPy 1 loads hashlib."""
    return loaded("import numpy") - {"numpy"}


def loaded(program: str) -> set[str]:
    """The costly modules that a new interpreter has loaded after this program."""
    text = f"{program}\nimport json, sys; print(); print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    return COSTLY & set(json.loads(done.stdout.splitlines()[-1]))
