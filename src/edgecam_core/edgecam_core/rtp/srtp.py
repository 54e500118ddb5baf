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

"""Secure RTP (RFC 3711, RFC 7714) with libsrtp2, the library that GStreamer and browsers use.

The key comes from a file or an environment variable, never from the command line, and is never logged.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import functools
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from edgecam_core.errors import MissingDependency, SettingError

LIBRARY = "libsrtp2.so.1"
LARGEST_TRAILER = 256  # bytes; upper limit of what encryption adds to a packet
WINDOW = 4096  # packets of replay protection; retransmissions arrive late
_SPECIFIC_SSRC = 1


@dataclass(frozen=True)
class Cipher:
    """``key_size`` is the size of master key and salt, ``trailer`` the growth of each packet, both in bytes.

    ``setters`` are the libsrtp functions that fill the policies for RTP and RTCP.
    """

    key_size: int
    trailer: int
    setters: tuple[str, str]


CIPHERS = {
    "aes-128-gcm": Cipher(28, 16, ("srtp_crypto_policy_set_aes_gcm_128_16_auth",) * 2),
    "aes-128-icm": Cipher(30, 10, ("srtp_crypto_policy_set_rtp_default", "srtp_crypto_policy_set_rtcp_default")),
}


class _CryptoPolicy(ctypes.Structure):
    _fields_ = [
        ("cipher_type", ctypes.c_uint32), ("cipher_key_len", ctypes.c_int), ("auth_type", ctypes.c_uint32),
        ("auth_key_len", ctypes.c_int), ("auth_tag_len", ctypes.c_int), ("sec_serv", ctypes.c_int),
    ]  # fmt: skip


class _Policy(ctypes.Structure):
    _fields_ = [
        ("ssrc_type", ctypes.c_int), ("ssrc", ctypes.c_uint), ("rtp", _CryptoPolicy), ("rtcp", _CryptoPolicy),
        ("key", ctypes.c_char_p), ("keys", ctypes.c_void_p), ("num_master_keys", ctypes.c_ulong),
        ("deprecated_ekt", ctypes.c_void_p), ("window_size", ctypes.c_ulong), ("allow_repeat_tx", ctypes.c_int),
        ("enc_xtn_hdr", ctypes.c_void_p), ("enc_xtn_hdr_count", ctypes.c_int), ("next", ctypes.c_void_p),
    ]  # fmt: skip


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise MissingDependency("libsrtp2", "sudo apt-get install libsrtp2-1") from None
    library.srtp_init()
    return library


def read_key(text: str, cipher: str) -> bytes:
    """The master key and salt that the parameter ``srtp_key`` points to: a file, or ``env:NAME``.

    The content is hexadecimal or base 64.

    Raises:
        SettingError: the key cannot be read or has the wrong size; the text never contains the key.
    """
    size = CIPHERS[cipher].key_size
    if text.startswith("env:"):
        content = os.environ.get(text[4:])
        if content is None:
            raise SettingError("srtp_key", text, "names an environment variable that is not set")
    else:
        if "/" not in text:  # it may be the key itself: keep it out of logs
            raise SettingError("srtp_key", "***", "must be the path of a key file (with a /) or env:NAME")
        try:
            content = Path(text.removeprefix("file://")).expanduser().read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError("srtp_key", text, f"cannot be read: {error}") from None
    key = _decoded(content.strip())
    if key is None or len(key) != size:
        found = "neither hexadecimal nor base 64" if key is None else f"{len(key)} bytes long"
        make = f"openssl rand -hex {size}"
        raise SettingError("srtp_key", text, f"contains a key that is {found}; {cipher} needs {size} bytes: `{make}`")
    return key


def _decoded(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


class SrtpSession:
    """One libsrtp session for one SSRC."""

    def __init__(self, cipher: str, key: bytes, ssrc: int) -> None:
        self._library = _library()
        self._key = ctypes.create_string_buffer(key, len(key))
        policy = _Policy(ssrc_type=_SPECIFIC_SSRC, ssrc=ssrc, window_size=WINDOW)
        policy.key = ctypes.cast(self._key, ctypes.c_char_p)
        for name, part in zip(CIPHERS[cipher].setters, ("rtp", "rtcp"), strict=True):
            getattr(self._library, name)(ctypes.byref(policy, getattr(_Policy, part).offset))
        self._ssrc = ctypes.c_uint32(ssrc)
        self._context = ctypes.c_void_p()
        if self._library.srtp_create(ctypes.byref(self._context), ctypes.byref(policy)):
            raise MissingDependency(f"libsrtp2 with {cipher}", "choose srtp_cipher:=aes-128-icm")

    def set_rollover(self, count: int) -> None:
        """Set the rollover counter: how often the sequence number of the next packet has wrapped."""
        self._library.srtp_set_stream_roc(self._context, self._ssrc, ctypes.c_uint32(count))

    def rollover(self) -> int:
        count = ctypes.c_uint32()
        self._library.srtp_get_stream_roc(self._context, self._ssrc, ctypes.byref(count))
        return count.value

    def call(self, function: str, data: bytes) -> tuple[int, bytes]:
        buffer = ctypes.create_string_buffer(data, len(data) + LARGEST_TRAILER)
        size = ctypes.c_int(len(data))
        status = getattr(self._library, function)(self._context, buffer, ctypes.byref(size))
        return int(status), buffer.raw[: size.value]

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self._library.srtp_dealloc(self._context)


class Protector:
    """Encrypts and authenticates the packets of one SSRC. Thread-safe."""

    def __init__(self, cipher: str, key: bytes, ssrc: int) -> None:
        self._session = SrtpSession(cipher, key, ssrc)
        self._lock = threading.Lock()

    def rtp(self, data: bytes) -> bytes:
        return self._protect("srtp_protect", data)

    def rtcp(self, data: bytes) -> bytes:
        return self._protect("srtp_protect_rtcp", data)

    def _protect(self, function: str, data: bytes) -> bytes:
        with self._lock:
            status, protected = self._session.call(function, data)
        if status:
            raise ValueError(f"libsrtp2 refused a packet (status {status})")
        return protected
