"""What a peer can do to us with frames: one test for each kind of attack or accident."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgews import Close, Connection, Event, Limits, Ping, Role, Transport
from tests import wire
from tests.cost import is_linear, peak_memory
from tests.engines import ROLES, end, failed_with, make, peer_frame, receive, sent, squeeze
from tests.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

both_roles = pytest.mark.parametrize("role", ROLES)

KIB = 1024
MIB = 1024 * KIB


def header(role: Role, opcode: int, length: int = 0, **how: object) -> bytes:
    """Build a frame's header, with its masking key, and nothing behind it."""
    return peer_frame(role, opcode, b"", length=length, **how)


BAD_HEADERS: dict[str, tuple[Callable[[Role], bytes], int]] = {
    **{
        f"opcode {n:#x}": (lambda role, n=n: header(role, n), 1002)
        for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
    **{f"rsv {rsv:03b}": (lambda role, rsv=rsv: header(role, TEXT, 5, rsv=rsv), 1002) for rsv in range(1, 8)},
    **{
        f"fragmented control {n:#x}": (lambda role, n=n: header(role, n, fin=False), 1002)
        for n in (CLOSE, PING, PONG)
    },
    **{f"control {n:#x} of 126": (lambda role, n=n: header(role, n, 126), 1002) for n in (CLOSE, PING, PONG)},
    **{
        f"control {n:#x} of 65536": (lambda role, n=n: header(role, n, 65536), 1002)
        for n in (CLOSE, PING, PONG)
    },
    "length 2**63": (lambda role: header(role, BINARY, 1 << 63), 1002),
    "length 2**64 - 1": (lambda role: header(role, BINARY, (1 << 64) - 1), 1002),
    "0 in 16 bits": (lambda role: header(role, BINARY, 0, form=16), 1002),
    "125 in 16 bits": (lambda role: header(role, TEXT, 125, form=16), 1002),
    "125 in 64 bits": (lambda role: header(role, TEXT, 125, form=64), 1002),
    "65535 in 64 bits": (lambda role: header(role, BINARY, 65535, form=64), 1002),
    "wrong mask bit": (
        lambda role: header(role, TEXT, 5, key=None if role is Role.SERVER else wire.KEY),
        1002,
    ),
    "one over the limit": (lambda role: header(role, BINARY, MIB + 1), 1009),
    "2**62": (lambda role: header(role, BINARY, 1 << 62), 1009),
    "2**63 - 1 of text": (lambda role: header(role, TEXT, (1 << 63) - 1), 1009),
}


@both_roles
@pytest.mark.parametrize("name", BAD_HEADERS)
@pytest.mark.parametrize("deflate", [False, True])
def test_a_bad_header_fails_by_itself_and_allocates_nothing(role: Role, name: str, deflate: bool) -> None:
    build, code = BAD_HEADERS[name]
    data = build(role)
    if deflate and name == "rsv 100":
        # This one is fine now; on a control frame or a continuation it still is not.
        data = header(role, PING, rsv=4)
    assert len(data) <= 14
    conn = make(role, deflate=deflate)
    receive(conn, b"")
    assert peak_memory(lambda: receive(conn, data)) < 64 * KIB
    assert failed_with(conn) == code


@both_roles
def test_rsv1_on_a_continuation(role: Role) -> None:
    """RFC 7692 §6.1: the bit stands on the first frame of a message."""
    for first_is_compressed in (False, True):
        conn = make(role, deflate=True)
        payload = squeeze(b"abc") if first_is_compressed else b"abc"
        receive(conn, peer_frame(role, TEXT, payload, fin=False, rsv=4 * first_is_compressed))
        receive(conn, header(role, CONTINUATION, 3, rsv=4))
        assert failed_with(conn) == 1002


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
def test_a_continuation_of_nothing_and_a_message_inside_a_message(role: Role, deflate: bool) -> None:
    """RFC 6455 §5.4."""
    conn = make(role, deflate=deflate)
    receive(conn, peer_frame(role, TEXT, b"whole") + header(role, CONTINUATION, 10))
    assert failed_with(conn) == 1002
    for opcode in (TEXT, BINARY):
        conn = make(role, deflate=deflate)
        receive(conn, peer_frame(role, TEXT, b"begun", fin=False) + header(role, opcode, 10))
        assert failed_with(conn) == 1002


@both_roles
def test_messages_in_front_of_a_violation_are_answered(role: Role) -> None:
    """In one read; the answers stand in front of our Close."""
    conn = make(role)
    messages: list[str | bytes] = [f"{n}" for n in range(50)] + [b"%d" % n for n in range(50)]
    data = b"".join(
        peer_frame(role, TEXT, message.encode())
        if isinstance(message, str)
        else peer_frame(role, BINARY, message)
        for message in messages
    )
    written = b""
    seen: list[Event] = []
    for event in conn.receive_data(data + header(role, 0x3) + peer_frame(role, TEXT, b"never")):
        seen.append(event)
        assert isinstance(event, str | bytes)
        written += conn.send(event)
    assert seen == messages
    written += conn.data_to_send()
    *answers, close = wire.frames(written)
    assert [frame.payload.decode() for frame in answers] == [str(n) for n in range(50)] * 2
    assert (close.opcode, wire.close_code(close.payload)) == (CLOSE, 1002)


NOT_UTF8 = {
    "overlong slash in 2": b"\xc0\xaf",
    "overlong slash in 3": b"\xe0\x80\xaf",
    "overlong slash in 4": b"\xf0\x80\x80\xaf",
    "overlong NUL": b"\xc0\x80",
    "surrogate U+D800": b"\xed\xa0\x80",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "U+110000": b"\xf4\x90\x80\x80",
    "five octets": b"\xf8\x88\x80\x80\x80",
    "0xFE": b"\xfe",
    "0xFF": b"\xff",
    "continuation alone": b"\x80",
    "interrupted": b"\xe2\x82 ",
}


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("bad", NOT_UTF8.values(), ids=NOT_UTF8)
def test_bad_utf8_fails_before_the_message_ends(role: Role, bad: bytes, deflate: bool) -> None:
    """RFC 6455 §8.1: in a frame still arriving, between fragments, cut anywhere, compressed or not."""
    text = "Zürich ".encode() + bad
    for cut in range(len(text) + 1):
        # One frame, of which the last 1000 octets have not arrived.
        conn = make(role)
        data = peer_frame(role, TEXT, text + bytes(1000))[:-1000]
        receive(conn, data[: len(data) - cut])
        receive(conn, data[len(data) - cut :])
        assert failed_with(conn) == 1007
        # Two fragments of a message that goes on.
        conn = make(role, deflate=deflate)
        pieces = text[:cut], text[cut:]
        rsv = 0
        if deflate:
            rsv, whole = 4, squeeze(text) + b"\x00\x00\xff\xff"
            pieces = whole[:cut], whole[cut:]
        receive(conn, peer_frame(role, TEXT, pieces[0], fin=False, rsv=rsv))
        receive(conn, peer_frame(role, CONTINUATION, pieces[1], fin=False))
        assert failed_with(conn) == 1007


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
def test_utf8_cut_off_by_the_end_of_the_message(role: Role, deflate: bool) -> None:
    for text in (b"\xc3", b"ok\xe2\x82", b"\xf0\x9f\x98"):
        conn = make(role, deflate=deflate)
        receive(conn, peer_frame(role, TEXT, squeeze(text) if deflate else text, rsv=4 * deflate))
        assert failed_with(conn) == 1007
        conn = make(role)
        receive(conn, peer_frame(role, TEXT, text, fin=False))
        assert conn.transport is Transport.KEEP_OPEN
        receive(conn, peer_frame(role, CONTINUATION, b""))
        assert failed_with(conn) == 1007


@both_roles
@pytest.mark.parametrize("deflate", [False, True])
def test_a_ping_between_fragments_is_answered_and_the_message_survives(role: Role, deflate: bool) -> None:
    text = "Ping ist kein Ende. " * 30
    payload = squeeze(text.encode()) if deflate else text.encode()
    conn = make(role, deflate=deflate)
    events: list[Event] = []
    for at in range(len(payload)):
        first, last = at == 0, at == len(payload) - 1
        opcode = TEXT if first else CONTINUATION
        events += receive(
            conn, peer_frame(role, opcode, payload[at : at + 1], fin=last, rsv=4 if deflate and first else 0)
        )
        if not last:
            assert receive(conn, peer_frame(role, PING, b"%d" % at)) == [Ping(b"%d" % at)]
            assert sent(conn) == [(PONG, b"%d" % at)]
    assert events == [text]


@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_in_65536_fragments(role: Role, opcode: int) -> None:
    """There is no cap on their number, and no list of them: memory stays near the message's size."""
    first = peer_frame(role, opcode, b"x" * 16, fin=False)
    more = peer_frame(role, CONTINUATION, b"x" * 16, fin=False) * 1024
    last = peer_frame(role, CONTINUATION, b"x" * 16)

    def story(thousands: int) -> list[Event]:
        conn = make(role)
        assert receive(conn, first) == []
        for _ in range(thousands - 1):
            assert receive(conn, more) == []
        assert receive(conn, more[: -2 * len(last)]) == []
        return receive(conn, last)

    assert story(64) == [("x" if opcode == TEXT else b"x") * MIB]
    # A sixteenth of them, for looking at each allocation takes its time.
    assert peak_memory(lambda: story(4)) < 4 * (MIB // 16) + 64 * KIB


@both_roles
def test_300_000_empty_fragments(role: Role) -> None:
    chunk = peer_frame(role, CONTINUATION, b"", fin=False) * 1000

    def story(count: int) -> Connection:
        conn = make(role)
        receive(conn, peer_frame(role, TEXT, b"", fin=False))
        for _ in range(count // 1000):
            assert receive(conn, chunk) == []
        return conn

    conn = story(300_000)
    assert receive(conn, peer_frame(role, CONTINUATION, b"done")) == ["done"]
    assert peak_memory(lambda: story(5_000)) < 64 * KIB
    assert is_linear(story, 10_000)


@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_large_frame_in_reads_of_8_bytes(role: Role, opcode: int) -> None:
    data = peer_frame(role, opcode, b"x" * MIB)

    def story(size: int) -> list[Event]:
        frame = data if size == MIB else peer_frame(role, opcode, b"x" * size)
        conn = make(role)
        events: list[Event] = []
        for at in range(0, len(frame), 8):
            events += conn.receive_data(frame[at : at + 8])
        return events

    assert story(MIB) == [("x" if opcode == TEXT else b"x") * MIB]
    assert is_linear(story, 64 * KIB)


@both_roles
@pytest.mark.parametrize("limit", [None, 1 << 62])
def test_an_announced_length_that_never_comes_costs_nothing(role: Role, limit: int | None) -> None:
    """Even where the limits let it in."""
    for opcode in (TEXT, BINARY):
        conn = make(role, limits=Limits(max_message_size=limit))
        receive(conn, b"")
        data = peer_frame(role, opcode, b"x" * 100, length=1 << 62)
        assert peak_memory(lambda conn=conn, data=data: receive(conn, data)) < 64 * KIB
        assert conn.transport is Transport.KEEP_OPEN
        assert end(conn).code == 1006


@both_roles
def test_a_flood_of_pings_whose_pongs_nobody_writes(role: Role) -> None:
    """One Pong for each read at most, and no more of them than there is room for."""
    payload = bytes(125)
    flood = peer_frame(role, PING, payload) * 500
    conn = make(role)
    for read in range(1, 101):
        assert len(receive(conn, flood)) == 500
        assert conn.pongs_sent < read
    waiting = conn.data_to_send()
    assert len(waiting) <= Limits().max_buffered_writes + 131
    assert wire.frames(waiting)[-1].payload == payload
    assert conn.pings_received == 50_000
    assert conn.data_to_send() == b""
    # Memory does not grow with their number.
    assert peak_memory(lambda: [list(conn.receive_data(flood)) and None for _ in range(50)]) < 512 * KIB


@both_roles
def test_a_peer_that_does_not_read_costs_no_more_than_the_replies_it_asked_for(role: Role) -> None:
    """What we send by ourselves is bounded; what the application sends is handed to it, never kept."""
    conn = make(role)
    payload = bytes(MIB)

    def story() -> None:
        for _ in range(20):
            conn.send(payload)
            receive(conn, peer_frame(role, PING, b"x"))
            receive(conn, peer_frame(role, TEXT, b"x" * 1000))

    story()
    assert peak_memory(story) < 4 * MIB
    assert sent(conn) == [(PONG, b"x")]


@both_roles
def test_the_limits_hold_while_closing_too(role: Role) -> None:
    conn = make(role)
    conn.send_close(1000)
    receive(conn, header(role, BINARY, MIB + 1))
    assert conn.transport is Transport.HALF_CLOSE
    assert conn.data_to_send() == b""
    assert receive(conn, wire.close(1000, key=wire.KEY if role is Role.SERVER else None)) == []
    assert not any(isinstance(event, Close) for event in conn.receive_eof())
