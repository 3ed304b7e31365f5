"""Heads as bytes: any split beside a plain reading of the whole; plain fields beside h11."""

from __future__ import annotations

import re

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.heads import BLOCK, HeadReader, plain_fields
from edgews.limits import Limits

from .handshakes import CUTS, LIMITS, octets, outcome, pieces

LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:")
# Lines that heads are made of, and what they must not be made of; what comes behind a head is no part of it.
LINES = st.sampled_from(
    [
        b"A: b",
        b"A:",
        b"A: \t\xe9",
        b" folded",
        b"A : b",
        b"\xe9: b",
        b": b",
        b"A",
        b"A: \r",
        b"\nA: b",
        b"A:\0",
        b"\x7f:",
    ]
)
ENDS = st.sampled_from([b"\r\n\r\n", b"\r\n\r\n\n\0", b"\r\n", b"\r\r\n", b"\n\n", b"\r", b""])
HEADS = st.builds(
    lambda lines, end: b"\r\n".join([b"GET", *lines]) + end,
    st.lists(LINES | st.just(b"A: b"), max_size=4),
    ENDS,
)
SMALL = st.builds(
    lambda size, count: Limits(max_header_size=size, max_header_count=count),
    st.integers(1, 30) | st.just(60),
    st.integers(1, 3),
)


def read_byte_by_byte(data: bytes, limits: Limits) -> object:
    """Say what a head is as RFC 9112 §2.2 and §5 do, one byte at a time: the first fault counts."""
    for at, byte in enumerate(data):
        before = data[:at][-1:]
        if (
            (byte < 0x20 and byte not in b"\t\r\n")
            or byte == 0x7F
            or (byte == 0x0A and before != b"\r")
            or (before == b"\r" and byte != 0x0A)
        ):
            return ("the head has a bare CR, a bare LF or a control character", 400, None)
        if at == limits.max_header_size:
            return (f"the head is larger than {at} bytes", 431, None)
        if data[: at + 1].endswith(b"\r\n\r\n"):
            lines = data[: at - 3].split(b"\r\n")[1:]
            if len(lines) > limits.max_header_count:
                return (f"the head has more than {limits.max_header_count} fields", 431, None)
            if not all(LINE.match(line) for line in lines):
                return ("the head has a line that does not begin with a field name and its colon", 400, None)
            return (data[: at + 1], data[at + 1 :])
    return None


@given(HEADS, SMALL, CUTS)
@example(b"GET\r\nA: b\r\nA\r\n\r\n", LIMITS, [])
@example(b"GET\r\nA: b\r\nA: b\r\n\r\n", Limits(max_header_count=1), [])
def test_any_split_gives_what_a_byte_at_a_time_does(data: bytes, limits: Limits, cuts: list[int]) -> None:
    expected = read_byte_by_byte(data, limits)
    for parts in ([data], octets(data), pieces(data, cuts)):
        assert outcome(HeadReader(limits).feed, parts) == expected


def test_what_is_known_while_a_head_is_under_way() -> None:
    reader = HeadReader(Limits(max_header_size=40))
    assert (reader.has_data, reader.room) == (False, 40)
    assert reader.feed(b"HTTP/1.1 100 C\r\n\r") is None
    assert reader.has_data
    assert reader.feed(b"\nmore") == (b"HTTP/1.1 100 C\r\n\r\n", b"more")
    assert (reader.has_data, reader.room) == (False, 22)


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_a_server_that_speaks_something_else_is_told_apart_at_its_first_bytes(cut: object) -> None:
    greeting = b"SSH-2.0-OpenSSH_9.2p1 Debian"
    parts = cut(greeting)  # type: ignore[operator]
    with pytest.raises(HandshakeError, match="the server does not speak HTTP") as caught:
        HeadReader(LIMITS, answers=True).feed(parts[0])
    assert greeting.startswith(caught.value.excerpt)
    assert caught.value.excerpt
    # To a server it is a request like any other, for as long as it is one.
    assert HeadReader(LIMITS).feed(parts[0]) is None


VALUES = st.text(st.sampled_from("ab \t\xe9:"), max_size=24)
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(["Host", "A", "x-y", "Content-Length", "transfer-encoding", "Upgrade"]), VALUES
    ),
    min_size=1,
    max_size=5,
)


@given(FIELDS)
def test_fields_that_follow_the_grammar_are_what_h11_reads(fields: list[tuple[str, str]]) -> None:
    block = "".join(f"{name}:{value}\r\n" for name, value in fields).encode("latin-1")
    found = re.fullmatch(BLOCK, b"\r\n" + block + b"\r\n")
    assert found is not None
    assert found[1] == block
    seen = plain_fields(block, Limits(max_header_count=4))
    if len(fields) > 4 or any(name.lower() in ("content-length", "transfer-encoding") for name, _ in fields):
        # Somebody else has to say what they mean.
        assert seen is None
        return
    parser = h11.Connection(h11.CLIENT)
    parser.receive_data(b"HTTP/1.1 200 OK\r\n" + block + b"\r\n")
    event = parser.next_event()
    assert isinstance(event, h11.Response)
    read = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()]
    assert seen == (read, [name.lower() for name, _ in fields])


def test_what_comes_with_each_connection_is_kept_once() -> None:
    def once() -> list[tuple[str, str]]:
        read = plain_fields(b"Upgrade: websocket\r\nCookie: " + b"c" * 20 + b"\r\n", LIMITS)
        assert read is not None
        return read[0]

    first, second = once(), once()
    assert first[0][0] is second[0][0]
    assert first[0][1] is second[0][1]
    # A cookie is somebody's own.
    assert first[1][1] is not second[1][1]
