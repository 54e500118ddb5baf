"""UDP sockets with errors that name the parameter."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct

from edgecam_core.errors import SettingError, SourceError

RECEIVE_BUFFER = 4 << 20
SEND_BUFFER = 1 << 20
Address = tuple[str, int]


def resolve(name: str, host: str, port: int) -> tuple[int, Address]:
    """Address family and numeric address of a host. May block for as long as the resolver takes.

    Raises:
        SettingError: the name is unknown; ``name`` is the parameter it came from.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise SettingError(name, host, f"cannot be resolved ({error}); give an address or a name DNS knows") from None
    family, _, _, _, address = found[0]
    return int(family), (str(address[0]), int(address[1]))


def is_multicast(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_multicast


def sender(family: int, ttl: int, dscp: int) -> socket.socket:
    """An unbound socket for sending; answers come back to the port the system gives it."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    made.bind(("", 0))
    return made


def receiver(host: str, port: int) -> socket.socket:
    """A bound socket; joins the group where ``host`` is a multicast address.

    Raises:
        SettingError: the port is in use, or the address is not of this machine.
        SourceError: the group cannot be joined (no network yet).
    """
    family, address = resolve("host", host, port)
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        group = is_multicast(address[0])
        if group:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # several receivers of one group may share
        if family == socket.AF_INET6 and address[0] == "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(address)
        if group:
            _join(made, family, address[0])
    except OSError as error:
        made.close()
        raise _bind_error(error, host, port) from None
    return made


def _join(made: socket.socket, family: int, group: str) -> None:
    if family == socket.AF_INET6:
        member = socket.inet_pton(family, group.partition("%")[0]) + struct.pack("@I", 0)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    else:
        member = struct.pack("=4sI", socket.inet_aton(group), socket.INADDR_ANY)
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)


def _bind_error(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return SettingError("port", port, "is in use by another program; stop that one or choose a free port")
    if error.errno == errno.EACCES:
        return SettingError("port", port, "needs privileges; choose a port from 1024 on")
    if error.errno == errno.EADDRNOTAVAIL:
        return SettingError("host", host, "is no address of this machine; 0.0.0.0 listens on all of them")
    return SourceError(f"cannot listen on {host} port {port}: {error.strerror}")
