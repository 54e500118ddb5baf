"""``file:///path``: a video in any container."""

from __future__ import annotations

import os
from pathlib import Path

from edgecam_core.camera.plan import Have, SourcePlan
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import SettingError
from edgecam_core.gst import quoted

SCHEMES = ("file",)
EXAMPLE = "file:///path/clip.mp4"


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """Decoded by whatever GStreamer ranks highest here; only the video track is opened."""
    location = quoted(Path(uri.path).as_uri())
    head = f'uridecodebin uri={location} caps="video/x-raw(ANY)" expose-all-streams=false'
    return SourcePlan(head, paced=settings.realtime, loops=True, ends=True)


def look(settings: CameraSettings, uri: SourceUri) -> None:
    """Raise SettingError when there is no readable video file at the path."""
    path = Path(uri.path)
    if not path.is_absolute():
        raise SettingError("source", uri.text, f"a file needs its full path: file://{path.absolute()}")
    if not path.exists():
        where = path.parent if path.parent.is_dir() else next(p for p in path.parents if p.is_dir())
        raise SettingError("source", uri.text, f"there is no such file; the nearest folder there is is {where}")
    if path.is_dir():
        raise SettingError("source", uri.text, "is a folder; give the path of a video file in it")
    if not os.access(path, os.R_OK):
        raise SettingError("source", uri.text, f"the file may not be read by this user; try chmod a+r {path}")
