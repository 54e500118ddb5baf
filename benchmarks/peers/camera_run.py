"""Runs our camera node on a file at full speed. Usage: camera_run FILE; prints one JSON line."""

from __future__ import annotations

import sys

import rclpy
from edgecam_camera.node import CameraNode
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from benchmarks.peers.spent import Spent


def main() -> None:
    rclpy.init()
    given = {"autostart": False, "source": f"file://{sys.argv[1]}", "realtime": False}
    node = CameraNode(parameter_overrides=[Parameter(name, value=value) for name, value in given.items()])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    node.trigger_configure()
    while not node.count_subscribers("image_raw"):
        executor.spin_once(timeout_sec=0.1)
    spent = Spent()
    node.trigger_activate()
    while node.report().message != "ended":
        executor.spin_once(timeout_sec=0.2)
    spent.report(int(str(node.report().values["frames"])))
    node.trigger_shutdown()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
