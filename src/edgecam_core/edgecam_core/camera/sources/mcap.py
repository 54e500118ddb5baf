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

"""``mcap:///file.mcap?topic=/camera/image_raw``: the images of a recording. Folders of rosbag2 and .db3 files, too."""

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
class Wanted:
    """What the URI asks for. ``rate`` 0: as fast as the frames are taken; ``start`` in seconds."""

    path: Path
    topic: str = ""
    rate: float = 1.0
    start: float = 0.0
    now: bool = False
    step: bool = False


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """Raw video until :func:`resolve` has read the recording: the topic's type is not in the address.

    Raises:
        SettingError: a parameter of the URI is unknown or has an impossible value.
    """
    return _plan(wanted(settings, uri), "raw", settings, have)


def resolve(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """The plan for the topic's type. Reads the recording's first image; may take seconds.

    Raises:
        SourceError: the recording cannot be read.
    """
    from edgecam_core.camera.recording_feeder import form_of
    from edgecam_core.recording.message import RecordingError

    asked = wanted(settings, uri)
    try:
        return _plan(asked, form_of(asked.path, asked.topic, asked.start), settings, have)
    except RecordingError as error:
        raise SourceError(str(error)) from error


def look(settings: CameraSettings, uri: SourceUri) -> None:
    """Raise SettingError where the recording or its topic is not there."""
    asked = wanted(settings, uri)
    try:
        from edgecam_core.camera.recording_feeder import form_of
        from edgecam_core.recording.message import RecordingError
    except ImportError as error:
        raise MissingDependency(f"the package {error.name}, which reads recordings,", "pip install mcap") from error
    try:
        form_of(asked.path, asked.topic, asked.start)
    except RecordingError as error:
        raise SettingError("source", uri.text, str(error)) from error


def wanted(settings: CameraSettings, uri: SourceUri) -> Wanted:
    """The URI taken apart. Raises SettingError, as :func:`plan`."""
    path, _, query = uri.rest.removeprefix("//").partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name in given:
        if name not in _PARAMETERS:
            raise SettingError("source", uri.text, f"{name!r} is unknown; {', '.join(_PARAMETERS)} can be given")
    if (stamps := given.get("stamps", "original")) not in ("original", "now"):
        raise SettingError("source", uri.text, f"stamps is {stamps!r}: original or now")
    if (step := given.get("step", "false")) not in _SWITCH:
        raise SettingError("source", uri.text, f"step is {step!r}: true or false")
    rate = _number(uri, given, "rate", 1.0)
    if not rate:
        raise SettingError("source", uri.text, "rate is '0': a number above 0; realtime:=false plays without waiting")
    return Wanted(
        Path(unquote(path)).expanduser(),
        given.get("topic", ""),
        rate if settings.realtime and not _SWITCH[step] else 0.0,
        _number(uri, given, "start", 0.0),
        stamps == "now",
        _SWITCH[step],
    )


def _number(uri: SourceUri, given: dict[str, str], name: str, default: float) -> float:
    text = given.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        least = "above 0" if name == "rate" else "of seconds from 0"
        raise SettingError("source", uri.text, f"{name} is {text!r}: a number {least}")
    return value


def _plan(asked: Wanted, form: str, settings: CameraSettings, have: Have) -> SourcePlan:
    from edgecam_core.camera.plan import Feeder

    def feed(pipeline: Pipeline, now: CameraSettings, counters: Counters) -> Feeder:
        from edgecam_core.camera.recording_feeder import RecordingFeeder

        return RecordingFeeder(pipeline, asked, form, now.loop, counters)

    head, decode = _HEAD, ""
    notes: tuple[str, ...] = ()
    if form != "raw":
        head += " caps=image/jpeg" if form == "jpeg" else f" caps=video/x-{form},stream-format=byte-stream,alignment=au"
        decode, note = decode_text(form, settings.decoder, have)
        notes = (note,)
    if asked.now:
        head += " do-timestamp=true"
    return SourcePlan(
        head, codec=form, decode=decode, ends=True, feeder=feed, progressive=True, stamped=not asked.now, notes=notes
    )
