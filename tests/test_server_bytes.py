"""Whatever bytes a client sends: in any pieces, cut off anywhere, early, late, and arbitrary."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import CauseKind, Disconnected, Limits, Request, ServerConnection

from . import wire
from .handshakes import CUTS, GOOD, PLAIN, ask, end, octets, pieces, serve, told
from .handshakes import HELLO_TO_SERVER as HELLO

# The answer to GOOD; tests/test_server.py has it in full.
SWITCHED = ask()[0].accept()


# Any split


def answer_by_kind(server: ServerConnection, request: Request) -> bytes:
    return server.accept() if request.is_upgrade else server.reject(404, body="no")


REQUESTS = [
    GOOD,
    wire.request({"Connection": "keep-alive, Upgrade", "Upgrade": "h2c, WebSocket"}),
    wire.request({"Sec-WebSocket-Version": "8"}),
    wire.request({"Host": None}),
    wire.request({"X": "y" * 400}),
    wire.request({"X": "a\nb"}),
    wire.request(line="POST /chat HTTP/1.1"),
    wire.request(line="nonsense"),
    PLAIN,
    b"GET / HTTP/1.0\r\n\r\n",
    GOOD[:-2],
]
BEHIND = [
    b"",
    HELLO,
    HELLO + wire.frame(wire.PING, b"x") + wire.frame(wire.BINARY, b"\0") + wire.close(1000),
    wire.frame(wire.TEXT, b"a", fin=False) + wire.frame(wire.CONTINUATION, b"b"),
    b"\xff\xff\xff",
    wire.close(1001, b"bye") + b"rest",
    GOOD,
]


@given(st.sampled_from(REQUESTS), st.sampled_from(BEHIND), CUTS)
def test_any_split_of_the_bytes_gives_the_same_events(request: bytes, behind: bytes, cuts: list[int]) -> None:
    def run(data: list[bytes]) -> tuple[list[object], bytes, object]:
        server = ServerConnection(limits=Limits(max_header_size=400))
        events, written = serve(server, data, answer_by_kind)
        transport = server.transport
        events += server.receive_eof()
        assert isinstance(events[-1], Disconnected)
        return told(events), written, transport

    whole = run([request + behind])
    assert run(pieces(request + behind, cuts)) == whole
    assert run(octets(request + behind)) == whole


@given(st.binary(max_size=200), CUTS, st.sampled_from([b"", GOOD, PLAIN, GOOD[:40]]))
def test_arbitrary_bytes_lead_to_one_end(data: bytes, cuts: list[int], start: bytes) -> None:
    for way in ([start + data], pieces(start + data, cuts)):
        server = ServerConnection()
        events, _ = serve(server, way, answer_by_kind)
        events += server.receive_eof()
        assert [type(event) for event in events].count(Disconnected) == 1
        assert isinstance(events[-1], Disconnected)
        assert list(server.receive_data(data)) == list(server.receive_eof()) == []


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_the_stream_may_end_at_any_byte_of_the_request(at: int) -> None:
    server = ServerConnection()
    assert list(server.receive_data(GOOD[:at])) == []
    cause = end(server)
    assert cause.kind is CauseKind.PEER_VANISHED
    assert cause.detail == "the byte stream ended in the opening handshake"
    assert server.data_to_send() == b""


# Any request


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_any_method_and_version_may_be_answered(method: str, version: str) -> None:
    server, request = ask(f"{method} /page HTTP/{version}\r\nHost: x\r\n\r\n".encode())
    assert (request.method, request.http_version, request.target) == (method, version, "/page")
    assert server.reject(501).startswith(b"HTTP/1.1 501 Not Implemented\r\n")


@pytest.mark.parametrize("target", ["//[/", "/a[b?c[d", "/?", "//http://[?"])
def test_any_target_may_be_looked_at(target: str) -> None:
    _, request = ask(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert request.target == target
    assert isinstance(request.path + request.query, str)


# Early and late


@pytest.mark.parametrize("cut", [lambda data: [data], octets])
def test_frames_in_the_segment_of_the_request(cut: Callable[[bytes], list[bytes]]) -> None:
    events, written = serve(ServerConnection(), cut(GOOD + HELLO + wire.frame(wire.PING, b"x") + HELLO))
    assert events[1] == "hello"
    assert events[3] == "hello"
    assert written == SWITCHED + wire.frame(wire.PONG, b"x", key=None)


@given(CUTS)
def test_frames_before_the_answer_come_after_it(cuts: list[int]) -> None:
    server = ServerConnection()
    events = [
        event for piece in pieces(GOOD + HELLO + HELLO[:4], cuts) for event in server.receive_data(piece)
    ]
    assert len(events) == 1
    assert server.accept() == SWITCHED
    assert list(server.receive_data(b"")) == ["hello"]
    assert list(server.receive_data(HELLO[4:] + HELLO)) == ["hello", "hello"]


@pytest.mark.parametrize("data", [GOOD, PLAIN, b"nonsense\r\n\r\n", HELLO])
def test_what_comes_after_the_open_timeout_does_not_count(data: bytes) -> None:
    server = ServerConnection()
    list(server.handle_timeout(0))
    assert len(list(server.handle_timeout(10))) == 1
    assert list(server.receive_data(data)) == list(server.receive_eof()) == []
    assert list(server.handle_timeout(100)) == []
    assert server.data_to_send() == b""
