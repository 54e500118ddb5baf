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

"""Direct mode: a camera's frames go to the encoder within one process, without a message."""

from __future__ import annotations

import numpy as np
from edgecam_core.camera.captured_frame import CapturedFrame
from edgecam_core.media import i420
from edgecam_core.media.gst import Sample
from edgecam_core.rtp.sender import SMALLEST, Sender


def send(sender: Sender, frame: CapturedFrame) -> None:
    """Send one frame of a :class:`edgecam_core.camera.capture.Camera`, with its capture time.

    Frames already in the encoder's format are passed on unchanged, all others are converted.
    Raises ImageError for a damaged frame, PipelineError if the encoder does not start.
    """
    planes = None if frame.is_jpeg else encoder_planes(frame.sample)
    if planes is None:
        sender.send(frame.frame("bgr8"))
    else:
        sender.send_planes(planes, frame.width, frame.height, frame.stamp_ns, frame.frame_id)


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
