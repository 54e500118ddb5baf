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

"""The WebRTC connection to one browser: sends RTP packets, encrypted, over UDP (GStreamer's ``webrtcbin``).

This side makes the offer, which contains all candidates. The candidates of the browser are not used: its connectivity
checks reveal its address (RFC 8445, peer-reflexive candidates), so that no viewer can make this machine send to an
address of its choice. No STUN or TURN server is used.
"""

from __future__ import annotations

import ctypes
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any

from edgecam_core.errors import EdgecamError
from edgecam_core.media import gst

from edgecam_viewer.settings import ANY_ADDRESS

ELEMENTS = "appsrc ! webrtcbin ! nicesink ! dtlssrtpenc"
PAYLOAD_TYPE = 102
WAITING = 512  # packets that may be queued for a connection; older ones are dropped


def require() -> None:
    """Check that WebRTC is available on this machine.

    Raises:
        MissingDependency: an element or a typelib is not installed; the message contains the command.
    """
    gst.load()
    gst.require_elements(ELEMENTS)
    for name, version in (("GstWebRTC", "1.0"), ("GstSdp", "1.0"), ("Nice", "0.1")):
        gst.library(name, version)


class WebRtcPeer:
    """Sends one H.264 stream to one browser.

    Args:
        ssrc: SSRC of the packets to send.
        host: address of the network interface to use; one of ANY_ADDRESS for all.
        on_offer: called once, on a GStreamer thread, with the SDP offer.
        on_keyframe: called on a GStreamer thread when the browser has connected or requests a keyframe.

    Raises:
        EdgecamError: the connection cannot be set up.
    """

    def __init__(self, ssrc: int, host: str, on_offer: Callable[[str], None], on_keyframe: Callable[[], None]) -> None:
        caps = (
            f"application/x-rtp,media=video,encoding-name=H264,payload={PAYLOAD_TYPE},clock-rate=90000,"
            f"ssrc=(uint){ssrc},packetization-mode=(string)1,profile-level-id=(string)42e01f"
        )
        self._on_offer: Callable[[str], None] | None = on_offer
        self._on_keyframe = on_keyframe
        self._answered = False
        self.connected = False
        self._pipeline = gst.Pipeline(
            f"appsrc name=src is-live=true format=time do-timestamp=true max-buffers={WAITING} max-bytes=0 max-time=0 "
            f'leaky-type=downstream caps="{caps}" ! webrtcbin name=rtc bundle-policy=max-bundle'
        )
        self._rtc = self._pipeline.element("rtc")
        agent = _agent(self._rtc)
        agent.set_property("upnp", False)  # UPnP queries the routers of the network, which can prevent the offer
        if host not in ANY_ADDRESS:
            _bind(agent, host)
        transceiver = self._rtc.emit("get-transceiver", 0)
        transceiver.set_property("direction", gst.library("GstWebRTC").WebRTCRTPTransceiverDirection.SENDONLY)
        transceiver.set_property("do-nack", True)
        signals = {
            "on-negotiation-needed": self._negotiate,
            "notify::ice-gathering-state": self._gathered,
            "notify::connection-state": self._changed,
        }
        self._handlers = [self._rtc.connect(name, handler) for name, handler in signals.items()]
        self._pad = self._pipeline.element("src").get_static_pad("src")
        self._probe = self._pad.add_probe(gst.load().PadProbeType.EVENT_UPSTREAM, self._event)
        self._pipeline.start()

    def answer(self, sdp: str) -> None:
        """Apply the browser's answer; blocks for several milliseconds.

        Raises:
            EdgecamError: the text is not an answer to the offer.
        """
        if self._answered or self._on_offer is not None:
            raise EdgecamError("a WebRTC answer arrived without an offer")
        if not sdp.isascii() or "\0" in sdp:  # not a valid C string
            raise EdgecamError("not an answer to the WebRTC offer")
        kept = re.sub(r"(?m)^a=candidate:.*\r?\n?", "", sdp)
        result, message = gst.library("GstSdp").SDPMessage.new_from_text(kept)
        media = message.get_media(0) if int(result) == 0 and message.medias_len() == 1 else None
        if media is None or media.get_media() != "video" or not media.get_attribute_val("ice-ufrag"):
            raise EdgecamError("not an answer to the WebRTC offer")
        self._answered = True
        promise = gst.load().Promise.new()
        web = gst.library("GstWebRTC")
        description = web.WebRTCSessionDescription.new(web.WebRTCSDPType.ANSWER, message)
        self._rtc.emit("set-remote-description", description, promise)
        promise.wait()
        reply = promise.get_reply()
        if reply is not None and reply.has_field("error"):
            raise EdgecamError("the answer to the WebRTC offer is invalid")

    def send(self, packets: Sequence[Any]) -> None:
        """Send packets created by ``gst.buffer_of``; no effect until the browser is connected. Does not block."""
        if self.connected:
            for packet in packets:
                self._pipeline.push(packet)

    def close(self) -> None:
        """End the connection and free its sockets; call once. Blocks for several milliseconds."""
        self.connected = False
        self._pipeline.stop()
        # Circular references would keep both objects and the sockets open.
        self._pad.remove_probe(self._probe)
        for handler in self._handlers:
            self._rtc.disconnect(handler)
        self._handlers.clear()

    def _negotiate(self, rtc: Any) -> None:
        rtc.emit("create-offer", None, gst.load().Promise.new_with_change_func(self._offer_made))

    def _offer_made(self, promise: Any) -> None:
        reply = promise.get_reply()  # owns the offer, so it must live until the offer has been used
        self._rtc.emit("set-local-description", reply.get_value("offer"), None)

    def _gathered(self, rtc: Any, _property: Any) -> None:
        if rtc.get_property("ice-gathering-state").value_nick == "complete" and self._on_offer is not None:
            send, self._on_offer = self._on_offer, None
            send(rtc.get_property("local-description").sdp.as_text())

    def _changed(self, rtc: Any, _property: Any) -> None:
        self.connected = rtc.get_property("connection-state").value_nick == "connected"
        if self.connected:
            self._on_keyframe()

    def _event(self, _pad: Any, info: Any) -> Any:
        if gst.library("GstVideo").video_event_is_force_key_unit(info.get_event()):
            self._on_keyframe()
        return gst.load().PadProbeReturn.OK


def _owned(thing: Any) -> Any:
    """The same object with an additional reference.

    ``webrtcbin`` returns its ICE object with a floating reference, so that Python's binding takes over the reference of
    the bin. The object would then be freed before the bin.
    """
    if thing.__grefcount__ == 1:
        pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
            ("PyCapsule_GetPointer", ctypes.pythonapi)
        )
        pointer = pointer_of(thing.__gpointer__, None)
        ctypes.CDLL("libgobject-2.0.so.0").g_object_ref(ctypes.c_void_p(pointer))
    return thing


def _agent(rtc: Any) -> Any:
    """The libnice ICE agent of a ``webrtcbin``."""
    gst.library("Nice", "0.1")  # first, because it registers the methods of the agent
    return _owned(rtc.get_property("ice-agent")).get_property("agent")


def _bind(agent: Any, host: str) -> None:
    """Restrict ICE to this address."""
    nice = gst.library("Nice", "0.1")
    for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM):
        one = nice.Address.new()
        if not one.set_from_string(address[0]) or not agent.add_local_address(one):
            raise EdgecamError(f"WebRTC cannot use the address {address[0]}")
