"""Show a camera source or an image topic in a window, or where there is no display on the viewer's page."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from edgecam_core.camera import sources, window
from edgecam_core.camera.remedies import with_remedy
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError, MissingDependency, SettingError, SourceError
from edgecam_core.masking import masked

from edgecam_camera.cameras import node_command
from edgecam_core import gst

_VIEWER = "import sys; from edgecam_viewer.node import main; sys.exit(main())"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", help="a source (file:///clip.mp4, v4l2:///dev/video0, ...) or a topic (/camera/image_raw)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a camera setting, repeatable")
    parser.add_argument("--viewer", action="store_true", help="use the viewer's page even if there is a display")
    parser.add_argument("--port", type=int, default=8080, help="TCP port of that page (default 8080)")
    parser.add_argument("--dry-run", action="store_true", help="only print the pipeline")


def run(arguments: argparse.Namespace) -> int:
    """Blocks until Ctrl-C or the end of the source."""
    is_topic = ":" not in arguments.what and not os.path.exists(arguments.what)
    settings = CameraSettings() if is_topic else _settings(arguments.what, arguments.set)
    if not is_topic:
        sources.look(settings)
    if arguments.viewer or not window.has_display(os.environ):
        if not arguments.viewer:
            print("there is no display here (DISPLAY and WAYLAND_DISPLAY are empty): using the viewer's page")
        return _in_viewer(arguments, None if is_topic else settings)
    sink = window.pick_sink(gst.can_open, os.environ)
    print(sink.note)
    return _topic(arguments, sink.element) if is_topic else _source(arguments, settings, sink.element)


def _settings(source: str, given: list[str]) -> CameraSettings:
    import yaml

    values: dict[str, object] = {"source": source}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingError("--set", text, "write NAME=VALUE, e.g. flip_method=rotate-180")
        values[name] = yaml.safe_load(value)
    return CameraSettings.from_mapping(values)


def _source(arguments: argparse.Namespace, settings: CameraSettings, sink: str) -> int:
    plan = sources.plan(settings, gst.has_element)
    if plan.folder:
        raise SettingError("source", settings.source, "pictures are shown on the page only: add --viewer")
    text = window.window_text(plan, settings, sink, gst.has_element)
    print(f"gst-launch-1.0 {masked(text)}", flush=True)
    if arguments.dry_run:
        return 0
    pipeline = gst.Pipeline(text)
    try:
        pipeline.start()
        while (message := pipeline.wait_for(("eos", "error"), 3600.0)) is None:
            pass
        if message.kind == "error":
            raise SourceError(with_remedy(message))
    finally:
        pipeline.stop()
    return 0


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
    rclpy.init(args=[])
    node = rclpy.create_node("edgecam_show", start_parameter_services=False)
    node.create_subscription(Image, arguments.what, lambda message: shown.show(image_from_ros(message)), sensor_qos())
    try:
        while not (errors := [one.text for one in shown.pipeline.messages() if one.kind == "error"]):
            rclpy.spin_once(node, timeout_sec=0.2)
        raise EdgecamError(errors[0])
    finally:
        shown.close()
        node.destroy_node()
        rclpy.try_shutdown()


def _in_viewer(arguments: argparse.Namespace, settings: CameraSettings | None) -> int:
    """A viewer node, and a camera node where a source is to be shown, until Ctrl-C."""
    if importlib.util.find_spec("edgecam_viewer") is None:
        raise MissingDependency("the package edgecam_viewer", "build it beside edgecam_camera, or use a display")
    topic = arguments.what if settings is None else "/edgecam_show/image_raw"
    viewer = [
        *(sys.executable, "-c", _VIEWER, "--ros-args", "-r", "__ns:=/edgecam_show"),
        *("-p", f"port:={arguments.port}", "-r", f"image_raw:={topic}"),
    ]
    print(f"open http://127.0.0.1:{arguments.port} in a browser; Ctrl-C ends it", flush=True)
    if arguments.dry_run:
        return 0
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    with ExitStack() as stack:
        commands = [viewer]
        if settings is not None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgecam-show-")))
            commands.append(node_command(settings.changed(camera_name="edgecam_show"), "", folder))
        running = []
        for command in commands:
            process = subprocess.Popen(command)
            stack.callback(process.wait)
            stack.callback(process.send_signal, signal.SIGINT)
            running.append(process)
        while not stopping:
            for process in running:
                try:
                    return process.wait(0.2)  # it ended by itself, which it should not: its code is ours
                except subprocess.TimeoutExpired:
                    continue
    return 0
