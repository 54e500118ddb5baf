#!/usr/bin/env python3
"""Creates docs/images/page.jpg: a screenshot of the web page in Chromium while the demo runs.

It is taken when the page shows a latency within a third of the median in the README.
Needs what `make setup-test` installs and a machine that does nothing else:

    source install/setup.bash && python3 scripts/make_page_image.py
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
from chromium import Page, chromium  # noqa: E402

from benchmarks.store import PUBLISHED, Store  # noqa: E402

FRAMES = "window.edgecam && edgecam.cameras[0] && edgecam.cameras[0].shown"
LABELS = "edgecam.cameras[0].facts.detections.map((box) => box[0])"
LATENCY = r"+document.body.innerText.match(/capture to detection\s+(\d+)/)[1]"
SETTLED = 1.5  # seconds; the panel of classes is updated within one second


async def connected(port: int) -> None:
    """Block until the web server accepts connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
        else:
            writer.close()
            return


async def settled(page: Page, latency: float) -> None:
    """Block until the page has shown two objects for a while, and a latency within a third of this value (ms)."""
    near = f"Math.abs({LATENCY} - {latency}) < {latency / 3}"
    while True:
        before = await page.wait_for(f"{near} && {LABELS}")
        await asyncio.sleep(SETTLED)
        if len(before) >= 2 and await page.evaluate(f"{near} && {LABELS}") == before:
            return


async def take(port: int, width: int, height: int, frames: int, mobile: bool) -> bytes:
    """A PNG file of the page, once it has shown ``frames`` frames and two objects."""
    published = Store.open(PUBLISHED).rows["pipeline_capture_to_detection"].ours
    with tempfile.TemporaryDirectory(prefix="edgecam-page-") as folder:
        async with chromium(Path(folder) / "profile") as page:
            await page.size(width, height, mobile=mobile)
            await asyncio.wait_for(connected(port), 120)
            await page.open(f"http://127.0.0.1:{port}/")
            await page.wait_for(f"{FRAMES} > {frames}", seconds=300)
            assert published is not None, "the published results lack the demo's latency"
            await asyncio.wait_for(settled(page, published), 300)
            path = Path(folder) / "page.png"
            await page.screenshot(path)
            return path.read_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "page.jpg")
    parser.add_argument("--width", type=int, default=1120, help="of the window, in CSS pixels")
    parser.add_argument("--height", type=int, default=720, help="of the window, in CSS pixels")
    parser.add_argument("--mobile", action="store_true", help="screenshot of the mobile layout")
    parser.add_argument("--frames", type=int, default=400, help="frames to wait for: the first seconds are slower")
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    demo = subprocess.Popen([sys.executable, str(ROOT / "scripts" / "demo"), "--port", str(port)])
    try:
        png = asyncio.run(take(port, args.width, args.height, args.frames, args.mobile))
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait()
    image = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
    cv2.imwrite(str(args.output), image, [cv2.IMWRITE_JPEG_QUALITY, 84])
    return 0


if __name__ == "__main__":
    sys.exit(main())
