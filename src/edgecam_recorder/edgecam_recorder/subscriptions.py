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

"""Subscribes to topics as serialised messages, with the QoS that their publishers offer."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgecam_core.errors import EdgecamError
from edgecam_core.recording import qos
from edgecam_core.recording.definitions import definition, share_folders
from edgecam_core.recording.message import Message, RecordingError, Topic
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

_DEPTH, _IMAGE_DEPTH = 200, 10
_WITH_INFO = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("data", "info")]
)
_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/PointCloud2")


@dataclass(frozen=True)
class _Subscribed:
    subscription: Any
    topic: Topic


class TopicSubscriptions:
    """Subscribes to every published topic that matches. :meth:`refresh` finds new ones; call it about once a second.

    Args:
        names: topics, which may contain ``*``; relative names are in the node's namespace.
        take: gets every message, on the executor's thread.
        on_problem: called once for each reason why a topic cannot be recorded, or only partly.
    """

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        take: Callable[[Message], None],
        on_problem: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._node = node
        self._names = [_resolved(node, name) for name in names]
        self._take = take
        self._on_problem = on_problem
        self._subscribed: dict[str, _Subscribed] = {}
        self._refused: set[tuple[str, str]] = set()

    @property
    def topics(self) -> list[str]:
        """The subscribed topics."""
        return sorted(self._subscribed)

    @property
    def missing(self) -> list[str]:
        """The requested names that match no published topic."""
        found = [name for name in self._names if not any(fnmatch.fnmatchcase(one, name) for one in self._subscribed)]
        return sorted(found)

    def refresh(self) -> None:
        """Subscribe to all matching topics that are published now. Takes a few milliseconds for a hundred topics."""
        for name, types in self._node.get_topic_names_and_types():
            if not any(fnmatch.fnmatchcase(name, one) for one in self._names):
                continue
            offers = self._node.get_publishers_info_by_topic(name)
            if not offers:
                continue
            if len(types) > 1:
                self._problem(
                    name, f"{name} has several types ({', '.join(types)}); only {offers[0].topic_type} is recorded"
                )
            try:
                self._subscribe(name, [one for one in offers if one.topic_type == offers[0].topic_type])
            except EdgecamError as error:
                self._problem(name, str(error))

    def close(self) -> None:
        for one in self._subscribed.values():
            self._node.destroy_subscription(one.subscription)
        self._subscribed.clear()

    def _problem(self, name: str, text: str) -> None:
        if (name, text) not in self._refused:
            self._refused.add((name, text))
            self._on_problem(text)

    def _subscribe(self, name: str, offers: Sequence[Any]) -> None:
        topic = self._topic(name, offers)
        known = self._subscribed.get(name)
        if known and known.topic.type == topic.type and _profile(known.topic) == _profile(topic):
            return
        kind = message_class(topic.type)
        if known:  # a new publisher offers weaker QoS, or another type
            self._node.destroy_subscription(known.subscription)
        clock = self._node.get_clock()

        def take(data: Any, info: Any = None) -> None:
            if isinstance(data, tuple):
                data, info = data
            now = clock.now().nanoseconds
            self._take(Message(topic, now, int((info or {}).get("source_timestamp") or now), data))

        # rclpy passes the message info, with the time of publication, only if the signature has a second parameter. For
        # serialised messages, the events executor (rclpy 9.1) passes both as one tuple.
        take.__signature__ = _WITH_INFO  # type: ignore[attr-defined]
        subscription = self._node.create_subscription(kind, name, take, _profile(topic), raw=True)
        self._subscribed[name] = _Subscribed(subscription, topic)

    def _topic(self, name: str, offers: Sequence[Any]) -> Topic:
        type_name = str(offers[0].topic_type)
        offered = qos.dump([_offered(one.qos_profile) for one in offers])
        try:
            text = definition(type_name, share_folders())
        except RecordingError as error:
            self._problem(name, f"{name} is recorded without its definition: {error}")
            text = ""
        return Topic(name, type_name, offered, _type_hash(offers[0]), text, qos.is_latched(offered))


def message_class(type_name: str) -> Any:
    """The class of a type such as ``sensor_msgs/msg/Image``.

    Raises:
        RecordingError: its package is not installed for Python.
    """
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise RecordingError(
            f"messages of type {type_name} need the package {package}: install it (ros-$ROS_DISTRO-"
            f"{package.replace('_', '-')}) or source its workspace"
        ) from error


def _resolved(node: Node, name: str) -> str:
    """The full name. ROS cannot resolve a name with ``*``: that one gets the node's namespace here."""
    if "*" not in name:
        return str(node.resolve_topic_name(name))
    return name if name.startswith("/") else f"{node.get_namespace().rstrip('/')}/{name}"


def profile(topic: Topic, depth: int) -> QoSProfile:
    """A profile with the reliability and durability that all recorded publishers of the topic offer."""
    best_effort = qos.is_best_effort(topic.qos)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE,
    )


def _profile(topic: Topic) -> QoSProfile:
    return profile(topic, _IMAGE_DEPTH if topic.type in _IMAGES else _DEPTH)


def _offered(profile: QoSProfile) -> qos.Qos:
    return qos.Qos(
        profile.history.name.lower(),
        profile.depth,
        profile.reliability.name.lower(),
        profile.durability.name.lower(),
        min(profile.deadline.nanoseconds, qos.FOREVER_NS),
        min(profile.lifespan.nanoseconds, qos.FOREVER_NS),
        profile.liveliness.name.lower(),
        min(profile.liveliness_lease_duration.nanoseconds, qos.FOREVER_NS),
    )


def _type_hash(offer: Any) -> str:
    """The REP-2016 hash; Humble has none."""
    found = getattr(offer, "topic_type_hash", None)
    return str(found) if found is not None and str(found).startswith("RIHS") else ""
