"""Extensions that see and change frames, with wsproto as oracle."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgews.compat.wsproto as facade
from edgews import Role
from edgews.compat.wsproto.connection import SERVER, Connection, ConnectionState, ConnectionType
from edgews.compat.wsproto.events import CloseConnection, Ping, TextMessage
from edgews.compat.wsproto.extensions import Extension, PerMessageDeflate
from edgews.compat.wsproto.frame_protocol import CloseReason, Opcode, RsvBits
from edgews.compat.wsproto.utilities import LocalProtocolError
from tests import wire
from tests.engines import peer_frame
from tests.properties.traffic import cut

from .ends import TYPES, agreed, other, receive

each_type = pytest.mark.parametrize("kind", TYPES)

texts = st.text(max_size=100)
octets = st.binary(max_size=100) | st.just(bytes(70_000))
messages = st.lists(st.tuples(texts | octets, st.lists(st.integers(0, 40), max_size=3)), max_size=4)


def scrambler(library: ModuleType) -> Any:
    """Return an extension of a library: data is scrambled and says so in RSV2, and a message gets a mark."""

    class Scrambler(library.extensions.Extension):  # type: ignore[misc, name-defined]
        name = "x-scramble"

        def __init__(self) -> None:
            self.seen: list[Any] = []
            self.on = False

        def enabled(self) -> bool:
            return True

        def offer(self) -> bool:
            return True

        def frame_inbound_header(self, proto: Any, opcode: Any, rsv: Any, payload_length: int) -> Any:
            self.on = rsv.rsv2
            seen = proto.client, int(opcode), tuple(rsv), payload_length
            # wsproto asks again until the masking key is complete.
            if self.seen[-1:] != [seen]:
                self.seen.append(seen)
            return library.frame_protocol.RsvBits(False, True, False)

        def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes:
            return wire.xor(data, b"\x55") if self.on else data

        def frame_inbound_complete(self, proto: Any, fin: bool) -> bytes | None:
            return b"." if fin and self.on else None

        def frame_outbound(self, proto: Any, opcode: Any, rsv: Any, data: bytes, fin: bool) -> Any:
            if opcode.iscontrol():
                return rsv, data
            return rsv._replace(rsv2=True), wire.xor(data, b"\x55")

    return Scrambler()


def make(library: ModuleType, kind: ConnectionType, compressed: bool) -> tuple[Any, Any]:
    extension = scrambler(library)
    extensions = [extension]
    if compressed:
        deflate = library.extensions.PerMessageDeflate()
        deflate.accept(f"permessage-deflate; {deflate.offer()}")
        extensions.append(deflate)
    connection = library.connection
    return connection.Connection(connection.ConnectionType[kind.name], extensions), extension


def send(library: ModuleType, kind: ConnectionType, compressed: bool, story: list[Any]) -> bytes:
    """Return what an end sends: each message in pieces, and a Ping behind each."""
    conn, _ = make(library, kind, compressed)
    data = b""
    for message, sizes in story:
        event = library.events.TextMessage if isinstance(message, str) else library.events.BytesMessage
        at = 0
        for size in sizes:
            data += conn.send(event(data=message[at : at + size], message_finished=False))
            at += size
        data += conn.send(event(data=message[at:]))
        data += conn.send(library.events.Ping(payload=b"ping"))
    return data + bytes(conn.send(library.events.CloseConnection(code=3000, reason="bye")))


def whole(library: ModuleType, kind: ConnectionType, compressed: bool, reads: list[bytes]) -> list[Any]:
    """Return what an end receives, its messages put together, and what its extension has seen."""
    conn, extension = make(library, kind, compressed)
    found: list[Any] = []
    parts: list[Any] = []
    for read in reads:
        conn.receive_data(read)
        for event in conn.events():
            if isinstance(event, library.events.Message):
                parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
                if event.message_finished:
                    found.append(type(parts[0])().join(parts))
                    parts = []
            else:
                found.append((type(event).__name__, *vars(event).values()))
    return [*found, conn.state.name, *extension.seen]


@pytest.mark.peers
@each_type
@given(story=messages, sizes=st.lists(st.integers(1, 100), max_size=3))
def test_the_same_as_in_wsproto(kind: ConnectionType, story: list[Any], sizes: list[int]) -> None:
    original = importlib.import_module("wsproto")
    data = send(original, other(kind), False, story)
    reads = cut(data, sizes if len(data) < 5000 else [])
    assert whole(facade, kind, False, reads) == whole(original, kind, False, reads)
    data = send(facade, kind, False, story)
    assert whole(original, other(kind), False, [data]) == whole(facade, other(kind), False, [data])


@each_type
@given(story=messages, sizes=st.lists(st.integers(1, 100), max_size=3))
def test_in_front_of_permessage_deflate(kind: ConnectionType, story: list[Any], sizes: list[int]) -> None:
    """The mark of the extension would stand in the compressed data, so it is left out."""
    made = [make(facade, end, True) for end in (kind, other(kind))]
    (sender, _), (receiver, extension) = made
    extension.frame_inbound_complete = lambda proto, fin: None
    data = b"".join(
        sender.send(
            facade.events.TextMessage(text) if isinstance(text, str) else facade.events.BytesMessage(text)
        )
        for text, _ in story
    )
    parts: list[Any] = []
    found: list[Any] = []
    for read in cut(data, sizes if len(data) < 5000 else []):
        receiver.receive_data(read)
        for event in receiver.events():
            parts.append(event.data)
            if event.message_finished:
                found.append(type(parts[0])().join(parts))
                parts = []
    assert found == [message for message, _ in story]
    assert all(rsv == (True, True, False) for _, _, rsv, _ in extension.seen)


class Refusing(Extension):
    """Says no in one of its hooks, to what has the letter x in it."""

    name = "x-no"

    def __init__(self, hook: str, reason: CloseReason) -> None:
        self.hook = hook
        self.reason = reason

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return True

    def frame_inbound_header(
        self, proto: object, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        super().frame_inbound_header(proto, opcode, rsv, payload_length)
        return self.reason if self.hook == "header" and payload_length == 1 else RsvBits(False, False, False)

    def frame_inbound_payload_data(self, proto: object, data: bytes) -> bytes | CloseReason:
        self.data = super().frame_inbound_payload_data(proto, data)
        return self.reason if self.hook == "payload" and data == b"x" else data

    def frame_inbound_complete(self, proto: object, fin: bool) -> bytes | CloseReason | None:
        return self.reason if self.hook == "complete" and self.data == b"x" else None


@each_type
@pytest.mark.parametrize("closing", [False, True])
@pytest.mark.parametrize("hook", ["header", "payload", "complete"])
@pytest.mark.parametrize(
    ("reason", "code"), [(CloseReason.POLICY_VIOLATION, 1008), (CloseReason.ABNORMAL_CLOSURE, 1002)]
)
def test_an_extension_refuses(
    kind: ConnectionType, hook: str, reason: CloseReason, code: int, closing: bool
) -> None:
    conn = Connection(kind, [Refusing(hook, reason)])
    if closing:
        conn.send(CloseConnection(1000))
    role = Role[kind.name]
    behind = peer_frame(role, wire.TEXT, b"behind")
    before, event = receive(
        conn, peer_frame(role, wire.TEXT, b"before") + peer_frame(role, wire.TEXT, b"x") + behind
    )
    assert before == TextMessage("before")
    assert event == CloseConnection(code, "refused by an extension")
    if closing:
        assert conn.state is ConnectionState.CLOSED
        return
    assert conn.state is ConnectionState.REMOTE_CLOSING
    (frame,) = wire.frames(conn.send(event.response()))
    assert wire.close_code(frame.payload) == code
    assert conn.state is ConnectionState.CLOSED


def test_an_extension_refuses_what_stands_behind_a_close() -> None:
    conn = Connection(SERVER, [Refusing("payload", CloseReason.POLICY_VIOLATION)])
    assert receive(conn, wire.close(3000) + wire.frame(wire.TEXT, b"x")) == [CloseConnection(3000, "")]
    assert conn.state is ConnectionState.REMOTE_CLOSING


@each_type
@pytest.mark.parametrize(
    "frame",
    [
        lambda role: peer_frame(role, wire.TEXT, b"x", rsv=1),
        lambda role: peer_frame(role, wire.TEXT, b"x", rsv=4),
        lambda role: peer_frame(role, 3),
        lambda role: wire.frame(wire.TEXT, key=None if role is Role.SERVER else wire.KEY),
    ],
)
def test_the_engine_judges(kind: ConnectionType, frame: Any) -> None:
    """Also in bytes one by one, and whatever stands behind it."""
    conn, _ = make(facade, kind, False)
    found: list[Any] = []
    for octet in frame(Role[kind.name]) + b"\xff" * 10:
        if conn.state is ConnectionState.OPEN:
            found += receive(conn, bytes([octet]))
    assert [(event.code, conn.state) for event in found] == [(1002, ConnectionState.REMOTE_CLOSING)]


@each_type
def test_control_frames_wait_for_their_end(kind: ConnectionType) -> None:
    conn, _ = make(facade, kind, False)
    ping = peer_frame(Role[kind.name], wire.PING, b"abc")
    assert receive(conn, ping[:-1]) == []
    assert receive(conn, ping[-1:]) == [Ping(b"abc")]
    with pytest.raises(LocalProtocolError):
        conn.receive_data("text")


def test_permessage_deflate_cannot_stand_in_front() -> None:
    with pytest.raises(LocalProtocolError, match="permessage-deflate has to stand behind x-no"):
        Connection(SERVER, [agreed(), Refusing("", CloseReason.POLICY_VIOLATION)])


def test_permessage_deflate_has_no_hooks() -> None:
    class Own(PerMessageDeflate):
        def frame_inbound_payload_data(self, proto: object, data: bytes) -> bytes:
            return data

    with pytest.raises(LocalProtocolError, match="cannot have hooks"):
        Connection(SERVER, [Own()])
