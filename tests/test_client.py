"""The client's connection: its request, and answers in any pieces that open it."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    URI,
    Accepted,
    ClientConnection,
    InvalidValueError,
    PerMessageDeflate,
    State,
    StateError,
    Transport,
    parse_uri,
)

from . import wire
from .handshakes import CUTS, DEFLATE, asking, fields, octets, pieces, receive, switch, told
from .handshakes import HELLO_TO_CLIENT as HELLO

# The request


def test_the_request_waits_from_the_start() -> None:
    client = ClientConnection("ws://example.com:8080/chat?room=1")
    assert client.state is State.CONNECTING
    assert client.transport is Transport.KEEP_OPEN
    data = client.data_to_send()
    assert client.data_to_send() == b""
    assert client.bytes_sent == len(data)
    assert data.startswith(b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com:8080\r\n")
    assert data.endswith(b"\r\n\r\n")
    sent = fields(data)
    (key,) = sent.pop("sec-websocket-key")
    assert len(base64.b64decode(key, validate=True)) == 16
    assert sent == {
        "host": ["example.com:8080"],
        "upgrade": ["websocket"],
        "connection": ["Upgrade"],
        "sec-websocket-version": ["13"],
    }


def test_what_may_be_added_to_the_request() -> None:
    client = ClientConnection(
        parse_uri("wss://example.com/"),
        origin="https://example.com",
        subprotocols=["a", "b"],
        headers=[("Cookie", "x=y"), ("Authorization", "Basic z")],
        compression=DEFLATE,
    )
    sent = fields(client.data_to_send())
    assert sent["host"] == ["example.com"]
    assert sent["origin"] == ["https://example.com"]
    assert sent["sec-websocket-protocol"] == ["a, b"]
    assert (sent["cookie"], sent["authorization"]) == (["x=y"], ["Basic z"])
    assert sent["sec-websocket-extensions"] == [
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
    ]


def test_each_connection_has_its_own_key() -> None:
    keys = {fields(ClientConnection("ws://x").data_to_send())["sec-websocket-key"][0] for _ in range(50)}
    assert len(keys) == 50


@pytest.mark.parametrize(
    "options",
    [
        {"uri": "http://example.com/"},
        {"uri": "ws://example.com/#x"},
        {"uri": "ws://exa mple.com/"},
        {"uri": "ws://example.com/\r\nX: y"},
        {"uri": URI(False, "example.com", 80, "/a b")},
        {"uri": URI(False, "example.com", 80, "/\r\nX: y")},
        {"uri": URI(False, "example.com", 80, "/\xe9")},
        {"uri": URI(False, "example.com\r\nX: y", 80, "/")},
        {"origin": "https://x\r\nX: y"},
        {"subprotocols": ["a", "a"]},
        {"subprotocols": ["a\r\nX: y"]},
        {"headers": {"X": "a\nb"}},
        {"headers": {"X": "a\x00b"}},
        {"headers": {"X": "\u20ac"}},
        {"headers": {"X Y": "z"}},
        {"headers": {"Host": "other"}},
        {"headers": {"Sec-WebSocket-Key": "x"}},
    ],
)
def test_what_may_not_be_sent(options: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError):
        ClientConnection(**{"uri": "ws://example.com/", **options})  # type: ignore[arg-type]


@given(st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_a_request_is_whole_or_an_error(name: str, value: str, path: str) -> None:
    try:
        client = ClientConnection(URI(False, "h", 80, f"/{path}"), headers={f"X{name}": value})
    except InvalidValueError:
        return
    data = client.data_to_send()
    assert data.startswith(f"GET /{path} HTTP/1.1\r\n".encode())
    assert fields(data)[f"x{name}".lower()] == [value]
    assert data.count(b"\r\n") == 8


@pytest.mark.parametrize(
    "misuse",
    [
        lambda client: client.send("x"),
        lambda client: client.send_ping(),
        lambda client: client.send_close(),
        lambda client: client.fail(),
    ],
)
def test_no_frame_leaves_before_the_answer(misuse: Callable[[ClientConnection], bytes]) -> None:
    client = asking()
    with pytest.raises(StateError):
        misuse(client)
    assert isinstance(next(iter(client.receive_data(switch(client)))), Accepted)


# Answers that open


@given(
    st.integers(0, 2),
    st.sampled_from([b"", HELLO, HELLO + wire.frame(wire.PING, b"x", key=None) + wire.close(1000, key=None)]),
    CUTS,
)
def test_any_split_of_the_answer_gives_the_same_events(interim: int, behind: bytes, cuts: list[int]) -> None:
    before = b"HTTP/1.1 100 Continue\r\n\r\n" * interim

    def run(cut: Callable[[bytes], list[bytes]]) -> tuple[list[object], str | None, State]:
        client = asking(subprotocols=["a"])
        answer = switch(client, {"Sec-WebSocket-Protocol": "a"})
        events = receive(client, cut(before + answer + behind))
        opened = events.pop(0)
        assert isinstance(opened, Accepted)
        assert opened.response.headers.get("Sec-WebSocket-Accept") in answer.decode()
        state = client.state
        return told([*events, *client.receive_eof()]), opened.subprotocol, state

    whole = run(lambda data: [data])
    assert whole[1:] == ("a", State.CLOSING if behind[7:] else State.OPEN)
    assert run(lambda data: pieces(data, cuts)) == whole
    assert run(octets) == whole


def test_a_connection_opens() -> None:
    client = asking()
    answer = switch(client, extra=("Server: x", "Set-Cookie: a=b", "Set-Cookie: c=\xe9"))
    (opened,) = client.receive_data(answer)
    assert isinstance(opened, Accepted)
    assert opened.subprotocol is client.subprotocol is None
    assert opened.response.status == 101
    assert opened.response.headers.get_all("set-cookie") == ["a=b", "c=\xe9"]
    assert client.state is State.OPEN
    assert client.data_to_send() == b""
    assert list(client.receive_data(HELLO)) == ["hello"]
    (frame,) = wire.frames(client.send("hi"))
    assert (frame.masked, frame.payload) == (True, b"hi")


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "websocket, h2c"},
        {"Connection": "upgrade"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": " \tUpgrade\t "},
        {"Sec-WebSocket-Extensions": ""},
        {"Sec-WebSocket-Protocol": "b"},
    ],
)
def test_answers_in_other_words(changes: dict[str, str | None]) -> None:
    client = asking(subprotocols=["a", "b"])
    (opened,) = client.receive_data(switch(client, changes))
    assert isinstance(opened, Accepted)
    assert opened.subprotocol == client.subprotocol == changes.get("Sec-WebSocket-Protocol")


# Compression: RFC 7692 §7.1

TIGHT = PerMessageDeflate(
    server_max_window_bits=9, client_max_window_bits=9, server_no_context_takeover=True, threshold=0
)
WIDE = PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0)


@pytest.mark.parametrize(
    ("offers", "answer", "bits"),
    [
        ([TIGHT], "permessage-deflate; server_no_context_takeover; server_max_window_bits=9", 9),
        (
            [TIGHT, WIDE],
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=8;"
            " client_max_window_bits=9",
            9,
        ),
        # Only the second offer allows a server that keeps its context.
        ([TIGHT, WIDE], "permessage-deflate", 15),
        ([TIGHT, WIDE], "permessage-deflate; client_max_window_bits=10", 10),
        ([WIDE, TIGHT], 'permessage-deflate; server_max_window_bits="11"', 15),
        (WIDE, "permessage-deflate; client_no_context_takeover", 15),
    ],
)
def test_the_offer_that_fits_the_answer_counts(
    offers: PerMessageDeflate | list[PerMessageDeflate], answer: str, bits: int
) -> None:
    client = asking(compression=offers)
    (opened,) = client.receive_data(switch(client, {"Sec-WebSocket-Extensions": answer}))
    assert isinstance(opened, Accepted)
    message = bytes(range(256)) * 200
    (frame,) = wire.frames(client.send(message))
    assert frame.rsv == 4
    assert zlib.decompressobj(-bits).decompress(frame.payload + b"\0\0\xff\xff") == message


def test_the_server_may_decline_all_offers() -> None:
    client = asking(compression=[TIGHT, WIDE])
    assert len(list(client.receive_data(switch(client)))) == 1
    (frame,) = wire.frames(client.send("hello " * 20))
    assert frame.rsv == 0
