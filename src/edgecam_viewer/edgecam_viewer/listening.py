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

"""The address of the page: its socket, its encryption, and the address to open in a browser."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

from edgecam_core.errors import SettingError

BACKLOG = 128


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SettingError: the port is in use or not allowed, or the address is not one of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise SettingError("host", host, f"is not an address ({error.strerror}); use e.g. 127.0.0.1") from None
    except UnicodeError:
        raise SettingError("host", host, "is not an address; use e.g. 127.0.0.1") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "is in use by another program; stop it, or choose another port or 0 for any free port"
            raise SettingError("port", port, remedy) from None
        if error.errno == errno.EACCES:
            raise SettingError("port", port, "needs root; choose a port above 1023") from None
        raise SettingError("host", host, f"cannot be used ({error.strerror}); use e.g. 127.0.0.1") from None


def outward_address(any_address: str) -> str:
    """The address at which other machines most likely reach this one, or its name without network. Sends nothing."""
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if ":" in any_address else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))  # a documentation address: only the route is looked up
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def tls_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """The TLS context; None without a certificate.

    Raises:
        SettingError: a file cannot be read, or certificate and key do not match.
    """
    if not certificate:
        return None
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        if not Path(path).is_file():
            raise SettingError(name, path, "is not a file; set the path of a PEM file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise SettingError("tls_certificate", certificate, f"cannot be used with tls_key: {error}") from None
    return context
