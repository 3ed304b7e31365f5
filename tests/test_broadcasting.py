"""A broadcast to receivers without I/O: who gets it, who does not, and what becomes of the slow ones."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Connection, InvalidValueError, PerMessageDeflate, PreparedMessage, Role, StateError
from edgews.broadcasting import CLOSED, SLOW, YES, Sent, broadcast

from . import wire
from .engines import make
from .test_session import opened


class Connected:
    """A connection with a peer that keeps up or does not."""

    def __init__(self, conn: Connection, slow: bool = False) -> None:
        self.conn = conn
        self.slow = slow
        self.written = b""
        self.failed: list[int] = []

    def _send_prepared(self, message: PreparedMessage, compress: bool | None) -> Sent:
        if self.slow:
            return SLOW
        try:
            self.written += self.conn.send_prepared(message, compress=compress)
        except StateError:
            return CLOSED
        return YES

    def _fail(self, code: int, reason: str = "") -> None:
        self.failed.append(code)


def connected(kind: str) -> Connected:
    match kind:
        case "slow":
            return Connected(make(Role.SERVER), slow=True)
        case "closing":
            conn = make(Role.SERVER)
            conn.send_close()
            return Connected(conn)
        case "in the middle of fragments":
            conn = make(Role.SERVER)
            conn.send_fragment("half", final=False)
            return Connected(conn)
    return Connected(make(Role.CLIENT if kind == "client" else Role.SERVER))


KINDS = ["server", "client", "slow", "closing", "in the middle of fragments"]


@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=8),
    message=st.text(max_size=300) | st.binary(max_size=300),
    prepared=st.booleans(),
    slow=st.sampled_from(["skip", "close"]),
)
def test_who_is_open_and_keeps_up_gets_it(
    kinds: list[str], message: str | bytes, prepared: bool, slow: Literal["skip", "close"]
) -> None:
    everyone = [connected(kind) for kind in kinds]
    what = PreparedMessage(message) if prepared else message
    reached = [
        receiver for kind, receiver in zip(kinds, everyone, strict=True) if kind in ("server", "client")
    ]
    assert broadcast(everyone, what, slow=slow) == len(reached)
    payload = message.encode() if isinstance(message, str) else message
    opcode = wire.TEXT if isinstance(message, str) else wire.BINARY
    for kind, receiver in zip(kinds, everyone, strict=True):
        if receiver in reached:
            assert wire.one(receiver.written)[:2] == (opcode, payload)
        else:
            assert receiver.written == b""
        assert receiver.failed == ([1008] if kind == "slow" and slow == "close" else [])


def test_it_is_compressed_where_that_was_agreed() -> None:
    near, _ = opened(Role.SERVER, compression=PerMessageDeflate(threshold=10))
    squeezed, plain = Connected(near.session.conn), connected("server")
    message = "again and " * 100
    assert broadcast([squeezed, plain], message) == 2
    assert len(squeezed.written) < 100 < len(plain.written)
    squeezed.written = b""
    assert broadcast([squeezed], message, compress=False) == 1
    assert wire.one(squeezed.written).payload == message.encode()


def test_text_without_utf8_goes_to_nobody() -> None:
    receiver = connected("server")
    with pytest.raises(InvalidValueError):
        broadcast([receiver], "\ud800")
    assert receiver.written == b""


def test_arguments_of_a_wrong_kind_are_named():
    peers = [Connected(make(Role.SERVER))]
    for slow in ("drop", None):
        with pytest.raises(ValueError, match='slow must be "skip" or "close"'):
            broadcast(peers, "x", slow=slow)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="connections must be several connections, not Connected"):
        broadcast(peers[0], "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="connections must be several connections, not int"):
        broadcast(1, "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="compress must be True or False, not int"):
        broadcast(peers, "x", compress=1)
    assert peers[0].written == b""


def test_what_is_no_connection_is_named_and_other_failures_are_not_hidden():
    first = Connected(make(Role.SERVER))
    with pytest.raises(TypeError, match="each of connections must be a connection, not int"):
        broadcast([first, 7], "x")  # type: ignore[list-item]
    assert first.written == b"\x81\x01x"

    class Faulty(Connected):
        def _send_prepared(self, message: PreparedMessage, compress: bool | None) -> Sent:
            raise AttributeError("a fault of its own")

    def failing():
        raise AttributeError("nobody has come yet")
        yield first

    for connections in ([Faulty(make(Role.SERVER))], failing()):
        with pytest.raises(AttributeError, match=r"^(a fault of its own|nobody has come yet)$"):
            broadcast(connections, "x")
