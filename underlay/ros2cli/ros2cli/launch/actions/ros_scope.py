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

"""`<push_ros_namespace>`, `<set_parameter>`, `<set_remap>`: apply to subsequent nodes in the scope."""

from __future__ import annotations

from ros2cli.launch.context import Context
from ros2cli.launch.ros_names import join_namespace, valid_namespace
from ros2cli.launch.schema import Action, Tag
from ros2cli.launch.values import TypeMismatch, coerce


def _push_ros_namespace(action: Action, context: Context) -> None:
    pushed = action.text(context, "namespace")
    namespace = join_namespace(context.scope.namespace, pushed)
    if namespace is None or not valid_namespace(namespace):
        raise action.error(f"'{pushed}' evaluates to the invalid namespace '{namespace}'", "namespace")
    context.scope.namespace = namespace


def _set_parameter(action: Action, context: Context) -> None:
    text = action.text(context, "value")
    try:
        value = coerce(text) if text else ""
    except TypeMismatch as error:
        raise action.error(str(error), "value") from error
    context.scope.parameters += ((action.text(context, "name"), value),)


def _set_remap(action: Action, context: Context) -> None:
    context.scope.remaps += ((action.text(context, "from"), action.text(context, "to")),)


_NAMESPACE = Tag(required=("namespace",), run=_push_ros_namespace)

TAGS = {
    "push_ros_namespace": _NAMESPACE,
    "push-ros-namespace": _NAMESPACE,
    "set_parameter": Tag(required=("name", "value"), run=_set_parameter),
    "set_remap": Tag(required=("from", "to"), run=_set_remap),
}
