from __future__ import annotations

import random
import sys
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgews.deflate import _SPARES, Deflater, Inflater, _spare, deflated_bound
from edgews.errors import CompressionError, MessageTooBigError
from tests.deflating import (
    PLENTY,
    TAIL,
    bits,
    contents,
    cuts,
    deflate,
    distant,
    finish,
    flip,
    inflate,
    inflate_with_256,
    is_message,
    levels,
    mem_levels,
    noise,
)

# -- round trips


@given(bits, st.booleans(), levels, mem_levels, st.lists(st.tuples(contents, cuts, cuts), max_size=4))
def test_what_is_deflated_is_inflated(bits, takeover, level, mem_level, messages):
    deflater = Deflater(bits, takeover, level, mem_level)
    inflater = Inflater(bits, takeover)
    for message, cut_before, cut_after in messages:
        assert inflate(inflater, deflate(deflater, message, cut_before), cut_after) == message


@given(bits, st.booleans(), levels, mem_levels, st.lists(contents, max_size=4))
def test_zlib_reads_what_we_write(bits, takeover, level, mem_level, messages):
    deflater = Deflater(bits, takeover, level, mem_level)
    theirs = zlib.decompressobj(-bits)
    for message in messages:
        payload = deflater.compress(message, True)
        assert not payload.endswith(TAIL)
        if not takeover:
            theirs = zlib.decompressobj(-bits)
        assert theirs.decompress(payload + TAIL) == message
        assert not theirs.eof


@given(st.integers(9, 15), levels, mem_levels, st.lists(st.tuples(contents, cuts), max_size=4), st.booleans())
def test_we_read_what_zlib_writes(bits, level, mem_level, messages, full):
    theirs = zlib.compressobj(level, zlib.DEFLATED, -bits, mem_level)
    inflater = Inflater(bits, True)
    for message, positions in messages:
        if not message:
            continue  # zlib would flush nothing at all
        payload = theirs.compress(message) + theirs.flush(zlib.Z_FULL_FLUSH if full else zlib.Z_SYNC_FLUSH)
        assert inflate(inflater, payload.removesuffix(TAIL), positions) == message


HELLO = b"Hello"
# RFC 7692 §7.2.3.1 to §7.2.3.6: payloads, and the messages they are.
EXAMPLES = [
    ("f248cdc9c90700", HELLO),
    # as it would be without context takeover, and with it
    ("f248cdc9c90700 f248cdc9c90700", HELLO + HELLO),
    ("f248cdc9c90700 f200110000", HELLO + HELLO),
    # a stored block
    ("000500faff48656c6c6f00", HELLO),
    # BFINAL, with the octet that makes the tail fit, and one more message
    ("f348cdc9c9070000", HELLO),
    ("f348cdc9c9070000 f248cdc9c90700", HELLO + HELLO),
    # two blocks in one message
    ("f248050000 00ffffcac9c90700", HELLO),
    # an empty message
    ("00", b""),
    ("00 f248cdc9c90700 00", HELLO),
]


@pytest.mark.parametrize(("payloads", "expected"), EXAMPLES)
def test_the_examples_of_the_rfc(payloads, expected):
    messages = [bytes.fromhex(payload) for payload in payloads.split()]
    if payloads.startswith("f248050000"):
        messages = [b"".join(messages)]
    inflater = Inflater(15, True)
    assert b"".join(inflate(inflater, message) for message in messages) == expected
    inflater = Inflater(15, True)
    assert b"".join(inflate(inflater, message, list(range(20))) for message in messages) == expected


def test_an_example_in_two_fragments():
    # RFC 7692 §7.2.3.1: 41 03 f2 48 cd 80 04 c9 c9 07 00
    inflater = Inflater(15, False)
    first = inflater.decompress(bytes.fromhex("f248cd"), False, PLENTY)
    assert first + inflater.decompress(bytes.fromhex("c9c90700"), True, PLENTY) == HELLO


@pytest.mark.parametrize("takeover", [False, True])
def test_an_empty_message_is_one_octet(takeover):
    deflater = Deflater(15, takeover, -1, 8)
    # First of all, after another, twice, and in pieces.
    sent = [b"", HELLO, b"", b"", HELLO]
    payloads = [deflater.compress(message, True) for message in sent]
    payloads.append(deflater.compress(b"", False) + deflater.compress(b"", True))
    assert payloads[0] == payloads[2] == payloads[3] == payloads[5] == b"\x00"
    inflater = Inflater(15, takeover)
    assert [inflate(inflater, payload) for payload in payloads] == [*sent, b""]


# -- windows


@pytest.mark.parametrize("level", [1, 4, 6, 9])
def test_window_bits_8_never_look_back_beyond_256_bytes(level):
    message = distant(level)
    payload = Deflater(8, True, level, 9).compress(message, True)
    assert inflate_with_256(payload) == message
    # It does use what there is of the window, and the check above does see what reaches too far.
    assert len(payload) < len(Deflater(8, True, 0, 9).compress(message, True)) * 0.8
    with pytest.raises(zlib.error, match="too far back"):
        inflate_with_256(Deflater(10, True, level, 9).compress(message, True))


@given(st.lists(contents, min_size=1, max_size=3), levels)
@settings(max_examples=40)
def test_window_bits_8_over_several_messages(messages, level):
    deflater = Deflater(8, True, level, 5)
    payloads = [deflater.compress(message, True) for message in messages]
    assert inflate_with_256(TAIL.join(payloads)) == b"".join(messages)


def test_takeover_makes_the_second_message_smaller():
    message = noise(1, 300)
    for takeover in (False, True):
        deflater = Deflater(12, takeover, -1, 5)
        first, second = (deflater.compress(message, True) for _ in range(2))
        assert (len(second) < len(first) / 5) is takeover


def test_without_takeover_a_message_cannot_look_back():
    deflater = Deflater(15, True, -1, 8)
    message = noise(1, 300)
    first, second = (deflater.compress(message, True) for _ in range(2))
    inflater = Inflater(15, False)
    assert inflate(inflater, first) == message
    with pytest.raises(CompressionError, match="too far back"):
        inflate(inflater, second)


# -- compressors that connections share


@given(st.lists(contents, max_size=4), contents, bits, levels, mem_levels)
def test_a_shared_compressor_betrays_nothing(secrets, message, bits, level, mem_level):
    """What others sent changes not a bit, so that not even the size of a message tells of them."""
    _spare.clear()
    alone = Deflater(bits, False, level, mem_level).compress(message, True)
    for secret in secrets:
        Deflater(bits, False, level, mem_level).compress(secret, True)
    deflater = Deflater(bits, False, level, mem_level)
    assert deflater.compress(message, True) == alone
    assert inflate(Inflater(bits, False), alone) == message


def test_a_compressor_in_the_middle_of_a_message_is_not_shared():
    _spare.clear()
    half, whole = Deflater(15, False, -1, 8), Deflater(15, False, -1, 8)
    early = half.compress(b"a" * 100, False)
    assert inflate(Inflater(15, False), whole.compress(b"b" * 100, True)) == b"b" * 100
    late = half.compress(b"c" * 100, True)
    assert inflate(Inflater(15, False), early + late) == b"a" * 100 + b"c" * 100


def test_a_message_that_is_given_up_is_not_handed_on():
    _spare.clear()
    deflater = Deflater(15, False, -1, 8)
    deflater.compress(b"secret" * 100, False)
    deflater.forget()
    assert not _spare
    assert inflate(Inflater(15, False), deflater.compress(HELLO, True)) == HELLO


def test_few_compressors_are_kept():
    _spare.clear()
    deflaters = [Deflater(15, False, -1, 8) for _ in range(3 * _SPARES)]
    for deflater in deflaters:
        deflater.compress(HELLO, False)
    payloads = [deflater.compress(HELLO, True) for deflater in deflaters]
    assert len(_spare[deflaters[0].kind]) == _SPARES
    assert len(set(payloads)) == 1


def test_no_compressor_is_kept_for_connections_with_takeover():
    _spare.clear()
    Deflater(15, True, -1, 8).compress(HELLO, True)
    assert not _spare


def test_threads_share_compressors():
    def talk(seed: int) -> bool:
        deflater, inflater = Deflater(15, False, 1, 8), Inflater(15, False)
        source = random.Random(seed)
        messages = [source.randbytes(source.randrange(1, 50)) * 20 for _ in range(500)]
        return all(inflate(inflater, deflate(deflater, message, [100])) == message for message in messages)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(talk, range(4))) == [True] * 4
    finally:
        sys.setswitchinterval(interval)


# -- messages that many peers read


@given(bits, st.booleans(), levels, mem_levels, st.lists(st.tuples(contents, st.booleans()), max_size=5))
def test_a_message_alone_fits_in_between(bits, takeover, level, mem_level, messages):
    deflater = Deflater(bits, takeover, level, mem_level)
    other = Deflater(bits, not takeover, level, mem_level)
    other.compress(b"what another peer was sent", True)
    inflater = Inflater(bits, takeover)
    for message, shared in messages:
        if shared:
            payload = deflater.alone(message)
            assert payload == other.alone(message)
            deflater.forget()
        else:
            payload = deflater.compress(message, True)
        assert inflate(inflater, payload) == message


@given(st.tuples(bits, levels, mem_levels), st.tuples(bits, levels, mem_levels), contents)
def test_equal_kinds_give_equal_bytes(one, other, message):
    first, second = (Deflater(bits, True, level, mem) for bits, level, mem in (one, other))
    if first.kind == second.kind:
        assert first.alone(message) == second.alone(message)
    assert (first.kind == second.kind) is (one[1:] == other[1:] and max(9, one[0]) == max(9, other[0]))


# -- limits


@given(contents, st.booleans(), cuts)
@example(b"", False, [])
@example(b"a" * 2000, True, [1])
def test_the_limit_is_exact(message, takeover, positions):
    payload = Deflater(15, takeover, -1, 8).compress(message, True)
    assert inflate(Inflater(15, takeover), payload, positions, room=len(message)) == message
    if message:
        with pytest.raises(MessageTooBigError) as caught:
            inflate(Inflater(15, takeover), payload, positions, room=len(message) - 1)
        assert caught.value.code == 1009


@given(st.lists(contents, min_size=1, max_size=3))
def test_the_limit_counts_what_stands_behind_a_last_block(parts):
    payload = b"".join(finish(part) for part in parts)
    size = sum(map(len, parts))
    assert inflate(Inflater(15, True), payload, room=size) == b"".join(parts)
    if size:
        with pytest.raises(MessageTooBigError):
            inflate(Inflater(15, True), payload, room=size - 1)


MIB = 1 << 20


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Half a megabyte that inflates to 512 MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(MIB)
    payload = b"".join(compressor.compress(zeros) for _ in range(512)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(payload) < 0.55 * MIB
    return payload.removesuffix(TAIL)


@pytest.mark.parametrize("size", [1 << 30, 4096, 100], ids=["whole", "in reads", "in small reads"])
@pytest.mark.parametrize("ended_before", [False, True])
def test_a_bomb_costs_about_twice_the_limit(bomb, size, ended_before):
    payload = (finish(b"a") if ended_before else b"") + bomb
    parts = [payload[at : at + size] for at in range(0, len(payload), size)]
    inflater = Inflater(15, True)

    def explode() -> None:
        made = 0
        for part in parts:
            made += len(inflater.decompress(part, False, MIB - made))

    tracemalloc.start()
    try:
        with pytest.raises(MessageTooBigError):
            explode()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # zlib collects what it makes, joins it, and hands back what it did not take of the part.
    assert peak < 2.25 * MIB + len(parts[0])


# -- what is broken


def test_a_message_cut_anywhere_is_refused():
    source = random.Random(7)
    words = [source.randbytes(source.randrange(2, 9)) for _ in range(50)]
    message = b" ".join(source.choice(words) for _ in range(400))
    # Not so with stored blocks (level 0), whose first octet alone is an empty message.
    for level, takeover in product((1, 4, 9), (False, True)):
        deflater = Deflater(15, takeover, level, 9)
        earlier = deflater.compress(message[:500], True)
        payload = deflater.compress(message, True)
        for size in range(len(payload)):
            inflater = Inflater(15, takeover)
            assert inflate(inflater, earlier) == message[:500]
            with pytest.raises(CompressionError):
                inflater.decompress(payload[:size], True, PLENTY)


@given(contents, levels, mem_levels, st.integers(0, 3000), st.booleans())
def test_what_is_cut_is_refused_unless_it_is_a_message_still(message, level, mem_level, size, last):
    payload = finish(message) if last else Deflater(15, False, level, mem_level).compress(message, True)
    cut = payload[: size % len(payload)]
    inflater = Inflater(15, False)
    if is_message(cut):
        assert message.startswith(inflater.decompress(cut, True, PLENTY))
    else:
        with pytest.raises(CompressionError) as caught:
            inflater.decompress(cut, True, PLENTY)
        assert caught.value.code == 1007


@given(
    st.binary(max_size=40)
    | st.builds(
        lambda message, level, at, bit: flip(Deflater(15, False, level, 8).compress(message, True), at, bit),
        contents,
        levels,
        st.integers(0, 3000),
        st.integers(0, 7),
    ),
    cuts,
    bits,
    st.booleans(),
    st.integers(0, 4000),
)
def test_corrupt_data_never_raises_anything_else(payload, positions, bits, takeover, room):
    inflater = Inflater(bits, takeover)
    for _ in range(2):
        try:
            whole = inflate(inflater, payload, positions, room)
        except (CompressionError, MessageTooBigError):
            return
        assert len(whole) <= room


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        ("ffffff", "invalid block type"),
        ("0005000000", "invalid stored block lengths"),
        ("4b0411", "invalid distance too far back|cut off"),
        ("f2001100", "invalid distance too far back"),
        ("", "cut off"),
        ("f248cd", "cut off|corrupt"),
        ("0005", "corrupt|cut off"),
        ("000500faff48", "cut off"),
    ],
)
def test_the_error_says_what_is_wrong(payload, fault):
    with pytest.raises(CompressionError, match=fault):
        Inflater(15, True).decompress(bytes.fromhex(payload), True, PLENTY)


# -- blocks marked as last


@given(
    st.lists(st.tuples(contents, st.sampled_from([b"", b"\x00"]), st.booleans(), cuts), max_size=4),
    st.booleans(),
)
def test_messages_that_end_with_a_last_block(messages, takeover):
    """All of them are whole, whether the octet of RFC 7692 §7.2.3.4 follows or not."""
    inflater = Inflater(15, takeover)
    for message, behind, last, positions in messages:
        unmarked = Deflater(15, False, -1, 8).compress(message, True)
        payload = finish(message) + behind if last else unmarked
        assert inflate(inflater, payload, positions) == message


def window_of(data: bytes) -> bytes:
    return data[-32768:]


@given(contents, contents)
def test_the_window_reaches_back_over_a_last_block(first, second):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=window_of(first))
    rest = compressor.compress(second + first) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert inflate(Inflater(15, True), finish(first) + rest.removesuffix(TAIL)) == first + second + first
    # And over several of them.
    payload = finish(first) + finish(b"") + finish(second, window=first) + b"\x00"
    assert inflate(Inflater(15, False), payload) == first + second


@given(
    st.lists(
        st.tuples(st.lists(st.tuples(contents, st.booleans()), min_size=1, max_size=3), cuts), max_size=4
    )
)
def test_the_window_of_a_peer_that_marks_blocks_as_last(messages):
    """It is one window, whatever the marks: RFC 7692 §7.1.1 knows no other way to lose it."""
    history = b""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    inflater = Inflater(15, True)
    # What was sent before the first mark is gone with zlib; so the peer begins with one.
    for blocks, positions in [([(b"", True)], []), *messages]:
        payload = message = b""
        for data, last in blocks:
            payload += compressor.compress(data) + compressor.flush(
                zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
            )
            message += data
            history += data
            if last:
                compressor = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=window_of(history))
        payload = payload.removesuffix(TAIL) or b"\x00"
        assert inflate(inflater, payload, positions) == message


def test_a_last_block_in_front_of_an_empty_fragment():
    inflater = Inflater(15, True)
    for _ in range(2):
        assert inflater.decompress(finish(HELLO), False, PLENTY) == HELLO
        assert inflater.decompress(b"", True, PLENTY) == b""


def test_a_last_block_that_the_tail_completes():
    # An empty stored block marked as last is itself `01` and the tail.
    inflater = Inflater(15, True)
    for _ in range(3):
        assert inflate(inflater, bytes.fromhex("01")) == b""
        assert inflate(inflater, bytes.fromhex("f248cdc9c90700")) == HELLO


def seconds(payload: bytes) -> float:
    """Return the least processor time of a few runs."""
    times = []
    for _ in range(3):
        inflater = Inflater(15, True)
        start = time.thread_time()
        inflater.decompress(payload, True, PLENTY)
        times.append(time.thread_time() - start)
    return min(times)


@pytest.mark.parametrize("block", [b"", b"a"], ids=["empty", "one byte"])
def test_many_last_blocks_take_linear_time(block):
    # Eight times as many take about eight times as long; were it quadratic, sixty-four times.
    unit = finish(block)
    assert seconds(unit * 40_000 + b"\x00") < 24 * seconds(unit * 5_000 + b"\x00")


@given(st.integers(0, 5000), st.integers(0, 99), levels, mem_levels, bits, cuts)
@example(200_000, 1, 1, 1, 8, [])
@example(200_000, 1, 9, 1, 15, [])
@example(200_000, 1, 6, 9, 12, [])
@example(200_000, 1, 0, 1, 9, [])
def test_random_data_stays_within_the_bound(size, seed, level, mem_level, bits, positions):
    message = noise(seed, size)
    assert len(deflate(Deflater(bits, False, level, mem_level), message, positions)) <= deflated_bound(size)
