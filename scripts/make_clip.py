#!/usr/bin/env python3
"""Creates media/animals.mp4, the camera of the demo, and media/animals.json, which describes its segments.

Slow zooms over the photographs in tests/assets/photos, three seconds each, H.265 in MP4. Every second starts with
an IDR image that carries its parameter sets, no image refers past one, and there are no B-frames: a decoder
can start at any second and never has to reorder. Needs OpenCV and ffmpeg with libx265.

    python3 scripts/make_clip.py [folder]
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "tests/assets/photos"
WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 25, 3


@dataclass(frozen=True)
class Shot:
    """One photograph and two views of it; a view is its centre and width, in pixels of the photograph."""

    photo: str
    label: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]

    def frames(self) -> Iterator[np.ndarray]:
        """BGR images, the view moving evenly from start to end."""
        image = cv2.imread(str(PHOTOS / f"{self.photo}.jpg"))
        if image is None:
            raise SystemExit(f"cannot read {PHOTOS / self.photo}.jpg")
        for view in np.linspace(self.start, self.end, FPS * SECONDS):
            yield _view(image, *view)


SHOTS = (
    Shot("giraffe", "giraffe", (355, 213, 568), (412, 230, 430)),
    Shot("cow", "cow", (330, 330, 400), (352, 288, 512)),
    Shot("horse", "horse", (455, 207, 366), (427, 207, 426)),
    Shot("dog", "dog", (310, 230, 560), (320, 240, 640)),
    Shot("chicken", "bird", (330, 256, 455), (405, 256, 455)),
    Shot("sheep", "sheep", (300, 250, 440), (320, 232, 600)),
    Shot("panda", "bear", (320, 213, 566), (330, 213, 440)),
    Shot("cat", "cat", (272, 182, 460), (300, 232, 560)),
    Shot("scarlet_macaw", "bird", (320, 248, 640), (350, 262, 520)),
)


def _view(image: np.ndarray, x: float, y: float, width: float) -> np.ndarray:
    """Scale one view to the clip's size, with subpixel accuracy, so that slow movements are smooth."""
    scale = WIDTH / width
    half = width / 2, width * HEIGHT / WIDTH / 2
    rows, columns = image.shape[:2]
    if x < half[0] or y < half[1] or x + half[0] > columns or y + half[1] > rows:
        raise SystemExit(f"the view {x:.0f},{y:.0f} of width {width:.0f} leaves the {columns}x{rows} photograph")
    shift = (WIDTH - 1) / 2 - scale * (x - 0.5), (HEIGHT - 1) / 2 - scale * (y - 0.5)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def encode(target: Path) -> None:
    """Write the clip; the same images give the same bytes with the same x265, on any number of cores."""
    x265 = (
        f"keyint={FPS}:min-keyint={FPS}:scenecut=0:open-gop=0:bframes=0:repeat-headers=1:aud=0"
        ":lookahead-slices=0:pools=1:frame-threads=1:info=0:log-level=warning"
    )
    command = (
        f"ffmpeg -hide_banner -loglevel warning -y -f rawvideo -pix_fmt bgr24 -s {WIDTH}x{HEIGHT} -r {FPS} -i -"
        " -vf scale=out_color_matrix=bt601:out_range=tv -pix_fmt yuv420p -color_range tv -colorspace smpte170m"
        " -color_primaries smpte170m -color_trc smpte170m -c:v libx265 -preset slow -crf 30"
        f" -x265-params {x265} -tag:v hev1 -map_metadata -1 -fflags +bitexact -flags:v +bitexact -movflags +faststart"
    )
    process = subprocess.Popen([*command.split(), str(target)], stdin=subprocess.PIPE)
    assert process.stdin is not None
    with process.stdin as pipe:
        for shot in SHOTS:
            for frame in shot.frames():
                pipe.write(frame.tobytes())
    if process.wait():
        raise SystemExit(f"ffmpeg failed with exit code {process.returncode}")


def describe() -> dict[str, object]:
    """The content of animals.json; times are in seconds of the clip."""
    segments = [
        {"start_s": index * SECONDS, "end_s": (index + 1) * SECONDS, "label": shot.label, "photo": f"{shot.photo}.jpg"}
        for index, shot in enumerate(SHOTS)
    ]
    return {"file": "animals.mp4", "fps": FPS, "size": [WIDTH, HEIGHT], "segments": segments}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    encode(folder / "animals.mp4")
    (folder / "animals.json").write_text(json.dumps(describe(), indent=2) + "\n")
    print(f"{folder / 'animals.mp4'}: {(folder / 'animals.mp4').stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "media")
