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

"""UDP sockets, multicast included, with errors that name the parameter."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct

from edgecam_core.errors import SettingError, SourceError

RECEIVE_BUFFER = 4 << 20
SEND_BUFFER = 1 << 20
Address = tuple[str, int]
"""Numeric address and port; a link-local IPv6 address includes its scope, ``fe80::1%eth0``."""

_ADD_SOURCE_MEMBERSHIP = 39  # Linux; Python 3.10 has no name for these
_MCAST_JOIN_SOURCE_GROUP = 46


def resolve(name: str, host: str, port: int) -> tuple[int, Address]:
    """Address family and numeric address of a host. Blocks until the resolver responds.

    Raises:
        SettingError: for the parameter ``name``: the host is unknown.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise SettingError(name, host, f"cannot be resolved ({error}); use an address or a resolvable name") from None
    family, _, _, _, address = found[0]
    numeric, scope = str(address[0]).partition("%")[0], address[3] if len(address) == 4 else 0
    return int(family), (f"{numeric}%{scope}" if scope else numeric, int(address[1]))


def native(family: int, address: Address) -> tuple[str, int] | tuple[str, int, int, int]:
    """The address in the form that the socket calls take, with the IPv6 scope as a number."""
    host, _, scope = address[0].partition("%")
    if family != socket.AF_INET6 or not scope:
        return address
    return host, address[1], 0, _scope_index(scope)


def _scope_index(scope: str) -> int:
    return int(scope) if scope.isdecimal() else socket.if_nametoindex(scope) if scope else 0


def is_multicast(address: str) -> bool:
    """Whether a numeric address, with or without scope, is a multicast group.

    Raises:
        ValueError: it is not a numeric address.
    """
    return ipaddress.ip_address(address.partition("%")[0]).is_multicast


def interface_index(name: str) -> int:
    """The index of a network interface; 0 (the system chooses) for an empty name.

    Raises:
        SettingError: for the parameter ``interface``: this machine has no interface of that name.
    """
    if not name:
        return 0
    try:
        return socket.if_nametoindex(name)
    except OSError:
        known = ", ".join(each for _, each in socket.if_nameindex())
        raise SettingError("interface", name, f"is no network interface of this machine; it has {known}") from None


def sender(family: int, ttl: int, dscp: int, interface: str = "") -> socket.socket:
    """An unbound socket for sending; responses arrive at the port assigned by the system.

    Raises:
        SettingError: this machine has no interface of that name.
    """
    index = interface_index(interface)
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        if index:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    made.bind(("", 0))
    return made


def receiver(host: str, port: int, interface: str = "", source: str = "") -> socket.socket:
    """A bound socket; if ``host`` is a multicast address, it joins the group on that interface.

    With ``source``, the group is joined for packets of that address only (source-specific multicast, RFC 4607).

    Raises:
        SettingError: the port is in use, or the address or interface is not one of this machine.
        SourceError: the group cannot be joined (no network yet).
    """
    index = interface_index(interface)
    family, address = resolve("host", host, port)
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        group = is_multicast(address[0])
        if group:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for several receivers of one group
        if family == socket.AF_INET6 and address[0] == "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(native(family, address))
        if group:
            _join(made, family, address[0], index, source)
    except OSError as error:
        made.close()
        raise _bind_error(error, host, port) from None
    return made


def _join(made: socket.socket, family: int, group: str, index: int, source: str) -> None:
    bare, _, scope = group.partition("%")
    if family == socket.AF_INET6:
        index = index or _scope_index(scope)
        if source:
            addresses = b"".join(_storage6(each) for each in (bare, source))
            made.setsockopt(socket.IPPROTO_IPV6, _MCAST_JOIN_SOURCE_GROUP, struct.pack("@L", index) + addresses)
            return
        member = socket.inet_pton(family, bare) + struct.pack("@I", index)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    elif source:
        local = _address_of(index) if index else bytes(4)
        member = socket.inet_aton(bare) + local + socket.inet_aton(source)
        made.setsockopt(socket.IPPROTO_IP, _ADD_SOURCE_MEMBERSHIP, member)
    else:
        member = struct.pack("=4s4si", socket.inet_aton(bare), bytes(4), index)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)


def _storage6(address: str) -> bytes:
    """A sockaddr_storage (128 bytes) with an IPv6 address."""
    head = struct.pack("@HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, address)
    return head + bytes(128 - len(head))


def _address_of(index: int) -> bytes:
    """The IPv4 address of an interface, which a source-specific join needs instead of the index."""
    import fcntl

    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", socket.if_indextoname(index).encode())
        return fcntl.ioctl(probe.fileno(), 0x8915, request)[20:24]  # SIOCGIFADDR


def _bind_error(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return SettingError("port", port, "is in use by another program; stop it or choose a free port")
    if error.errno == errno.EACCES:
        return SettingError("port", port, "needs privileges; choose a port above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return SettingError("host", host, "is not an address of this machine; 0.0.0.0 listens on all its addresses")
    return SourceError(f"cannot listen on {host} port {port}: {error.strerror}")
