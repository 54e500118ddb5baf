"""Direct mode: a camera's pictures go to the encoder within one process, without a message in between."""

from __future__ import annotations

import numpy as np

from edgecam_core.camera.picture import Picture
from edgecam_core.gst import Sample
from edgecam_core.rtp import i420
from edgecam_core.rtp.sender import SMALLEST, Sender


def send(sender: Sender, picture: Picture) -> None:
    """Send one picture of a :class:`edgecam_core.camera.capture.Camera`, with its capture time.

    What the camera already gives as the encoder wants it is handed on as it is, everything else is converted.
    Raises ImageError for a damaged picture, PipelineError when the encoder does not start.
    """
    planes = None if picture.is_jpeg else encoder_planes(picture.sample)
    if planes is None:
        sender.send(picture.frame("bgr8"))
    else:
        sender.send_planes(planes, picture.width, picture.height, picture.stamp_ns, picture.frame_id)


def encoder_planes(sample: Sample) -> np.ndarray | None:
    """The sample's memory where it is I420 in BT.601, limited range, even size and default layout; else None."""
    even = sample.width % 2 == 0 and sample.height % 2 == 0
    if sample.format != "I420" or not even or sample.matrix != "bt601" or sample.full_range:
        return None
    form = i420.layout(sample.width, sample.height)
    chroma = form.stride * form.height
    wanted = [
        (0, form.stride),
        (chroma, form.chroma_stride),
        (chroma + form.chroma_stride * form.height // 2, form.chroma_stride),
    ]
    if [(plane.offset, plane.stride) for plane in sample.planes] != wanted or len(sample.data) < form.size:
        return None
    return sample.data[: form.size] if min(sample.width, sample.height) >= SMALLEST else None
