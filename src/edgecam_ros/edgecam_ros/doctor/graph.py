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

"""Running nodes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from edgecam_core.doctor import Finding, error, note, ok, warning

from edgecam_ros.command_node import see_all
from edgecam_ros.duplicates import REMEDY, DuplicateNodes, duplicate_text, process_of

# Seconds. Nodes report once a second; discovery takes up to four on localhost.
LISTEN_AT_LEAST, LISTEN_AT_MOST, QUIET = 5.0, 10.0, 2.5
CLOCK_LIMIT = 0.2  # seconds between a report's stamp and its arrival
IGNORED = ("/rosout", "/parameter_events")


def check() -> Iterator[Finding]:
    # Imported here, so that the other groups work without ROS.
    try:
        import rclpy
        from rclpy.context import Context
    except ImportError as problem:
        yield note("graph", f"running nodes were not checked: {problem}")
        return
    context = Context()
    see_all()
    try:
        rclpy.init(args=[], context=context)
        node = rclpy.create_node("edgecam_doctor", context=context, start_parameter_services=False)
    except Exception as problem:  # rclpy raises its own errors without a common base
        yield error("graph", f"no node can be started: {str(problem).splitlines()[0]}", "see the findings above")
        return
    try:
        yield from _examine(node, context)
    finally:
        node.destroy_node()
        context.try_shutdown()


def _examine(node, context) -> Iterator[Finding]:  # type: ignore[no-untyped-def]
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.executors import SingleThreadedExecutor

    reports: dict[str, tuple[DiagnosticArray, float]] = {}
    duplicates = DuplicateNodes()

    def keep(message: DiagnosticArray) -> None:
        age = (node.get_clock().now().nanoseconds - _nanoseconds(message.header.stamp)) * 1e-9
        for status in message.status:
            reports[status.name] = (status, age)
            process = process_of({pair.key: pair.value for pair in status.values})
            duplicates.add(status.name, process, time.monotonic())

    node.create_subscription(DiagnosticArray, "/diagnostics", keep, 50)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    began = changed = time.monotonic()
    seen: tuple[object, ...] = ()
    while (now := time.monotonic()) - began < LISTEN_AT_MOST:
        executor.spin_once(timeout_sec=0.1)
        snapshot = (len(reports), *sorted(map(str, node.get_topic_names_and_types())), *node.get_node_names())
        if snapshot != seen:
            seen, changed = snapshot, now
        if now - began > LISTEN_AT_LEAST and now - changed > QUIET:
            break
    others = [name for name in node.get_node_names() if name != node.get_name() and not name.startswith("_")]
    executor.shutdown()
    if not others:
        domain = os.environ.get("ROS_DOMAIN_ID", "0")
        yield note("graph", f"no node is running in domain {domain}")
        return
    yield ok("graph", f"{len(others)} nodes are running")
    for name, processes in duplicates.found(time.monotonic()).items():
        yield error("duplicate-node", duplicate_text(name, processes), REMEDY)
    yield from _reported(reports)
    yield from _mismatches(node)


def _reported(reports) -> Iterator[Finding]:  # type: ignore[no-untyped-def]
    for name, (status, age) in sorted(reports.items()):
        level = status.level[0] if status.level else 0
        if level == 0:
            yield ok("node-state", f"{name}: {status.message}")
        else:
            report = error if level == 2 else warning
            yield report("node-state", f"{name}: {status.message}", f"show all values: {_echo(name)}")
        if abs(age) > CLOCK_LIMIT:
            text = (
                f"{name}: its report arrived {age:+.1f} s after its stamp; clocks differ, or the machine is overloaded"
            )
            yield warning("clock-offset", text, "synchronise the clocks: sudo apt-get install chrony on both machines")


def _echo(name: str) -> str:
    return f"ros2 topic echo /diagnostics --field status | grep -A3 {name}"


def _mismatches(node) -> Iterator[Finding]:  # type: ignore[no-untyped-def]
    from rclpy.qos import QoSCompatibility, qos_check_compatible

    clean = 0
    for topic, _types in node.get_topic_names_and_types():
        if topic in IGNORED:
            continue
        publishers = node.get_publishers_info_by_topic(topic)
        subscribers = node.get_subscriptions_info_by_topic(topic)
        for publisher in publishers:
            for subscriber in subscribers:
                verdict, reason = qos_check_compatible(publisher.qos_profile, subscriber.qos_profile)
                if verdict != QoSCompatibility.ERROR:  # compared by value: it is not the same object each time
                    clean += 1
                    continue
                pair = f"{_full(publisher)} -> {_full(subscriber)}"
                remedy = "relax the subscriber's QoS (best effort, volatile), or make the publisher's stricter"
                yield error(
                    "qos",
                    f"{topic}: {pair} have incompatible QoS: {reason.removeprefix('ERROR: ').strip(' ;')}",
                    remedy,
                )
            if {one.topic_type for one in subscribers} - {publisher.topic_type}:
                yield error("topic-type", f"{topic} has different message types", "remap one of the two")
    yield ok("qos-pairs", f"{clean} pairs of publisher and subscriber are compatible")


def _full(endpoint) -> str:  # type: ignore[no-untyped-def]
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def _nanoseconds(stamp) -> int:  # type: ignore[no-untyped-def]
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
