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

"""Remedies for errors that GStreamer reports."""

from __future__ import annotations

from edgecam_core.media.gst import BusMessage

_RESOURCE, _STREAM, _CORE = "gst-resource-error-quark", "gst-stream-error-quark", "gst-core-error-quark"
# GstResourceError, GstStreamError and GstCoreError codes.
_REMEDIES = {
    (_RESOURCE, 4): "another program uses the device; `fuser -v` on it shows which",
    (_RESOURCE, 7): "check the address; is the server running and the path correct?",
    (_RESOURCE, 15): "set rtsp_user and rtsp_password, or write both into the source",
    (_STREAM, 4): "GStreamer does not recognise this video format; `gst-discoverer-1.0` on it shows details",
    (_STREAM, 6): "its decoder is missing: sudo apt-get install gstreamer1.0-libav gstreamer1.0-plugins-bad",
    (_CORE, 12): "install gstreamer1.0-libav and gstreamer1.0-plugins-bad, or convert it, e.g. to H.264",
}


def with_remedy(message: BusMessage) -> str:
    """The message's text, with the remedy if there is one."""
    remedy = _REMEDIES.get((message.domain, message.code))
    return f"{message.text.rstrip('.')}; {remedy}" if remedy else message.text
