"""All ways of sending, mixed: whatever is sent can be read, and the windows of both sides stay in step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgews import Connection, PreparedMessage, Role

from .engines import ROLES, Reader, make

messages = st.text(max_size=40) | st.binary(max_size=300) | st.just("repeat " * 40) | st.just(bytes(2000))
compress = st.sampled_from([None, True, False])
ways = st.sampled_from(["send", "typed", "utf8", "parts", "prepared", "fragments"])


def send_one_way(conn: Connection, way: str, message: str | bytes, choice: bool | None) -> bytes:
    if way == "typed":
        if isinstance(message, str):
            return conn.send_text(message, compress=choice)
        return conn.send_bytes(message, compress=choice)
    if way == "utf8" and isinstance(message, str):
        return conn.send_utf8(message.encode(), compress=choice)
    if way == "parts":
        return b"".join(conn.send_parts(message, compress=choice))
    if way == "prepared":
        return conn.send_prepared(PreparedMessage(message), compress=choice)
    if way == "fragments":
        third = len(message) // 3
        pieces = (
            [message[:third], message[third:-third], message[-third:]] if third else [message, message[:0]]
        )
        data = b""
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            data += conn.send_fragment(piece, final=last, compress=choice) + conn.send_ping(b"between")
        return data
    return conn.send(message, compress=choice)


@given(
    role=st.sampled_from(ROLES),
    deflate=st.booleans(),
    takeover=st.booleans(),
    story=st.lists(st.tuples(ways, messages, compress), max_size=12),
)
def test_whatever_is_sent_can_be_read(
    role: Role, deflate: bool, takeover: bool, story: list[tuple[str, str | bytes, bool | None]]
) -> None:
    """All ways of sending mixed: the windows of both sides stay in step."""
    conn = make(role, deflate=deflate, takeover=takeover)
    reader = Reader(role, takeover=takeover)
    total = 0
    for way, message, choice in story:
        data = send_one_way(conn, way, message, choice)
        total += len(data)
        reader.read(data)
        assert reader.compressed[-1] is (deflate and choice is not False)
        assert reader.fragments[-1] == (1 if way != "fragments" else 3 if len(message) > 2 else 2)
    assert reader.messages == [message for _, message, _ in story]
    assert conn.messages_sent == len(story)
    assert conn.bytes_sent == total
    assert conn.pings_sent == len(reader.controls)
