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

"""``csi://0``: a MIPI CSI camera on a Jetson (Argus) or a Raspberry Pi (libcamera)."""

from __future__ import annotations

from edgecam_core.camera.plan import SourcePlan
from edgecam_core.camera.platform import NVVIDCONV_FLIPS, Have
from edgecam_core.camera.settings import CameraSettings, fraction
from edgecam_core.camera.uri import SourceUri
from edgecam_core.errors import MissingDependency, SettingError
from edgecam_core.media import elements

SCHEMES = ("csi",)
EXAMPLE = "csi://0"


def plan(settings: CameraSettings, uri: SourceUri, have: Have) -> SourcePlan:
    """1280x720 at 30 Hz by default; the Jetson rotates the frame in hardware.

    Raises:
        SettingError: the URI has no sensor number.
        MissingDependency: neither camera stack is installed.
    """
    sensor = uri.path.strip("/") or "0"
    if not sensor.isdecimal():
        raise SettingError("source", uri.text, f"needs a sensor number, e.g. {EXAMPLE}")
    if have("nvarguscamerasrc"):
        return _argus(settings, sensor)
    if have("libcamerasrc"):
        size = settings.source_caps() or ",width=1280,height=720,framerate=30/1"
        note = "csi: libcamerasrc, because this is not a Jetson"
        return SourcePlan(f"libcamerasrc ! video/x-raw{size}", sized_by_device=True, notes=(note,))
    raise MissingDependency(
        "GStreamer element 'nvarguscamerasrc' (or libcamerasrc)", elements.remedy("nvarguscamerasrc")
    )


def _argus(settings: CameraSettings, sensor: str) -> SourcePlan:
    width = settings.image_width if settings.image_width > 0 else 1280
    height = settings.image_height if settings.image_height > 0 else 720
    if settings.turned:
        width, height = height, width
    caps = f"video/x-raw(memory:NVMM),format=NV12,width={width},height={height}"
    head = f"nvarguscamerasrc sensor-id={sensor} ! {caps},framerate={fraction(settings.framerate or 30)}"
    # nvvidconv copies out of NVMM memory and rotates in the same step.
    decode = f"nvvidconv flip-method={NVVIDCONV_FLIPS[settings.flip_method]} ! video/x-raw,format=I420"
    note = "csi: nvarguscamerasrc and nvvidconv, because this is a Jetson"
    return SourcePlan(head, codec="nvmm", decode=decode, sized_by_device=True, flipped_by_device=True, notes=(note,))
