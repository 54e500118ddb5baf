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

"""Show a camera source or an image topic in a window, or on the viewer's page if there is no display."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from edgecam_core.camera import sources, window
from edgecam_core.camera.plan import Feeder, SourcePlan
from edgecam_core.camera.remedies import with_remedy
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.cli import receive
from edgecam_core.counters import Counters
from edgecam_core.errors import EdgecamError, MissingDependency, SettingError, SourceError
from edgecam_core.masking import masked
from edgecam_core.media import decoders, gst
from edgecam_core.rtp.settings import ReceiverSettings
from edgecam_ros.command_node import command_node, stopped_by_signals

from edgecam_camera.cameras import Command, node_command

_NAME = "edgecam_show"
_IMAGE = "sensor_msgs/msg/Image"
_DISCOVERY_SECONDS = 1.0
_VIEWER = "import sys; from edgecam_viewer.start import viewer; sys.exit(viewer())"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", help="a source (file:///clip.mp4, rtp://@:5000, ...) or a topic (/camera/image_raw)")
    description = "a setting of the camera (for rtp://, of rtp_receiver); may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=description)
    parser.add_argument("--viewer", action="store_true", help="use the viewer's page even if there is a display")
    parser.add_argument("--port", type=int, default=8080, help="TCP port of the page (default 8080)")
    parser.add_argument("--dry-run", action="store_true", help="only print the pipeline")


def waits_for(arguments: argparse.Namespace) -> str:
    if arguments.dry_run:
        return ""
    if _is_rtp(arguments):
        return f"listening on {arguments.what}"
    if _is_topic(arguments):
        return f"for images on {arguments.what}"
    settings = _settings(arguments.what, arguments.set)
    return f"{sources.activity(settings)} {sources.shown(settings)}"


def _is_rtp(arguments: argparse.Namespace) -> bool:
    return arguments.what.startswith("rtp://") and "rtp_codec=jpeg" not in arguments.set


def _is_topic(arguments: argparse.Namespace) -> bool:
    return ":" not in arguments.what and not os.path.exists(arguments.what)


def run(arguments: argparse.Namespace) -> int:
    """Blocks until Ctrl-C or the end of the source."""
    if _is_rtp(arguments):
        return _rtp(arguments)
    is_topic = _is_topic(arguments)
    settings = CameraSettings() if is_topic else _settings(arguments.what, arguments.set)
    if not is_topic:
        sources.check(settings)
    if arguments.viewer or not window.has_display(os.environ):
        if not arguments.viewer:
            print("there is no display (DISPLAY and WAYLAND_DISPLAY are empty): using the viewer's page")
        camera = node_command(settings.changed(camera_name=_NAME), "", "info")
        return _in_viewer(arguments, None if is_topic else camera)
    sink = window.pick_sink(gst.can_open, os.environ)
    print(sink.note)
    return _topic(arguments, sink.element) if is_topic else _source(arguments, settings, sink.element)


def _rtp(arguments: argparse.Namespace) -> int:
    """Show an RTP stream like rtp_receiver: requests lost packets and shows no damaged frames."""
    values = _values(arguments.set)
    address = receive.stream_settings(arguments.what)
    settings = ReceiverSettings.from_mapping({**values, **address})
    if arguments.dry_run:
        print(f"gst-launch-1.0 {decoders.pipeline_text(decoders.choose(settings.decoder, settings.codec))}")
        return 0
    if not arguments.viewer and window.has_display(os.environ):
        return receive.play(settings)
    parameters = [word for name, value in {**values, **address}.items() for word in ("-p", f"{name}:={value}")]
    command = (sys.executable, "-m", "edgecam_rtp.receiver_node", "--ros-args", "-r", f"__ns:=/{_NAME}", *parameters)
    return _in_viewer(arguments, nullcontext(Command(command)))


def _settings(source: str, pairs: list[str]) -> CameraSettings:
    return CameraSettings.from_mapping({"source": source, **_values(pairs)})


def _values(pairs: list[str]) -> dict[str, object]:
    import yaml

    values: dict[str, object] = {}
    for text in pairs:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingError("--set", text, "write NAME=VALUE, e.g. flip_method=rotate-180")
        values[name] = yaml.safe_load(value)
    return values


def _source(arguments: argparse.Namespace, settings: CameraSettings, sink: str) -> int:
    plan = sources.plan(settings, gst.has_element)
    if sources.needs_resolving(settings) and not arguments.dry_run:
        print(f"requesting {masked(settings.source)}", flush=True)
        plan = sources.resolve(settings, gst.has_element)
    if plan.folder:
        raise SettingError("source", settings.source, "image files can be shown on the page only; add --viewer")
    text = window.window_text(plan, settings, sink, gst.has_element)
    print(f"gst-launch-1.0 {masked(text)}", flush=True)
    if plan.feeder:
        print("edgecam feeds the appsrc of this pipeline, so it does not run in gst-launch-1.0")
    if not arguments.dry_run:
        _play(plan, settings, gst.Pipeline(text))
    return 0


def _play(plan: SourcePlan, settings: CameraSettings, pipeline: gst.Pipeline) -> None:
    """Play until the source ends; blocks."""
    feeder: Feeder | None = None
    try:
        pipeline.start(timeout=0.0)
        feeder = plan.feeder(pipeline, settings, Counters()) if plan.feeder else None
        while (message := pipeline.wait_for(("eos", "error"), 0.2)) is None:
            if feeder and feeder.error:
                raise feeder.error
        if message.kind == "error":
            raise SourceError(with_remedy(message))
    finally:
        pipeline.stop()
        if feeder:
            feeder.stop()


def _topic(arguments: argparse.Namespace, sink: str) -> int:
    try:
        import rclpy
        from edgecam_ros.conversions import image_from_ros
        from edgecam_ros.qos import sensor_qos
        from sensor_msgs.msg import Image
    except ImportError as problem:
        raise MissingDependency(f"ROS 2 ({problem})", "source install/setup.bash") from problem
    print(f"gst-launch-1.0 ... ! {window.sink_text(sink)}", flush=True)
    if arguments.dry_run:
        return 0
    shown = window.TopicWindow(sink)
    try:
        with command_node(_NAME) as node:
            node.create_subscription(
                Image, arguments.what, lambda message: shown.show(image_from_ros(message)), sensor_qos()
            )
            check = _publisher_check(node, arguments.what)
            while not (errors := [one.text for one in shown.pipeline.messages() if one.kind == "error"]):
                rclpy.spin_once(node, timeout_sec=0.2)
                check()
        raise EdgecamError(errors[0])
    finally:
        shown.close()


def _publisher_check(node: Any, topic: str) -> Callable[[], None]:
    """A function to call often: once a second, it looks for an image publisher on the topic, and reports its absence.

    It prints the report to stderr, again only if it changes: discovery may find publishers later.
    """
    from edgecam_ros.missing_publishers import missing_publisher

    due, report = time.monotonic() + _DISCOVERY_SECONDS, ""

    def check() -> None:
        nonlocal due, report
        if time.monotonic() < due:
            return
        due, before, report = time.monotonic() + _DISCOVERY_SECONDS, report, missing_publisher(node, topic, _IMAGE)
        if report not in ("", before):
            print(f"waiting: {report}", file=sys.stderr, flush=True)

    return check


def _in_viewer(arguments: argparse.Namespace, source: AbstractContextManager[Command] | None) -> int:
    """Run a viewer node until Ctrl-C and, unless a topic is shown, the node of the command ``source``."""
    if importlib.util.find_spec("edgecam_viewer") is None:
        raise MissingDependency("the package edgecam_viewer", "build it together with edgecam_camera, or use a display")
    topic = f"/{arguments.what.lstrip('/')}" if source is None else f"/{_NAME}/image_raw"
    viewer = (
        *(sys.executable, "-c", _VIEWER, "--ros-args", "-r", f"__ns:=/{_NAME}"),
        *("-p", f"port:={arguments.port}", "-r", f"image_raw:={topic}"),
    )
    print(f"open http://127.0.0.1:{arguments.port} in a browser; stop with Ctrl-C", flush=True)
    if arguments.dry_run:
        return 0
    with ExitStack() as stack:
        stopping = stack.enter_context(stopped_by_signals())
        commands = [Command(viewer)]
        if source is not None:
            commands.append(stack.enter_context(source))
        running = []
        for command in commands:
            process = subprocess.Popen(command.words, pass_fds=command.files)
            stack.callback(process.wait)
            stack.callback(process.send_signal, signal.SIGINT)
            running.append(process)
        check = _publisher_check(stack.enter_context(command_node(_NAME)), topic) if source is None else lambda: None
        while not stopping:
            check()
            for process in running:
                try:
                    return process.wait(0.2)  # it ended unexpectedly: return its exit code
                except subprocess.TimeoutExpired:
                    continue
    return 0
