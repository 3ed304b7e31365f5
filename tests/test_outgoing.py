"""What a connection sends, read back with code that is not the engine's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgews import (
    Agreement,
    CauseKind,
    Connection,
    InvalidValueError,
    LocalProtocolError,
    PerMessageDeflate,
    Ping,
    PreparedMessage,
    Role,
    ServerConnection,
    Side,
    State,
    StateError,
    Transport,
    Turn,
)

from .engines import Call, Reader, both_roles, end, make, peer_frame, receive, sent, snapshot
from .wire import BINARY, PING, PONG, TEXT, Parsed, frames, one

# Messages


@both_roles
@pytest.mark.parametrize(
    ("call", "opcode", "payload"),
    [
        (lambda c: c.send("é"), TEXT, "é".encode()),
        (lambda c: c.send(b"\x00\xff"), BINARY, b"\x00\xff"),
        (lambda c: c.send(bytearray(b"ab")), BINARY, b"ab"),
        (lambda c: c.send(memoryview(b"abcd")[::2]), BINARY, b"ac"),
        (lambda c: c.send_text("€"), TEXT, "€".encode()),
        (lambda c: c.send_bytes(memoryview(b"ab")), BINARY, b"ab"),
        (lambda c: c.send_utf8(bytearray("𝄞".encode())), TEXT, "𝄞".encode()),
        (lambda c: c.send_utf8(b"ascii"), TEXT, b"ascii"),
        (lambda c: c.send_prepared(PreparedMessage("é")), TEXT, "é".encode()),
        (lambda c: c.send_prepared(PreparedMessage(b"\xff")), BINARY, b"\xff"),
        (lambda c: b"".join(c.send_parts("é")), TEXT, "é".encode()),
        (lambda c: b"".join(c.send_parts(bytearray(b"ab"))), BINARY, b"ab"),
        (lambda c: c.send_fragment("é", final=True), TEXT, "é".encode()),
        (lambda c: c.send_fragment(b"ab", final=True), BINARY, b"ab"),
        (lambda c: c.send("x", compress=True), TEXT, b"x"),
        (lambda c: c.send_ping(bytearray(b"ab")), PING, b"ab"),
        (lambda c: c.send_ping(), PING, b""),
        (lambda c: c.send_pong(memoryview(b"ab")), PONG, b"ab"),
        (lambda c: c.send_pong(), PONG, b""),
    ],
)
def test_one_call_is_one_frame(
    role: Role, call: Callable[[Connection], bytes], opcode: int, payload: bytes
) -> None:
    conn = make(role)
    for _ in range(2):
        data = call(conn)
        assert one(data) == Parsed(opcode, payload, True, 0, role is Role.CLIENT)
    assert conn.bytes_sent == 2 * len(data)
    control = opcode >= 8
    assert conn.messages_sent == (0 if control else 2)
    assert conn.pings_sent == (2 if opcode == PING else 0)
    assert conn.pongs_sent == (2 if opcode == PONG else 0)
    assert conn.data_to_send() == b""


@both_roles
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 65537, 200_000])
def test_the_length_has_its_shortest_form(role: Role, size: int) -> None:
    """RFC 6455 §5.2."""
    payload = b"\x5a" * size
    header = (2 if size < 126 else 4 if size < 65536 else 10) + (4 if role is Role.CLIENT else 0)
    for data in (
        make(role).send(payload),
        make(role).send_prepared(PreparedMessage(payload)),
        make(role).send_fragment(payload, final=True),
        b"".join(make(role).send_parts(payload)),
    ):
        assert len(data) == header + size
        assert one(data).payload == payload


def test_every_frame_of_a_client_has_a_key_of_its_own() -> None:
    """RFC 6455 §5.3."""
    conn = make(Role.CLIENT)
    prepared = PreparedMessage(b"")
    keys = {conn.send(b"")[2:6] for _ in range(500)} | {conn.send_prepared(prepared)[2:6] for _ in range(500)}
    assert len(keys) >= 999


def test_a_server_sends_the_payload_itself_as_second_part() -> None:
    payload = bytes(100_000)
    header, body = make(Role.SERVER).send_parts(payload)
    assert body is payload
    assert len(header) == 10
    text = "x" * 300
    header, body = make(Role.SERVER).send_parts(text)
    assert (header, body) == (b"\x81\x7e\x01\x2c", text.encode())


def test_parts_are_one_where_the_payload_has_to_change() -> None:
    payload = bytes(1000)
    assert make(Role.CLIENT).send_parts(payload)[1] == b""
    head, body = make(Role.SERVER, deflate=True).send_parts(payload)
    assert body == b""
    assert one(head).rsv == 4
    assert make(Role.SERVER, deflate=True).send_parts(payload, compress=False)[1] is payload


@both_roles
def test_what_waits_goes_first(role: Role) -> None:
    ping = peer_frame(role, PING, b"?")
    calls: list[Callable[[Connection], bytes]] = [
        lambda c: c.send("x"),
        lambda c: b"".join(c.send_parts("x")),
        lambda c: c.send_prepared(PreparedMessage("x")),
        lambda c: c.send_fragment("x", final=True),
    ]
    for call in calls:
        conn = make(role)
        assert receive(conn, ping) == [Ping(b"?")]
        data = call(conn)
        assert [(f.opcode, f.payload) for f in frames(data)] == [(PONG, b"?"), (TEXT, b"x")]
        assert conn.bytes_sent == len(data)
        assert conn.pongs_sent == conn.messages_sent == 1
        assert conn.data_to_send() == b""


def test_who_decides_what_is_compressed() -> None:
    conn = Connection(Role.SERVER, deflate=(PerMessageDeflate(threshold=10), Agreement(False, False, 15, 15)))
    short, long = "x" * 9, "x" * 10
    assert [one(conn.send(text)).rsv for text in (short, long)] == [0, 4]
    assert [one(conn.send(text, compress=True)).rsv for text in (short, long)] == [4, 4]
    assert [one(conn.send(text, compress=False)).rsv for text in (short, long)] == [0, 0]
    prepared = PreparedMessage(short), PreparedMessage(long)
    assert [one(conn.send_prepared(message)).rsv for message in prepared] == [0, 4]
    assert [one(conn.send_prepared(message, compress=True)).rsv for message in prepared] == [4, 4]
    assert [one(conn.send_prepared(message, compress=False)).rsv for message in prepared] == [0, 0]
    assert one(conn.send_fragment(short, final=True)).rsv == 4
    assert one(conn.send_fragment(long, final=True, compress=False)).rsv == 0


# Fragments


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
def test_nothing_but_control_frames_goes_between_fragments(role: Role, deflate: bool) -> None:
    """RFC 6455 §5.4."""
    conn = make(role, deflate=deflate)
    reader = Reader(role)
    reader.read(conn.send_fragment("a", final=False))
    refused: list[Call] = [
        lambda c: c.send("x"),
        lambda c: c.send_text("x"),
        lambda c: c.send_bytes(b"x"),
        lambda c: c.send_utf8(b"x"),
        lambda c: c.send_parts("x"),
        lambda c: c.send_prepared(PreparedMessage("x")),
        lambda c: c.send_fragment(b"x", final=True),
        lambda c: c.send_fragment("\ud800", final=True),
    ]
    for call in refused:
        before = snapshot(conn)
        with pytest.raises(LocalProtocolError):
            call(conn)
        assert snapshot(conn) == before
    reader.read(conn.send_ping(b"p"))
    reader.read(conn.send_pong(b"q"))
    reader.read(conn.send_fragment("b", final=False))
    reader.read(conn.send_fragment("", final=True))
    reader.read(conn.send_fragment(b"x", final=False))
    with pytest.raises(InvalidValueError):
        conn.send_fragment("x", final=True)
    reader.read(conn.send_fragment(b"y", final=True))
    reader.read(conn.send("after"))
    assert reader.messages == ["ab", b"xy", "after"]
    assert reader.controls == [(PING, b"p"), (PONG, b"q")]
    assert conn.messages_sent == 3


@both_roles
def test_a_close_may_cut_a_fragmented_message(role: Role) -> None:
    conn = make(role)
    conn.send_fragment("a", final=False)
    conn.send_close()
    with pytest.raises(StateError):
        conn.send_fragment("b", final=True)


# Control frames


@both_roles
@pytest.mark.parametrize("name", ["send_ping", "send_pong"])
def test_a_control_frame_carries_125_bytes(role: Role, name: str) -> None:
    """RFC 6455 §5.5."""
    conn = make(role)
    assert one(getattr(conn, name)(bytes(125))).payload == bytes(125)
    before = snapshot(conn)
    with pytest.raises(InvalidValueError):
        getattr(conn, name)(bytes(126))
    assert snapshot(conn) == before


# What cannot be sent

BAD_VALUES: list[Call] = [
    lambda c: c.send("\ud800"),
    lambda c: c.send_text("a\udfff"),
    lambda c: c.send_parts("\ud800"),
    lambda c: c.send_fragment("\ud800", final=True),
    lambda c: c.send_utf8(b"\xff"),
    lambda c: c.send_utf8(b"\xe2\x82"),
    lambda c: c.send_prepared(PreparedMessage("\ud800")),
    lambda c: c.send_ping(bytes(126)),
    lambda c: c.send_pong(bytes(126)),
    lambda c: c.send_close(1005),
    lambda c: c.fail(1006),
]


def on(name: str, *values: Any) -> Call:
    return lambda conn: getattr(conn, name)(*values)


def ill_typed() -> list[Call]:
    names = (
        "send",
        "send_text",
        "send_bytes",
        "send_utf8",
        "send_parts",
        "send_prepared",
        "send_ping",
        "send_pong",
    )
    wrong: tuple[Any, ...] = (5, None, 1.5, ["x"], object())
    octets = ("send_bytes", "send_utf8", "send_ping", "send_pong", "send_prepared")
    return [
        *(on(name, value) for name in names for value in wrong),
        *(on(name, "text") for name in octets),
        *(on(name, code) for name in ("send_close", "fail") for code in ("1000", 1000.0, b"1000")),
        *(on(name, 1000, b"octets") for name in ("send_close", "fail")),
        *((lambda conn, value=value: conn.send_fragment(value, final=True)) for value in wrong),
        *((lambda conn, value=value: PreparedMessage(value)) for value in wrong),
        on("send_text", b"octets"),
    ]


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize(("calls", "error"), [(BAD_VALUES, InvalidValueError), (ill_typed(), TypeError)])
def test_what_is_refused_changes_nothing(
    role: Role, deflate: bool, calls: list[Call], error: type[Exception]
) -> None:
    conn = make(role, deflate=deflate)
    receive(conn, peer_frame(role, PING, b"?"))
    for call in calls:
        before = snapshot(conn)
        with pytest.raises(error):
            call(conn)
        assert snapshot(conn) == before
    assert sent(conn) == [(PONG, b"?")]


# Behind a Close frame, and before the opening handshake

REFUSED_WHEN_CLOSING: list[Call] = [
    lambda c: c.send("x"),
    lambda c: c.send_bytes(b"x"),
    lambda c: c.send_text("x"),
    lambda c: c.send_utf8(b"x"),
    lambda c: c.send_parts(b"x"),
    lambda c: c.send_prepared(PreparedMessage("x")),
    lambda c: c.send_fragment("x", final=False),
    lambda c: c.send_close(),
]
REFUSED_AT_THE_END: list[Call] = [*REFUSED_WHEN_CLOSING, lambda c: c.send_ping(), lambda c: c.send_pong()]


@both_roles
def test_after_our_close_only_control_frames_go_out(role: Role) -> None:
    conn = make(role)
    conn.send_close(1001, "bye")
    assert (conn.state, conn.turn, conn.transport) == (State.CLOSING, Turn.PEER, Transport.KEEP_OPEN)
    for call in REFUSED_WHEN_CLOSING:
        before = snapshot(conn)
        with pytest.raises(StateError, match="our Close is already sent"):
            call(conn)
        assert snapshot(conn) == before
    assert one(conn.send_ping(b"x")).opcode == PING
    assert one(conn.send_pong(b"x")).opcode == PONG
    cause = end(conn).cause
    assert (cause.kind, cause.initiator) == (CauseKind.PEER_VANISHED, Side.LOCAL)
    assert "1001 (bye)" in cause.detail


@both_roles
def test_nothing_goes_out_when_all_is_over(role: Role) -> None:
    conn = make(role)
    end(conn)
    for call in [*REFUSED_AT_THE_END, lambda c: c.fail()]:
        before = snapshot(conn)
        with pytest.raises(StateError, match="closing or closed"):
            call(conn)
        assert snapshot(conn) == before


def test_nothing_goes_out_before_the_connection_is_open() -> None:
    conn = ServerConnection()
    for call in [*REFUSED_AT_THE_END, lambda c: c.fail()]:
        with pytest.raises(StateError, match="not open yet"):
            call(conn)
    assert conn.data_to_send() == b""
    assert conn.bytes_sent == 0
