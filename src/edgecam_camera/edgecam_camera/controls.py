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

"""The controls of a V4L2 camera as parameters ``control.<name>``."""

from __future__ import annotations

from edgecam_core.camera import sources
from edgecam_core.camera.controls import Control, ControlDevice
from edgecam_core.camera.settings import CameraSettings
from edgecam_core.errors import EdgecamError, SettingError
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

PREFIX = "control."


class ControlParameters:
    """Declares the writable controls once the device is open, and restores their values after a reconnect.

    Use only on the executor's thread.
    """

    def __init__(self, node: Node, settings: CameraSettings) -> None:
        self._node = node
        self._device = _device(settings)
        self._known: dict[str, Control] = {}
        self._session = -1
        node.add_on_set_parameters_callback(self._on_parameters)

    def close(self) -> None:
        self._node.remove_on_set_parameters_callback(self._on_parameters)
        for name in self._known:
            self._node.undeclare_parameter(PREFIX + name)
        self._known = {}

    def released(self) -> None:
        """Call after closing the device; the next :meth:`refresh` restores the values."""
        self._session = -1

    def refresh(self, session: int) -> None:
        """Call while the camera streams; ``session`` changes each time the device is reopened."""
        if not self._device or session == self._session:
            return
        self._session = session
        try:
            with ControlDevice(self._device) as device:
                for control in device.controls():
                    if not control.read_only:
                        self._restore(device, control)
        except EdgecamError as error:
            self._node.get_logger().warning(f"controls: {error}")

    def _restore(self, device: ControlDevice, control: Control) -> None:
        """Set a known control to its parameter; declare the parameter of a new one."""
        name = PREFIX + control.name
        if control.name in self._known:  # a reconnected device has lost its settings
            try:
                device.set(control, int(self._node.get_parameter(name).value))
            except SettingError as error:  # e.g. manual exposure while auto exposure is on
                self._node.get_logger().info(str(error))
            return
        now = device.get(control)
        descriptor = ParameterDescriptor(description=control.describe())
        if not control.is_bool:
            step = max(1, control.step)
            descriptor.integer_range = [IntegerRange(from_value=control.low, to_value=control.high, step=step)]
        self._known[control.name] = control
        self._declare(name, bool(now) if control.is_bool else now, descriptor)

    def _declare(self, name: str, now: int, descriptor: ParameterDescriptor) -> None:
        """Declare a parameter. A value given at start is set on the device through the parameter callback.

        If it is invalid, a warning is logged and the device keeps its current value.
        """
        try:
            self._node.declare_parameter(name, now, descriptor)
        except (ParameterException, ValueError) as error:
            span = "".join(f" of {one.from_value} to {one.to_value}" for one in descriptor.integer_range)
            self._node.get_logger().warning(f"{name}: {error}; the device keeps its current value {now}{span}")
            self._node.declare_parameter(name, now, descriptor, ignore_override=True)

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = [(self._known[c.name.removeprefix(PREFIX)], c.value) for c in changes if self._is_known(c.name)]
        if not values:
            return SetParametersResult(successful=True)
        try:
            with ControlDevice(self._device) as device:
                for control, value in values:
                    if device.get(control) != int(value):
                        device.set(control, int(value))
        except EdgecamError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _is_known(self, name: str) -> bool:
        return name.startswith(PREFIX) and name.removeprefix(PREFIX) in self._known


def _device(settings: CameraSettings) -> str:
    """The device file of a v4l2 source; ``""`` for other sources."""
    module, uri = sources.find(settings)
    return str(module.device(uri)) if hasattr(module, "device") else ""
