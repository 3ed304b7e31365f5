"""Messages in fragments: what is taken of them, in whatever way, and how they are sent."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Delivery, Fragment, InvalidValueError, Role, StateError
from edgews.fragments import FragmentSession, MessagePieces, is_pieces, new_session, send_pieces, with_end
from edgews.messages import BytesLike
from edgews.session import HIGH_WATER, Session

from . import wire
from .engines import NO_TIMERS, both_roles, make, peer_close, peer_frame
from .test_session import Owner, opened

IN_PIECES = [Delivery.FRAGMENTS, Delivery.STREAM, Delivery.EAGER]

# A message as the payloads of its frames.
texts = st.lists(st.text(alphabet="aé€😀", max_size=5), min_size=1, max_size=4)
binaries = st.lists(st.binary(max_size=5), min_size=1, max_size=4)
pieces = texts | binaries


def framed(role: Role, message: list[str] | list[bytes]) -> bytes:
    """Return the frames of a message."""
    opcode = wire.TEXT if isinstance(message[0], str) else wire.BINARY
    payloads = [piece.encode() if isinstance(piece, str) else piece for piece in message]
    last = len(payloads) - 1
    return b"".join(
        peer_frame(role, wire.CONTINUATION if index else opcode, payload, fin=index == last)
        for index, payload in enumerate(payloads)
    )


def joined(message: list[str] | list[bytes]) -> str | bytes:
    return "".join(message) if isinstance(message[0], str) else b"".join(message)  # type: ignore[arg-type]


def receiving(role: Role = Role.SERVER, delivery: Delivery = Delivery.FRAGMENTS) -> Owner:
    near, _ = opened(role, delivery=delivery)
    assert isinstance(near.session, FragmentSession)
    return near


def drained(owner: Owner) -> list[Fragment]:
    """Take all fragments there are."""
    found: list[Fragment] = []
    while owner.session.waiting or owner.session.held:
        fragment = owner.session.take_fragment(not found or found[-1].final)
        if fragment is None:
            owner.session.draw()
        else:
            found.append(fragment)
    return found


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    with pytest.raises(StopIteration):
        work.send(None)


# Coming in


@both_roles
def test_a_session_fits_the_delivery(role: Role) -> None:
    for delivery in Delivery:
        near, _ = opened(role, delivery=delivery)
        kind = Session if delivery is Delivery.MESSAGES else FragmentSession
        assert type(near.session) is kind
        assert type(new_session(near.session.conn, lambda: None)) is kind


@pytest.mark.parametrize("delivery", IN_PIECES)
@both_roles
@given(messages=st.lists(pieces, max_size=4), data=st.data())
def test_whole_messages_from_any_reads(
    role: Role, delivery: Delivery, messages: list[list[Any]], data: st.DataObject
) -> None:
    """However it is cut, `recv` gives what was sent; whatever it was asked in between."""
    owner = receiving(role, delivery)
    stream = b"".join(framed(role, message) for message in messages)
    found = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        owner.session.receive_data(stream[:size])
        stream = stream[size:]
        found += owner.receive()
    assert found == [joined(message) for message in messages]
    assert not owner.session.waiting


@pytest.mark.parametrize("delivery", IN_PIECES)
@both_roles
@given(messages=st.lists(pieces, max_size=4))
def test_pieces_are_those_that_came(role: Role, delivery: Delivery, messages: list[list[Any]]) -> None:
    owner = receiving(role, delivery)
    owner.session.receive_data(b"".join(framed(role, message) for message in messages))
    found = iter(drained(owner))
    for message in messages:
        last = len(message) - 1
        # A stream has no pieces that say nothing.
        expected = [
            (piece, index == last)
            for index, piece in enumerate(message)
            if piece or index == last or delivery is Delivery.FRAGMENTS
        ]
        assert [(one.data, one.final) for one in itertools.islice(found, len(expected))] == expected
    assert next(found, None) is None


@both_roles
@given(
    messages=st.lists(pieces, min_size=1, max_size=5),
    calls=st.lists(st.sampled_from(["whole", "first", "next"]), max_size=30),
)
def test_whole_and_pieces_in_any_order(role: Role, messages: list[list[Any]], calls: list[str]) -> None:
    """The model is the list of pieces: a call for a beginning skips what is left of a message begun."""
    owner = receiving(role)
    model = deque(
        (piece, index == len(message) - 1) for message in messages for index, piece in enumerate(message)
    )
    midway = False
    owner.session.receive_data(b"".join(framed(role, message) for message in messages))
    while owner.session.held:
        owner.session.release()
    for call in calls:
        while call != "next" and midway and model:
            midway = not model.popleft()[1]
        if call == "whole":
            expected: list[Any] = []
            while model and not (expected and expected[-1][1]):
                expected.append(model.popleft())
            message = owner.session.take()
            assert message == (joined([piece for piece, _ in expected]) if expected else None)
        else:
            fragment = owner.session.take_fragment(call == "first")
            if not model:
                assert fragment is None
            else:
                assert fragment is not None
                piece, final = model.popleft()
                assert (fragment.data, fragment.final) == (piece, final)
                midway = not final


@both_roles
def test_what_was_collected_for_a_whole_message_comes_first_in_pieces(role: Role) -> None:
    owner = receiving(role)
    end = peer_frame(role, wire.CONTINUATION, b"three")
    owner.session.receive_data(framed(role, ["one, ", "two, ", "three"]).removesuffix(end))
    assert owner.session.take() is None
    owner.session.draw()
    assert owner.session.take() is None
    assert owner.session.take_fragment(True) == Fragment("one, two, ", False)
    assert owner.session.take_fragment(False) is None
    owner.session.receive_data(end + peer_frame(role, wire.TEXT, b"x"))
    assert owner.session.take_fragment(True) is None, "the rest of what was begun is skipped"
    owner.session.draw()
    assert owner.session.take_fragment(True) == Fragment("x", True)


@both_roles
def test_pieces_fill_the_inbox_and_the_peer_waits(role: Role) -> None:
    owner = receiving(role)
    count = 0
    frame = peer_frame(role, wire.BINARY, bytes(16384), fin=False)
    while owner.session.reading:
        owner.session.receive_data(frame)
        owner.session.release()
        frame = peer_frame(role, wire.CONTINUATION, bytes(16384), fin=False)
        count += 1
    assert HIGH_WATER // 16384 - 1 <= count <= HIGH_WATER // 16384
    assert owner.session.full
    # A whole message makes room by taking the pieces, and keeps them.
    assert owner.session.take() is None
    assert not owner.session.full
    owner.session.receive_data(peer_frame(role, wire.CONTINUATION, b"end"))
    message = owner.session.take()
    assert message is not None
    assert len(message) == count * 16384 + 3


@both_roles
def test_what_finds_no_room_while_leaving_cuts_the_rest_off(role: Role) -> None:
    """Nothing may be missing between two pieces that are there."""
    owner = receiving(role)
    session = owner.session
    session.leave()
    size = HIGH_WATER
    session.receive_data(
        peer_frame(role, wire.BINARY, bytes(size), fin=False)
        + peer_frame(role, wire.CONTINUATION, b"lost", fin=False)
    )
    assert session.take_fragment(True) == Fragment(bytes(size), False)
    assert not session.full
    session.receive_data(peer_frame(role, wire.CONTINUATION, b"behind it") + peer_close(role, 1000))
    assert session.take_fragment(False) is None
    session.receive_eof()
    assert session.closed is not None


def test_the_pieces_of_one_message() -> None:
    owner = receiving()
    session = owner.session

    async def take(call: Callable[[], Fragment | None]) -> Fragment:
        fragment = call()
        assert fragment is not None
        return fragment

    async def all_of_one() -> list[str | bytes]:
        reader = MessagePieces(session, take)
        found = [piece async for piece in reader]
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
        return found

    async def scenario() -> None:
        session.receive_data(framed(Role.SERVER, ["one, ", "two"]) + framed(Role.SERVER, [b"three"]))
        while session.held:
            session.release()
        assert await all_of_one() == ["one, ", "two"]
        assert await all_of_one() == [b"three"]
        session.receive_data(framed(Role.SERVER, ["four, ", "five"]) + framed(Role.SERVER, ["six"]))
        while session.held:
            session.release()
        async for piece in MessagePieces(session, take):
            assert piece == "four, "
            break
        assert await all_of_one() == ["six"]

    run(scenario())


# Going out


class Parts:
    """An asynchronous iterable that never waits."""

    def __init__(self, parts: list[Any]) -> None:
        self._parts = iter(parts)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for part in self._parts:
            return part
        raise StopAsyncIteration


@pytest.mark.parametrize("kind", [list, iter, Parts])
@both_roles
@given(message=texts | binaries | st.just([]))
def test_frames_go_out_as_the_pieces_come(role: Role, kind: Any, message: list[Any]) -> None:
    conn = opened(role)[0].session.conn
    written: list[bytes] = []
    given: list[Any] = []

    def noted() -> Iterator[Any]:
        for piece in message:
            assert len(written) == len(given), "the one before is out"
            given.append(piece)
            yield piece

    async def write(data: bytes) -> None:
        written.append(data)
        assert conn.sending_fragments is (len(written) <= len(message))

    run(send_pieces(conn, kind(noted()) if kind is not list else list(message), None, write))
    frames = [wire.one(data) for data in written]
    if not message:
        assert frames == []
        return
    payloads = [piece.encode() if isinstance(piece, str) else piece for piece in message]
    assert [frame.payload for frame in frames] == [*payloads, b""]
    assert [frame.fin for frame in frames] == [False] * len(message) + [True]
    opcode = wire.TEXT if isinstance(message[0], str) else wire.BINARY
    assert [frame.opcode for frame in frames] == [opcode] + [wire.CONTINUATION] * len(message)
    assert not conn.sending_fragments


@pytest.mark.parametrize("kind", [list, Parts])
def test_pieces_of_both_types_are_no_message(kind: Any) -> None:
    conn = opened()[0].session.conn

    async def write(data: bytes) -> None:
        assert wire.one(data).payload == b"text"

    with pytest.raises(InvalidValueError, match="all text or all binary"):
        send_pieces(conn, kind(["text", b"binary"]), None, write).send(None)
    assert conn.sending_fragments
    with pytest.raises(StateError):
        conn.send("another")


@pytest.mark.parametrize("after", [1, 2, 99])
def test_a_generator_is_not_left_before_its_end(after: int) -> None:
    """The garbage collector would have to end it, at some time and in no task."""
    ends: list[int] = []
    written = 0

    async def pieces() -> AsyncIterator[str]:
        try:
            for number in range(4):
                yield str(number)
        finally:
            ends.append(written)

    async def write(data: bytes) -> None:
        nonlocal written
        written += 1
        if written == after:
            raise ZeroDivisionError

    given = pieces()
    with pytest.raises(ZeroDivisionError) if after < 5 else contextlib.nullcontext():
        run(send_pieces(opened()[0].session.conn, given, None, write))
    assert ends == [min(after, 4)]


def test_the_end_has_the_type_of_the_message() -> None:
    assert list(with_end(["a", "b"])) == [("a", False), ("b", False), ("", True)]
    assert list(with_end([bytearray(b"a")])) == [(bytearray(b"a"), False), (b"", True)]
    assert list(with_end([])) == []


@pytest.mark.parametrize("message", [["a"], ("a",), iter([b""]), Parts([]), {b"a"}, (x for x in "")])
def test_pieces(message: object) -> None:
    assert is_pieces(message)


@pytest.mark.parametrize("message", ["a", b"a", bytearray(), memoryview(b""), {"a": 1}, 5, None, object()])
def test_no_pieces(message: str | BytesLike | object) -> None:
    assert not is_pieces(message)
    if not isinstance(message, (str, bytes, bytearray, memoryview)):
        with pytest.raises(TypeError):
            make(Role.SERVER, timeouts=NO_TIMERS).send(message)  # type: ignore[arg-type]
