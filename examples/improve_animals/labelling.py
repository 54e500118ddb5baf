"""Enters the ground truth on the labelling page with a headless browser, by keyboard and mouse, like a person."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from edgecam_core.collect.collection import Collection
from edgecam_core.collect.records import REVIEWED
from edgecam_core.errors import EdgecamError
from edgecam_core.media.image_reader import read_image
from edgecam_core.models.nms import overlaps

from tests.support.chromium import Page, chromium

MIN_IOU = 0.75  # with an object, for a proposal to be accepted
SHIFT = 8  # a modifier of DevTools' mouse events
KEYS = {"Enter": 13, "Delete": 46, "Escape": 27}
Objects = list[tuple[str, tuple[float, ...]]]
Truth = Callable[[np.ndarray], Objects]


@contextlib.contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """Run ``edgecam label``; yields the address of the page."""
    command = [sys.executable, "-m", "edgecam_core.cli.main", "label", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "label them at" in line:
                yield f"http://127.0.0.1:{port}/label"
                return
        raise EdgecamError(f"{' '.join(command)} ended with exit code {process.wait()}")
    finally:
        process.terminate()
        process.wait(30)


async def review(
    folder: Path, address: str, truth: Truth, screenshots: dict[int, Path], report: Callable[[str], None]
) -> float:
    """Review every open frame of the collection; returns the time in seconds.

    ``screenshots``: the numbers of the frames to take one of, starting at 1, and the file of each.
    """
    collection = Collection.open(folder)
    began = time.monotonic()
    async with chromium(folder.parent / "browser") as page:
        await page.size(1280, 800)
        await page.open(address)
        number = 0
        while (name := await _frame_on_page(page)) is not None:
            number += 1
            frame = collection.frame(name)
            if number in screenshots:
                await page.screenshot(screenshots[number].with_stem(f"{screenshots[number].stem}-proposals"))
            await _correct(page, truth(read_image(collection.image_path(frame))))
            if number in screenshots:
                await page.screenshot(screenshots[number])
            await _press(page, "Enter")
            await page.wait_for(f"document.body.dataset.frame !== '{name}' || document.body.dataset.state !== 'open'")
            if number % 20 == 0:
                report(f"{number} frames reviewed")
        if page.problems:
            raise EdgecamError(f"the labelling page reported {page.problems}")
    left = [one for one in collection.ids() if (found := collection.review(one)) is None or found.state != REVIEWED]
    if left:
        raise EdgecamError(f"{len(left)} frames are not reviewed although the page shows none; first {left[0]}")
    return time.monotonic() - began


async def _frame_on_page(page: Page) -> str | None:
    """The id of the frame on the page; None if all are reviewed."""
    state = await page.wait_for("document.body.dataset.state === 'finished' ? 'finished' : document.body.dataset.frame")
    return None if state == "finished" else str(state)


async def _correct(page: Page, objects: Objects) -> None:
    """Delete wrong proposals, rename those of another class, draw missing objects."""
    missing = list(objects)
    index = 0
    for row in await _boxes(page):
        best = max(missing, key=lambda one: _iou(row["box"], one[1]), default=None)
        if best is None or _iou(row["box"], best[1]) < MIN_IOU:
            await _select(page, index)
            await _press(page, "Delete")
            continue
        missing.remove(best)
        if row["label"] != best[0]:
            await _select(page, index)
            await _choose(page, best[0])
        index += 1
    for label, box in missing:
        await _press(page, "Escape")
        await _choose(page, label)
        await _drag(page, box)
    await page.wait_for(f"document.querySelectorAll('#list button').length === {len(objects)}")


def _iou(one: Any, other: Any) -> float:
    return float(overlaps(np.array(one, np.float32), np.array([other], np.float32))[0])


async def _boxes(page: Page) -> list[dict[str, Any]]:
    """Labels and boxes on the page, in the order of the list."""
    text = """[...document.querySelectorAll('#boxes g')].map((group) => {
      const box = group.querySelector('rect.box'), label = group.querySelector('text').textContent;
      const [x, y, w, h] = ['x', 'y', 'width', 'height'].map((key) => Number(box.getAttribute(key)));
      return { label: label.replace(/ [0-9.]+$/, ''), box: [x, y, x + w, y + h] };
    })"""
    found: list[dict[str, Any]] = await page.evaluate(text)
    return found


async def _select(page: Page, index: int) -> None:
    await page.evaluate(f"document.querySelectorAll('#list button')[{index}].click()")
    await page.evaluate("document.getElementById('stage').focus()")


async def _choose(page: Page, label: str) -> None:
    """Select the class; add it if it does not exist."""
    name = "b.textContent.replace(/^[0-9] /, '')"
    button = f"[...document.querySelectorAll('#classes button')].find((b) => {name} === '{label}')"
    if not await page.evaluate(f"Boolean({button})"):
        await page.evaluate(f"document.querySelector('#new-class input').value = '{label}'")
        await page.evaluate("document.querySelector('#new-class button').click()")
        await page.wait_for(f"{button}?.getAttribute('aria-pressed') === 'true'")
    else:
        await page.evaluate(f"{button}.click()")
    await page.evaluate("document.getElementById('stage').focus()")


async def _drag(page: Page, box: tuple[float, ...]) -> None:
    """Draw a box, with Shift, so that boxes below do not move."""
    left, top, width, height, columns, rows = await page.evaluate(
        "(() => { const image = document.getElementById('image'), r = image.getBoundingClientRect();"
        " return [r.left, r.top, r.width, r.height, image.naturalWidth, image.naturalHeight]; })()"
    )
    corners = [(left + x * width / columns, top + y * height / rows) for x, y in (box[:2], box[2:])]
    for kind, (x, y), buttons in (
        ("mousePressed", corners[0], 1),
        ("mouseMoved", corners[1], 1),
        ("mouseReleased", corners[1], 0),
    ):
        await page.call(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1,
            modifiers=SHIFT,
        )  # fmt: skip


async def _press(page: Page, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=KEYS[key])
