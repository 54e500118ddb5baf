"""V4L2 controls as parameters of a real node; only the kernel's side of the ioctls is simulated."""

from __future__ import annotations

from pathlib import Path

import edgecam_camera.controls
import pytest
import rclpy
from camera_process import LONG
from edgecam_camera.controls import ControlParameters
from edgecam_camera.node import CameraNode
from edgecam_core.camera.controls import ControlDevice
from edgecam_core.camera.settings import CameraSettings
from rclpy.parameter import Parameter
from v4l2_kernel import AUTO, EXPOSURE, Kernel
from waiting import wait_until

NAME = "control.exposure_time_absolute"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    path, played = tmp_path / "video0", Kernel()
    path.touch()
    monkeypatch.setattr(edgecam_camera.controls, "ControlDevice", lambda _path: ControlDevice(str(path), played))
    return played


@pytest.mark.parametrize(
    ("name", "value"),
    [(NAME, 9000), (NAME, "long"), (NAME, 100), ("control.auto_exposure", True), ("control.auto_exposure", 2)],
)
def test_an_invalid_start_value_is_reported_and_the_device_keeps_its_own(
    kernel: Kernel, name: str, value: object, capfd: pytest.CaptureFixture[str]
) -> None:
    before = dict(kernel.values)
    node = rclpy.create_node("controls", parameter_overrides=[Parameter(name, value=value)])
    try:
        controls = ControlParameters(node, CameraSettings(source="v4l2:///dev/video0"))
        controls.refresh(0)
        reported = capfd.readouterr().err
        assert name in reported
        assert str(value) in reported
        assert "the device keeps its current value" in reported
        assert kernel.values == before
        assert node.get_parameter(NAME).value == before[EXPOSURE]  # every control is declared nevertheless
        assert node.get_parameter("control.auto_exposure").value == before[AUTO]
        assert node.set_parameters([Parameter("control.auto_exposure", value=1)])[0].successful
        assert kernel.values[AUTO] == 1
        controls.close()
    finally:
        node.destroy_node()


def test_a_start_value_is_set(kernel: Kernel) -> None:
    kernel.values[AUTO] = 1
    node = rclpy.create_node("controls", parameter_overrides=[Parameter(NAME, value=100)])
    try:
        ControlParameters(node, CameraSettings(source="v4l2:///dev/video0")).refresh(0)
        assert kernel.values[EXPOSURE] == 100
    finally:
        node.destroy_node()


def test_controls_are_set_again_when_the_node_is_activated_again(kernel: Kernel) -> None:
    given = {"autostart": False, "image_width": 64, "image_height": 48}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node = CameraNode(parameter_overrides=overrides, namespace="/controlled")
    try:
        node.trigger_configure()
        node._controls._device = "/dev/video0"  # frames from the test source, controls from the simulated kernel
        node.trigger_activate()
        wait_until(lambda: node.report() and node.has_parameter(NAME), LONG, "the controls")
        assert node.set_parameters([Parameter("control.auto_exposure", value=1)])[0].successful
        node.trigger_deactivate()
        kernel.values[AUTO] = 3  # unplugged and plugged back meanwhile
        node.trigger_activate()
        wait_until(lambda: node.report() and kernel.values[AUTO] == 1, LONG, "the control to be set again")
    finally:
        node.trigger_shutdown()
        node.destroy_node()
