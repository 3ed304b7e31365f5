"""Short ways to make connections and to play their peer."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from edgews import Agreement, Connection, Disconnected, Event, PerMessageDeflate, Role, Timeouts, Transport

from . import wire

NO_TIMERS = Timeouts(open=None, close=None, idle=None, ping_interval=None, ping_timeout=None)

ROLES = (Role.SERVER, Role.CLIENT)

both_roles = pytest.mark.parametrize("role", ROLES)
every_type = pytest.mark.parametrize("as_type", [bytes, bytearray, memoryview])

Call = Callable[[Connection], object]


def make(
    role: Role = Role.SERVER, *, deflate: bool = False, takeover: bool = True, **options: Any
) -> Connection:
    """Make a connection; with `deflate` every message is compressed, in windows of 15 bits."""
    if deflate:
        options["deflate"] = (
            PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0),
            Agreement(not takeover, not takeover, 15, 15),
        )
    return Connection(role, **options)


def key_of_peer(role: Role) -> bytes | None:
    """Return a masking key if the peer of `role` has to mask."""
    return wire.KEY if role is Role.SERVER else None


def peer_frame(role: Role, opcode: int, payload: bytes = b"", **how: Any) -> bytes:
    """Build a frame as the peer of `role` sends it."""
    return wire.frame(opcode, payload, **{"key": key_of_peer(role), **how})


def whole(role: Role, message: str | bytes) -> bytes:
    """Build a message in one frame as the peer of `role` sends it."""
    if isinstance(message, str):
        return peer_frame(role, wire.TEXT, message.encode())
    return peer_frame(role, wire.BINARY, message)


def peer_close(role: Role, code: int | None = None, reason: bytes = b"") -> bytes:
    """Build a Close frame as the peer of `role` sends it."""
    return wire.close(code, reason, key=key_of_peer(role))


def receive(conn: Connection, data: bytes | bytearray | memoryview) -> list[Event]:
    """Take bytes, and return all their events."""
    return list(conn.receive_data(data))


def end(conn: Connection) -> Disconnected:
    """End the peer's stream, and return the one event that follows."""
    (event,) = conn.receive_eof()
    assert isinstance(event, Disconnected)
    assert conn.transport is Transport.CLOSE
    return event


def sent(conn: Connection) -> list[tuple[int, bytes]]:
    """Return what waits to be sent, as pairs of opcode and payload."""
    return [(found.opcode, found.payload) for found in wire.frames(conn.data_to_send())]


def failed_with(conn: Connection) -> int:
    """Return the code with which the connection has just failed; nothing else waits."""
    assert conn.transport is Transport.HALF_CLOSE
    ((opcode, payload),) = sent(conn)
    assert opcode == wire.CLOSE
    code = wire.close_code(payload)
    assert code is not None
    assert len(payload) <= 125
    return code


def squeeze(message: bytes, *, bits: int = 15, level: int = 6) -> bytes:
    """Compress one message by itself, as RFC 7692 §7.2.1 says."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def snapshot(conn: Connection) -> dict[str, object]:
    """Return all that a connection and its timers hold, to find out what a call has changed."""
    found: dict[str, object] = {}
    for part in (conn, conn._timers):
        for kind in type(part).__mro__:
            for name in getattr(kind, "__slots__", ()):
                value = getattr(part, name)
                found[f"{type(part).__name__}.{name}"] = dict(value) if isinstance(value, dict) else value
    return found


class Reader:
    """Turn what a connection sends into messages, with zlib alone as oracle for RFC 7692.

    Control frames are kept apart in `controls`; `compressed` says of each message whether it was.
    """

    def __init__(self, role: Role, *, takeover: bool = True) -> None:
        self.masked = role is Role.CLIENT
        self.takeover = takeover
        self.messages: list[str | bytes] = []
        self.fragments: list[int] = []
        self.compressed: list[bool] = []
        self.controls: list[tuple[int, bytes]] = []
        self._parts: list[wire.Parsed] = []
        self._inflater = zlib.decompressobj(-15)

    def read(self, data: bytes) -> None:
        """Take whole frames."""
        for frame in wire.frames(data):
            assert frame.masked is self.masked
            if frame.opcode >= 8:
                assert frame.fin
                assert frame.rsv == 0
                self.controls.append((frame.opcode, frame.payload))
                continue
            assert (frame.opcode == wire.CONTINUATION) is bool(self._parts)
            assert frame.rsv == 0 or (frame.rsv == 4 and not self._parts)
            self._parts.append(frame)
            if frame.fin:
                self._finish()

    def _finish(self) -> None:
        first = self._parts[0]
        payload = b"".join(part.payload for part in self._parts)
        if first.rsv:
            payload = self._inflater.decompress(payload + b"\x00\x00\xff\xff")
            if not self.takeover:
                self._inflater = zlib.decompressobj(-15)
        self.messages.append(payload.decode() if first.opcode == wire.TEXT else payload)
        self.compressed.append(bool(first.rsv))
        self.fragments.append(len(self._parts))
        self._parts = []
