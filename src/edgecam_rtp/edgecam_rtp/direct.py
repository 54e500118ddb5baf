"""Direct mode of the sender node: its own camera, no image topic on the way to the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecam_core.camera.capture import Camera
from edgecam_core.camera.picture import Picture
from edgecam_core.errors import EdgecamError, PipelineError
from edgecam_core.rtp import direct
from edgecam_core.rtp.sender import Sender
from edgecam_core.tally import Tally
from edgecam_ros.conversions import image_to_ros
from edgecam_ros.qos import image_qos
from sensor_msgs.msg import Image

if TYPE_CHECKING:
    from edgecam_rtp.sender_node import SenderNode


class DirectCamera:
    """The camera of a sender node. Making one checks the source.

    Raises:
        SettingError, MissingDependency: the source cannot work on this machine.
    """

    def __init__(self, node: SenderNode, troubles: Tally) -> None:
        self._node = node
        self._troubles = troubles
        self._sender: Sender | None = None
        self._camera = Camera(
            node.settings.camera(),
            self._on_picture,
            lambda: int(node.get_clock().now().nanoseconds),
            self._on_event,
            self._on_failure,
        )
        self._images = node.create_publisher(Image, "image_raw", image_qos())

    def start(self, sender: Sender) -> None:
        self._sender = sender
        self._camera.start()

    def stop(self) -> None:
        self._camera.stop()
        self._sender = None

    def close(self) -> None:
        """Give the topic up."""
        self._node.destroy_publisher(self._images)

    def problem(self) -> str:
        """Why there are no pictures."""
        status = self._camera.status()
        return f"no pictures of {self._node.settings.source}: {status.problem or status.state}"

    def _on_picture(self, picture: Picture) -> None:
        if self._sender is not None:
            direct.send(self._sender, picture)
        if self._images.get_subscription_count():
            self._images.publish(image_to_ros(picture.frame("bgr8")))

    def _on_event(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info(text)

    def _on_failure(self, error: Exception) -> None:
        self._node.fail(error if isinstance(error, EdgecamError) else PipelineError(f"{type(error).__name__}: {error}"))
