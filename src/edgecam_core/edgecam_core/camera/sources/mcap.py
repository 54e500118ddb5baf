# Copyright 2026 edgecam maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""``mcap:///file.mcap?topic=/camera/image_raw``: the images of a recording; also rosbag2 folders and .db3 files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import Have, decode_text
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.camera.uri import SourceUri
from edgecam_core.counters import Counters
from edgecam_core.errors import MissingDependency, SettingError, SourceError
from edgecam_core.media.pipeline import Pipeline

SCHEMES = ("mcap",)
EXAMPLE = "mcap:///path/file.mcap?topic=/camera/image_raw"
_HEAD = "appsrc name=feed is-live=true format=time block=true max-buffers=2"
_PARAMETERS = ("topic", "rate", "start", "stamps", "step")
_SWITCH = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class PlaybackRequest:
    """The parameters of the URI.

    ``rate`` 0: as fast as the pipeline accepts frames. ``start`` is in seconds. ``now``: stamp frames with the current
    time. ``step``: wait for a step before each frame.
    """

    path: Path
    topic: str = ""
    rate: float = 1.0
    start: float = 0.0
    now: bool = False
    step: bool = False


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for raw video; the topic's type is known only after :func:`resolve`.

    Raises:
        SettingError: a parameter of the URI is unknown or has an invalid value.
    """
    return _plan(_request(settings, uri), "raw", settings, have)


def resolve(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for the topic's type. Reads the first image of the recording, which may take seconds.

    Raises:
        SourceError: the recording cannot be read.
    """
    from edgecam_core.camera.recording_feeder import form_of
    from edgecam_core.recording.message import RecordingError

    request = _request(settings, uri)
    try:
        return _plan(request, form_of(request.path, request.topic, request.start), settings, have)
    except RecordingError as error:
        raise SourceError(str(error)) from error


def check(settings: CameraSettings, uri: SourceUri) -> None:
    """Check that the recording has the topic.

    Raises:
        SettingError: the recording cannot be read, or has no such topic.
        MissingDependency: the MCAP package is not installed.
    """
    request = _request(settings, uri)
    try:
        from edgecam_core.camera.recording_feeder import form_of
        from edgecam_core.recording.message import RecordingError
    except ImportError as error:
        raise MissingDependency(f"the package {error.name}, which reads recordings,", "pip install mcap") from error
    try:
        form_of(request.path, request.topic, request.start)
    except RecordingError as error:
        raise SettingError("source", uri.text, str(error)) from error


def _request(settings: CameraSettings, uri: SourceUri) -> PlaybackRequest:
    """The parameters of the URI.

    Raises:
        SettingError: as :func:`plan`.
    """
    path, _, query = uri.rest.removeprefix("//").partition("?")
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    for name in pairs:
        if name not in _PARAMETERS:
            raise SettingError("source", uri.text, f"{name!r} is unknown; use {', '.join(_PARAMETERS)}")
    if (stamps := pairs.get("stamps", "original")) not in ("original", "now"):
        raise SettingError("source", uri.text, f"stamps is {stamps!r}; use original or now")
    if (step := pairs.get("step", "false")) not in _SWITCH:
        raise SettingError("source", uri.text, f"step is {step!r}; use true or false")
    rate = _number(uri, pairs, "rate", 1.0)
    if not rate:
        remedy = "rate is '0'; use a number above 0, or realtime:=false to play without pacing"
        raise SettingError("source", uri.text, remedy)
    return PlaybackRequest(
        Path(unquote(path)).expanduser(),
        pairs.get("topic", ""),
        rate if settings.realtime and not _SWITCH[step] else 0.0,
        _number(uri, pairs, "start", 0.0),
        stamps == "now",
        _SWITCH[step],
    )


def _number(uri: SourceUri, pairs: dict[str, str], name: str, default: float) -> float:
    text = pairs.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        remedy = "a number above 0" if name == "rate" else "seconds, 0 or more"
        raise SettingError("source", uri.text, f"{name} is {text!r}; use {remedy}")
    return value


def _plan(request: PlaybackRequest, codec: str, settings: CameraSettings, have: Have) -> SourcePlan:
    from edgecam_core.camera.plan import Feeder

    def feed(pipeline: Pipeline, now: CameraSettings, counters: Counters) -> Feeder:
        from edgecam_core.camera.recording_feeder import RecordingFeeder

        return RecordingFeeder(pipeline, request, codec, now.loop, counters)

    head, decode = _HEAD, ""
    notes: tuple[str, ...] = ()
    if codec != "raw":
        byte_stream = f"video/x-{codec},stream-format=byte-stream,alignment=au"
        head += " caps=" + ("image/jpeg" if codec == "jpeg" else byte_stream)
        decode, note = decode_text(codec, settings.decoder, have)
        notes = (note,)
    if request.now:
        head += " do-timestamp=true"
    return SourcePlan(
        head, codec=codec, decode=decode, ends=True, feeder=feed, progressive=True, stamped=not request.now, notes=notes
    )
