"""Listening sockets: bound together, shared among processes, and handed over to a successor."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from edgews.edge.config.values import parse_address

_NO_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
# Listening sockets by the address that the configuration has for them.
ByAddress: TypeAlias = dict[str, list[socket.socket]]


class Sockets:
    """The listening sockets of a gateway.

    With SO_REUSEPORT each name has several, so that each process has one for itself, and the kernel spreads
    connections over them. A socket is never closed while its address is wanted: what waits in its queue would
    be lost. So when processes become fewer, those that stay share what is there.
    """

    def __init__(self, held: Mapping[str, Sequence[socket.socket]] | None = None) -> None:
        self.held: ByAddress = {address: list(found) for address, found in (held or {}).items()}

    async def plan(self, addresses: Iterable[str], count: int = 1) -> ByAddress:
        """Return the sockets for these addresses, `count` for each name; what is held stays as it is.

        Raises:
            OSError: an address cannot be had. No new socket is left.
        """
        planned: ByAddress = {}
        try:
            for address in addresses:
                planned[address] = list(self.held.get(address, ()))
                try:
                    await _bind(address, count, planned[address])
                except OSError as error:
                    reason = error.strerror or str(error)
                    raise OSError(error.errno, f"{reason} (address {address})") from None
        except BaseException:
            self.discard(planned)
            raise
        return planned

    def discard(self, planned: ByAddress) -> None:
        """Close what a plan would have added."""
        for address, sockets in planned.items():
            known = self.held.get(address, ())
            for sock in sockets:
                if sock not in known:
                    _close(sock, unlink=True)

    def keep(self, planned: ByAddress) -> None:
        """Hold what a plan has, and nothing else."""
        wanted = {sock for sockets in planned.values() for sock in sockets}
        for address, sockets in self.held.items():
            for sock in sockets:
                if sock not in wanted:
                    _close(sock, unlink=address not in planned)
        self.held = planned

    def close(self, *, unlink: bool = True) -> None:
        """Close all; those of Unix leave no file, unless a successor has them."""
        for sockets in self.held.values():
            for sock in sockets:
                _close(sock, unlink=unlink)
        self.held = {}


def share(held: Mapping[str, Sequence[socket.socket]], index: int, workers: int) -> ByAddress:
    """Return the sockets that one of several processes listens on."""
    shares: ByAddress = {}
    for address, sockets in held.items():
        # A Unix socket is one for all; a name of TCP has at least one for each.
        names = {sock.getsockname() for sock in sockets}
        shares[address] = [
            sock
            for name in sorted(names, key=repr)
            for at, sock in enumerate(sock for sock in sockets if sock.getsockname() == name)
            if isinstance(name, str) or at % workers == index
        ]
    return shares


def name_of(sock: socket.socket) -> str:
    """Write where a socket listens, with the port that the system chose."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


async def _bind(address: str, count: int, sockets: list[socket.socket]) -> None:
    """Add what is missing to the sockets of an address."""
    place = parse_address(address)
    if isinstance(place, str):
        if not sockets:
            sockets.append(bind_unix(place))
        return
    if not sockets:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(
            place[0] or None, place[1], type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, name in dict.fromkeys(infos):
            try:
                _tcp(family, name, reuse=False).close()
                sockets.append(_tcp(family, name, reuse=True))
            except OSError as error:
                # One family of several may not be there at all.
                if error.errno not in _NO_FAMILY or len(infos) == 1:
                    raise
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, "No such address on this machine")
    for first in {sock.getsockname(): sock for sock in sockets}.values():
        name = first.getsockname()
        here = sum(sock.getsockname() == name for sock in sockets)
        sockets += [_tcp(first.family, name, reuse=True) for _ in range(count - here)]


def _tcp(family: int, name: tuple[object, ...], *, reuse: bool) -> socket.socket:
    """Bind a socket; one that does not reuse the port finds out whether somebody else has it."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse and hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def bind_unix(path: str) -> socket.socket:
    """Bind a Unix socket, in the place of one that nobody listens on any more.

    Raises:
        OSError: somebody listens there, or something else is in its place.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not answers(path):
            os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def answers(path: str) -> bool:
    """Say whether somebody listens on the Unix socket at a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
        return True


def _close(sock: socket.socket, *, unlink: bool) -> None:
    if unlink and sock.family == socket.AF_UNIX:
        with suppress(OSError):
            os.unlink(sock.getsockname())
    sock.close()
