"""What a peer can do to us with compressed messages. RFC 7692."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

import pytest

from edgews import (
    CauseKind,
    Connection,
    Delivery,
    Event,
    Limits,
    LocalProtocolError,
    PreparedMessage,
    Role,
    Transport,
)
from tests.cost import is_linear, peak_memory
from tests.engines import ROLES, Reader, end, failed_with, make, peer_frame, receive, squeeze
from tests.wire import BINARY, CONTINUATION, PING, TEXT

both_roles = pytest.mark.parametrize("role", ROLES)
both_takeovers = pytest.mark.parametrize("takeover", [False, True])

MIB = 1 << 20


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Half a megabyte that becomes 512 MiB of the letter x."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    # Behind a full flush the same octets mean the same again.
    block = compressor.compress(b"x" * MIB) + compressor.flush(zlib.Z_FULL_FLUSH)
    data = block * 512
    assert len(data) < 600_000
    return data[:-4]


@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("pieces", [1, 10, 1000])
@pytest.mark.parametrize("delivery", Delivery)
def test_a_bomb(role: Role, opcode: int, pieces: int, delivery: Delivery, bomb: bytes) -> None:
    """1009 while it inflates, with little more in memory than the limit allows."""
    limit = MIB
    conn = make(role, deflate=True, delivery=delivery, limits=Limits(max_message_size=limit))
    size = -(-len(bomb) // pieces)
    parts = [bomb[at : at + size] for at in range(0, len(bomb), size)]
    data = [
        peer_frame(
            role,
            CONTINUATION if number else opcode,
            part,
            fin=number == len(parts) - 1,
            rsv=0 if number else 4,
        )
        for number, part in enumerate(parts)
    ]

    def story() -> None:
        for frame in data:
            for _ in conn.receive_data(frame):
                pass

    peak = peak_memory(story)
    assert failed_with(conn) == 1009
    assert peak < 2 * limit + 2 * size + 256 * 1024
    assert end(conn).cause.kind is CauseKind.MESSAGE_TOO_BIG


@both_roles
@pytest.mark.parametrize("limit", [0, 1, 1000, 65536, MIB])
@pytest.mark.parametrize("kind", ["repeating", "random", "text"])
@pytest.mark.parametrize("fragments", [1, 3])
def test_the_limit_is_exact(role: Role, limit: int, kind: str, fragments: int) -> None:
    """Random data grows when it is compressed; its message is not too big for that."""
    text = kind == "text"
    source = random.Random(limit).randbytes(limit + 1) if kind == "random" else b"x" * (limit + 1)
    for size, fits in ((limit, True), (limit + 1, False)):
        wire = squeeze(source[:size])
        cuts = [len(wire) * n // fragments for n in range(fragments + 1)]
        conn = make(role, deflate=True, limits=Limits(max_message_size=limit))
        events: list[Event] = []
        for number in range(fragments):
            opcode = CONTINUATION if number else TEXT if text else BINARY
            last = number == fragments - 1
            part = wire[cuts[number] : cuts[number + 1]]
            events += receive(conn, peer_frame(role, opcode, part, fin=last, rsv=0 if number else 4))
        if fits:
            assert events == [source[:size].decode() if text else source[:size]]
        else:
            assert events == []
            assert failed_with(conn) == 1009


@both_roles
def test_a_frame_that_no_message_within_the_limit_can_need(role: Role) -> None:
    """It is refused by its header."""
    conn = make(role, deflate=True, limits=Limits(max_message_size=1000))
    receive(conn, peer_frame(role, BINARY, rsv=4, length=MIB))
    assert failed_with(conn) == 1009


def refers_back(message: bytes) -> bytes:
    """Compress a message with its own text as what went before."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=message)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


# Stored block, then what is wrong with it.
STORED = b"\x00\x05\x00\xfa\xffhello"

BROKEN: dict[str, bytes] = {
    "reserved block type": b"\x07",
    "all ones": b"\xff" * 20,
    "length and its complement differ": b"\x00\x05\x00\xfb\xffhello",
    "stored block cut off": b"\x00\x05\x00\xfa\xffhel",
    "cut in a dynamic block": squeeze(bytes(range(256)) * 8)[:40],
    "no octets at all": b"",
    "distance in front of the beginning": refers_back(b"a window that the peer never had"),
    "too many length codes": b"\xfd\xff\xff\xff\xff",
    "bad behind a good block": STORED + b"\x07",
}


def inflates(payload: bytes) -> bool:
    """Ask zlib whether this is a whole message: behind it a last, empty block ends the stream."""
    oracle = zlib.decompressobj(-15)
    try:
        oracle.decompress(payload + b"\x00\x00\xff\xff")
        oracle.decompress(b"\x03\x00")
    except zlib.error:
        return False
    return oracle.eof


def test_the_oracle_knows_a_whole_message() -> None:
    assert inflates(squeeze(b"whole"))
    assert inflates(STORED + b"\x00")


@both_roles
@both_takeovers
@pytest.mark.parametrize("name", BROKEN)
def test_broken_streams(role: Role, takeover: bool, name: str) -> None:
    """RFC 7692 §7.2.2; the message in front of it has arrived."""
    payload = BROKEN[name]
    assert not inflates(payload)
    good = peer_frame(role, TEXT, squeeze(b"good"), rsv=4)
    for size in (len(payload) + 20, 1):
        conn = make(role, deflate=True, takeover=takeover)
        data = good + peer_frame(role, BINARY, payload, rsv=4)
        events: list[Event] = []
        for at in range(0, len(data), size):
            events += receive(conn, data[at : at + size])
        assert events == ["good"]
        assert failed_with(conn) == 1007


@both_roles
def test_a_distance_into_the_message_before_needs_the_window(role: Role) -> None:
    """With takeover it is the rule, without it is corrupt."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    wire = []
    for _ in range(2):
        squeezed = compressor.compress(b"a window of one's own") + compressor.flush(zlib.Z_SYNC_FLUSH)
        wire.append(peer_frame(role, TEXT, squeezed[:-4], rsv=4))
    conn = make(role, deflate=True)
    assert receive(conn, b"".join(wire)) == ["a window of one's own"] * 2
    conn = make(role, deflate=True, takeover=False)
    assert receive(conn, b"".join(wire)) == ["a window of one's own"]
    assert failed_with(conn) == 1007


def last_block(message: bytes) -> bytes:
    """Compress a message into blocks of which the last says so (BFINAL)."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    return compressor.compress(message) + compressor.flush(zlib.Z_FINISH)


@both_roles
@both_takeovers
@pytest.mark.parametrize("ending", [b"", b"\x00"])
@pytest.mark.parametrize("dribble", [False, True])
def test_a_last_block_ends_no_more_than_itself(
    role: Role, takeover: bool, ending: bytes, dribble: bool
) -> None:
    """RFC 7692 §7.2.3.4; the message behind it is as whole as the one in front."""
    conn = make(role, deflate=True, takeover=takeover)
    messages = [b"first " * 20, b"second " * 20, b"", b"third"]
    data = b"".join(peer_frame(role, TEXT, last_block(message) + ending, rsv=4) for message in messages)
    data += peer_frame(role, TEXT, squeeze(b"usual"), rsv=4) + peer_frame(role, TEXT, b"plain")
    events: list[Event] = []
    for at in range(0, len(data), 1 if dribble else len(data)):
        events += receive(conn, data[at : at + (1 if dribble else len(data))])
    assert events == [*(message.decode() for message in messages), "usual", "plain"]


@both_roles
def test_several_last_blocks_in_one_message(role: Role) -> None:
    conn = make(role, deflate=True)
    payload = b"".join(last_block(b"%d " % n) for n in range(50)) + b"\x00"
    expected = " ".join(map(str, range(50))) + " "
    assert receive(conn, peer_frame(role, TEXT, payload, rsv=4)) == [expected]
    for cut in range(0, len(payload), 7):
        data = peer_frame(role, TEXT, payload[:cut], rsv=4, fin=False)
        data += peer_frame(role, PING) + peer_frame(role, CONTINUATION, payload[cut:])
        assert receive(conn, data)[-1] == expected


@both_roles
def test_many_last_blocks_take_linear_time_and_little_memory(role: Role) -> None:
    """Two octets for each, with a zlib stream of its own."""

    def story(count: int) -> None:
        conn = make(role, deflate=True)
        payload = b"\x03\x00" * count + b"\x00"
        assert receive(conn, peer_frame(role, BINARY, payload, rsv=4)) == [b""]

    assert is_linear(story, 2000)
    assert peak_memory(lambda: story(20_000)) < MIB


@both_roles
@both_takeovers
def test_a_send_that_is_refused_does_not_move_the_window(role: Role, takeover: bool) -> None:
    """Both sides stay in step: zlib reads every message, with one window from the first to the last."""
    conn = make(role, deflate=True, takeover=takeover)
    reader = Reader(role, takeover=takeover)
    text = "again and again "
    refusals: list[Callable[[], object]] = [
        lambda: conn.send(text + "\ud800"),
        lambda: conn.send_utf8(text.encode() + b"\xff"),
        lambda: conn.send_fragment("\ud800", final=True),
        lambda: conn.send_prepared(PreparedMessage("\ud800")),
        lambda: conn.send_close(1005),
    ]
    for refuse in refusals:
        reader.read(conn.send(text))
        with pytest.raises(LocalProtocolError):
            refuse()
    reader.read(conn.send_fragment(text, final=False))
    with pytest.raises(LocalProtocolError):
        conn.send(text)
    with pytest.raises(LocalProtocolError):
        conn.send_fragment(text.encode(), final=True)
    reader.read(conn.send_fragment(text, final=True))
    reader.read(conn.send(text))
    assert reader.messages == [text] * 5 + [text * 2, text]
    assert all(reader.compressed)


@both_roles
def test_a_message_that_is_cut_by_our_close_leaves_nothing_to_others(role: Role) -> None:
    """Compressors without a window are lent to other connections; one in the middle of a message is not."""
    for _ in range(3):
        conn = make(role, deflate=True, takeover=False)
        conn.send("whole")
        conn.send_fragment("the secret of one connection", final=False)
        conn.send_close()
        other: Connection = make(role, deflate=True, takeover=False)
        reader = Reader(role, takeover=False)
        reader.read(other.send("its own words"))
        assert reader.messages == ["its own words"]
        assert other.transport is Transport.KEEP_OPEN
