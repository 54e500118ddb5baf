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

"""Finds the type of a topic to subscribe to."""

from __future__ import annotations

import argparse
from typing import Any

from ros2cli.errors import CliError
from ros2cli.graph.names import expand
from ros2cli.graph.node import spin_until, wait_for_graph
from ros2cli.messages.types import message_type

NOT_PUBLISHED = "WARNING: topic [%s] does not appear to be published yet"


def topic_types(node: Any, topic: str) -> list[str]:
    """The names of a topic's types; empty if the topic does not exist."""
    return list(dict(node.get_topic_names_and_types()).get(topic, []))


def find_type(node: Any, topic: str, args: argparse.Namespace, keep_waiting: bool) -> Any:
    """The message class of a topic, after discovery of its publishers.

    If the topic does not exist, prints a message, then waits indefinitely or returns None. Raises CliError if the
    topic has several types, or a type that is not installed.
    """
    name = expand(node, topic)
    wait_for_graph(node, args, found=lambda: node.count_publishers(name) > 0)
    if not topic_types(node, name):
        print(NOT_PUBLISHED % topic)
        if not keep_waiting:
            return None
        while not topic_types(node, name):
            spin_until(node, lambda: False, timeout=0.1)
    types = topic_types(node, name)
    if len(types) > 1:
        raise CliError(f"Cannot echo topic '{topic}', as it contains more than one type: [{', '.join(types)}]")
    return message_type(types[0])


def filter_function(expression: str | None) -> Any:
    """A predicate `f(m)` from a Python expression over `m`."""
    if expression is None:
        return lambda message: True
    code = compile(expression, "--filter", "eval")
    return lambda message: eval(code, {}, {"m": message})
