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

"""Direct mode: passes the frames of a camera to the encoder in the same process, without a message."""

from __future__ import annotations

import numpy as np
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.media import i420
from edgecam_core.media.gst import MappedSample
from edgecam_core.rtp.sender import SMALLEST, Sender


def send(sender: Sender, frame: CapturedFrame) -> None:
    """Send one frame of a :class:`edgecam_core.camera.capture.Camera`, with its capture time.

    Frames in the encoder's format are passed on unchanged; others are converted.

    Raises:
        ImageError: the frame is damaged.
        PipelineError: the encoder does not start.
    """
    planes = None if frame.is_jpeg else encoder_planes(frame.sample)
    if planes is None:
        sender.send(frame.frame("bgr8"))
    else:
        sender.send_planes(planes, frame.width, frame.height, frame.stamp_ns, frame.frame_id)


def encoder_planes(sample: MappedSample) -> np.ndarray | None:
    """The sample's memory if it is I420 (BT.601 limited range, even size, default layout); otherwise None."""
    even = sample.width % 2 == 0 and sample.height % 2 == 0
    if sample.format != "I420" or not even or sample.matrix != "bt601" or sample.full_range:
        return None
    layout = i420.layout(sample.width, sample.height)
    chroma = layout.stride * layout.height
    expected = [
        (0, layout.stride),
        (chroma, layout.chroma_stride),
        (chroma + layout.chroma_stride * layout.height // 2, layout.chroma_stride),
    ]
    if [(plane.offset, plane.stride) for plane in sample.planes] != expected or len(sample.data) < layout.size:
        return None
    return sample.data[: layout.size] if min(sample.width, sample.height) >= SMALLEST else None
