"""Inputs of ``edgecam detect``: files, folders and globs in order, read by several threads."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from edgecam_core.errors import SettingError
from edgecam_core.images.inputs import InputImage, each, expand, read_inputs
from tiny_models import image_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "in")


def test_inputs_are_expanded_in_order(folder: Path) -> None:
    assert [Path(path).name for path in expand([f"{folder}/*1.png", str(folder)])] == [
        "000000000001.png", "000000000000.png", "000000000001.png", "000000000002.png",
    ]  # fmt: skip
    assert expand(["rtsp://host/a"]) == ["rtsp://host/a"]
    (folder / "empty").mkdir()
    with pytest.raises(SettingError, match="contains no image"):
        expand([str(folder / "empty")])


def test_many_files_come_in_order(tmp_path: Path) -> None:
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), np.full((4, 4, 3), number, np.uint8))
    values = [int(item.frame.array()[0, 0, 0]) for item in read_inputs(expand([str(tmp_path)])) if item.frame]
    assert values == list(range(40))


@pytest.mark.parametrize("threads", [1, 3])
def test_work_on_many_files_comes_in_order(tmp_path: Path, threads: int) -> None:
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"{number:03d}.png"), np.full((4, 4, 3), number, np.uint8))
    (tmp_path / "020.png").write_bytes(b"no image")
    workers: set[int] = set()
    together = threading.Barrier(threads)

    def value(item: InputImage) -> int:
        if threading.get_ident() not in workers:
            workers.add(threading.get_ident())
            together.wait(120)  # until all threads work
        return int(item.frame.array()[0, 0, 0]) if item.frame else -1

    found = list(each(expand([str(tmp_path)]), value, threads))
    assert [number for _, number in found] == [*range(20), -1, *range(21, 40)]
    assert [Path(item.name).name for item, _ in found] == [f"{number:03d}.png" for number in range(40)]
    assert len(workers) == threads


def test_an_error_of_the_work_reaches_the_caller(folder: Path) -> None:
    def broken(item: InputImage) -> None:
        raise RuntimeError(item.name)

    with pytest.raises(RuntimeError, match=r"000000000000\.png"):
        list(each(expand([str(folder)]), broken, 2))
