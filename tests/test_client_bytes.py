"""Whatever bytes a server answers with: in any pieces, cut off anywhere, endless, and arbitrary."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Accepted, CauseKind, Disconnected, Event, Limits, State, Transport

from . import wire
from .handshakes import CUTS, asking, octets, pieces, receive, switch, told
from .handshakes import HELLO_TO_CLIENT as HELLO


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


@pytest.mark.parametrize("at", range(130))
def test_the_stream_may_end_at_any_byte(at: int) -> None:
    client = asking()
    data = switch(client, {"X": None})
    assert len(data) == 129
    events = [*client.receive_data(data[:at]), *client.receive_eof()]
    last = events.pop()
    assert isinstance(last, Disconnected)
    if at < len(data):
        assert events == []
        assert last.cause.kind is CauseKind.HANDSHAKE_FAILED
        assert last.cause.detail == "the server ended the byte stream instead of answering"
    else:
        assert [type(event) for event in events] == [Accepted]
        assert last.cause.kind is CauseKind.PEER_VANISHED
    assert client.transport is Transport.CLOSE
    assert list(client.receive_eof()) == list(client.receive_data(data)) == []


@pytest.mark.parametrize("piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n"])
def test_an_endless_answer(piece: bytes) -> None:
    client = asking(limits=Limits(max_header_size=1000))
    events: list[Event] = []
    count = 0
    while not events:
        events += client.receive_data(piece if count else b"HTTP/1.1 100 Continue\r\n")
        count += 1
        assert count * len(piece) < 1100
    assert isinstance(events[0], Disconnected)


@given(st.binary(max_size=100), CUTS, st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 403 X\r\n"]))
def test_arbitrary_bytes_lead_to_one_end(data: bytes, cuts: list[int], start: bytes) -> None:
    for way in ([start + data], pieces(start + data, cuts)):
        client = asking()
        events = [*receive(client, way), *client.receive_eof()]
        assert [type(event) for event in events].count(Disconnected) == 1
        assert isinstance(events[-1], Disconnected)
        assert list(client.receive_data(data)) == list(client.receive_eof()) == []
