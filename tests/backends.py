"""What both backends must do, said once more in the slowest and plainest way, and streams to try it on."""

from __future__ import annotations

import random
import struct
import sys
from types import ModuleType
from typing import NamedTuple

from hypothesis import strategies as st

from tests.wire import KEY, frame, xor

KEYS = [b"\x37\xfa\x21\x3d", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x01"]
keys = st.sampled_from(KEYS) | st.binary(min_size=4, max_size=4)


# -- the model


def plain_header(data: bytes, at: int, limit: int, masked: bool) -> tuple[int, int] | None:
    """Return where the payload of the final, unreserved data frame at `at` begins, and its length."""
    head = data[at : at + 2]
    if len(head) < 2 or head[0] not in (0x81, 0x82) or (head[1] >= 0x80) is not masked:
        return None
    length, size = head[1] & 0x7F, 2
    if length >= 126:
        form, least = (">H", 126) if length == 126 else (">Q", 1 << 16)
        size += struct.calcsize(form)
        if at + size > len(data):
            return None
        (length,) = struct.unpack_from(form, data, at + 2)
        if length < least:
            return None
    body = at + size + (4 if masked else 0)
    return None if length > limit or body > len(data) else (body, length)


def plain_frame(data: bytes, at: int, limit: int, masked: bool) -> tuple[bytes, int] | None:
    """Return payload and end of such a frame that is complete."""
    header = plain_header(data, at, limit, masked)
    if header is None or sum(header) > len(data):
        return None
    body, end = header[0], sum(header)
    payload = data[body:end]
    return xor(payload, data[body - 4 : body]) if masked else payload, end


def model_run(data: bytes, start: int, limit: int, masked: bool) -> tuple[list[str] | list[bytes], int]:
    """Return the messages of one run, and where it ends."""
    messages: list[str | bytes] = []
    at = start
    while (found := plain_frame(data, at, limit, masked)) and data[at] == data[start]:
        payload, end = found
        try:
            messages.append(payload.decode() if data[start] == 0x81 else payload)
        except UnicodeDecodeError:
            break
        at = end
    return messages, at


class Scanned(NamedTuple):
    """What a scan has found: counts, what is missing of the last frame, and where it came to."""

    texts: int
    binaries: int
    bytes: int
    left: int
    ends: int
    at: int


def model_scan(data: bytes, start: int, limit: int, masked: bool) -> Scanned:
    """Scan from the beginning of a frame on."""
    counts = {0x1: 0, 0x2: 0}
    at, left, ends = start, 0, 0
    while left == 0 and (header := plain_header(data, at, limit, masked)):
        opcode = data[at] & 0xF
        left = max(0, sum(header) - len(data))
        if left:
            ends = opcode
        else:
            counts[opcode] += 1
        at = sum(header) - left
    return Scanned(counts[0x1], counts[0x2], at - start, left, ends, at)


def scanned(backend: ModuleType, data: bytes, start: int, limit: int, masked: bool) -> Scanned:
    """Scan from the beginning of a frame on, with a backend."""
    scanner = backend.new_scanner(limit, masked, 0)
    at = backend.scan(scanner, data, start, len(data))
    return Scanned(scanner.texts, scanner.binaries, scanner.bytes, scanner.left, scanner.ends, at)


def check_scan(backend: ModuleType, stream: Stream) -> None:
    """Scan a stream as a whole, in two pieces, with a bit that does not count, and with nothing plain."""
    data, start, limit, masked = stream
    expected = model_scan(*stream)
    assert scanned(backend, *stream) == expected
    # Cut where a payload is: what is held of a header comes again, which is not the kernel's to do.
    for cut in {start + (expected.at - start) // 2, expected.at}:
        scanner = backend.new_scanner(limit, masked, 0)
        first = backend.scan(scanner, data, start, cut)
        last = backend.scan(scanner, data, first, len(data))
        found = (scanner.texts, scanner.binaries, scanner.bytes, scanner.left)
        assert (found, last) == (expected[:4], expected.at)
    scanner = backend.new_scanner(limit, masked, 0x40)
    if expected.at > start and expected.left == 0:
        one = data[start : expected.at]
        again = bytes([one[0] | 0x40]) + one[1:]
        assert backend.scan(scanner, again, 0, len(again)) == len(again)
        strict = backend.new_scanner(limit, masked, 0)
        assert backend.scan(strict, again, 0, len(again)) == 0
        strict.plain = False
        assert backend.scan(strict, one, 0, len(one)) == 0
        # The end of a fragmented message, and the end of a fragment that ends none.
        for ends, texts, binaries in ((0x1, 1, 0), (0x2, 0, 1), (0, 0, 0)):
            part = backend.new_scanner(limit, masked, 0)
            part.plain, part.left, part.ends = False, len(one), ends
            assert backend.scan(part, one, 0, len(one)) == len(one)
            assert (part.texts, part.binaries, part.left) == (texts, binaries, 0)


# -- streams

ascii_texts = st.text(alphabet="aZ \x7f\x00", max_size=20).map(str.encode)
texts = st.text(max_size=12).map(str.encode)
octets = st.binary(max_size=20) | st.sampled_from([b"\xff", b"\xff\xff", b"a\xffb", b"\xc3", b"\xed\xa0\x80"])
# Around every change of form, and around the blocks in which a kernel works.
long_payloads = st.builds(
    lambda unit, size: (unit * size)[:size],
    st.sampled_from([b"a", "ä".encode(), b"\xff", b"ab\x80"]),
    st.sampled_from([63, 64, 65, 124, 125, 126, 127, 255, 256, 257, 4095, 4096, 65535, 65536, 65537]),
)
payloads = ascii_texts | texts | octets | long_payloads


class Stream(NamedTuple):
    """What one call of a scanner gets."""

    data: bytes
    start: int
    limit: int
    masked: bool


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Draw mostly plain frames of mostly one opcode, sometimes something else, sometimes cut."""
    masked = draw(st.booleans())
    usual = draw(st.sampled_from([0x1, 0x2]))
    parts = [draw(st.binary(max_size=3))]
    start = len(parts[0])
    key = draw(keys) if masked else None
    for payload in draw(st.lists(payloads, max_size=8)):
        unusual = draw(st.integers(0, 15))
        if unusual == 0:
            parts.append(draw(st.binary(max_size=12)))
        elif unusual == 1:
            odd_key = draw(st.none() | keys)
            form = draw(st.sampled_from([None, 16, 64]))
            form = form if len(payload) < 126 else None
            rsv, fin = draw(st.sampled_from([0, 1, 2, 4])), draw(st.booleans())
            parts.append(frame(draw(st.integers(0, 15)), payload, key=odd_key, fin=fin, rsv=rsv, form=form))
        elif unusual == 2:
            length = draw(st.sampled_from([len(payload) + 1, 65536, 1 << 32, 1 << 63, (1 << 64) - 1]))
            parts.append(frame(usual, payload, key=key, length=length, form=64 if length > 65535 else None))
        else:
            parts.append(frame(3 - usual if unusual == 3 else usual, payload, key=key))
    data = b"".join(parts)
    if draw(st.booleans()):
        data = data[: max(start, len(data) - draw(st.integers(0, 20)))]
    limit = draw(st.sampled_from([sys.maxsize, sys.maxsize, 0, 1, 10, 125, 126, 65535, 65536]))
    return Stream(data, start, limit, masked)


any_bytes = st.builds(
    Stream,
    st.lists(st.sampled_from([0x81, 0x82, 0x80, 0, 1, 2, 0xFE, 0xFF, 0x7E, 0x7F, 0x84]), max_size=40).map(
        bytes
    )
    | st.binary(max_size=40),
    st.just(0),
    st.sampled_from([sys.maxsize, 0, 2, 126]),
    st.booleans(),
)


def _odd(data: bytes, limit: int = sys.maxsize, masked: bool = True) -> Stream:
    """Put plain frames around what no run may have in it."""
    good = frame(0x1, b"good", key=KEYS[0] if masked else None)
    return Stream(good + data + good, 0, limit, masked)


head = frame(0x2, b"", length=70000)

# One of each kind that ends a run, for what chance may leave out.
ODD_STREAMS = {
    "nothing": Stream(b"", 0, sys.maxsize, True),
    "the end": Stream(b"\x81", 1, sys.maxsize, False),
    "other opcode": _odd(frame(0x2, b"a")),
    "reserved opcode": _odd(frame(0x3, b"a")),
    "control frame": _odd(frame(0x9, b"a")),
    "continuation": _odd(frame(0x0, b"a")),
    "fragment": _odd(frame(0x1, b"a", fin=False)),
    "RSV1": _odd(frame(0x1, b"a", rsv=4)),
    "RSV3": _odd(frame(0x1, b"a", rsv=1)),
    "mask missing": _odd(frame(0x1, b"a", key=None)),
    "mask missing, long": _odd(frame(0x1, b"a" * 300, key=None)),
    "mask unexpected": _odd(frame(0x1, b"a"), masked=False),
    "mask unexpected, long": _odd(frame(0x1, b"a" * 300), masked=False),
    "mask unexpected, 127": _odd(frame(0x1, b"a" * 70000), masked=False),
    "16 bits, not minimal": _odd(frame(0x1, b"a" * 125, form=16)),
    "64 bits, not minimal": _odd(frame(0x1, b"a" * 65535, form=64)),
    "64 bits, the highest": _odd(frame(0x1, b"a", length=1 << 63)),
    "64 bits, all": _odd(frame(0x1, b"a", length=(1 << 64) - 1)),
    "longer than the rest": _odd(frame(0x1, b"a", length=20)),
    "longer than the limit": _odd(frame(0x1, b"a" * 11), limit=10),
    "as long as the limit": _odd(frame(0x1, b"a" * 10), limit=10),
    "limit of nothing": _odd(frame(0x1, b""), limit=0),
    "invalid UTF-8": _odd(frame(0x1, b"\xff")),
    "binary separators": Stream(frame(0x2, b"\xff" * 5) * 3, 0, sys.maxsize, True),
    **{
        f"cut at {size}": Stream(frame(0x1, b"a" * 126)[:size], 0, sys.maxsize, True) for size in range(1, 10)
    },
    **{f"cut at {size} of 14": Stream(head[:size], 0, sys.maxsize, True) for size in range(1, 14)},
}


# -- checks


def check_run(backend: ModuleType, stream: Stream, capacity: int = sys.maxsize) -> None:
    """Hold `read_run` against the model.

    Args:
        capacity: the longest payload the backend takes. It may also end a run early, but only to go on
            with the next call.
    """
    data, at, limit, masked = stream
    limit = min(limit, capacity)
    while True:
        messages, end = backend.read_run(data, at, stream.limit, masked)
        expected, whole = model_run(data, at, limit, masked)
        assert messages == expected[: len(messages)]
        assert all(type(message) is type(expected[0]) for message in messages)
        if len(messages) == len(expected):
            assert end == whole
        else:
            assert at < end < whole
        if end == at:
            assert not messages
            return
        at = end


def take_one(
    backend: ModuleType, data: bytes, limit: int, masked: bool
) -> tuple[str | bytes | int, int, int]:
    """Return the one message that is `data`, or what `read_one` says instead, and what it has counted."""
    reader = backend.new_reader(limit, masked)
    scratch = backend.new_scratch()
    found = backend.read_one(reader, data, len(data), scratch[0])
    if found >= 0:
        text = scratch[1][:found].decode(errors="replace")
        try:
            assert backend.decode(scratch[1], found) == text
        except UnicodeDecodeError:
            return "not UTF-8", reader.messages, reader.bytes
        return text, reader.messages, reader.bytes
    return scratch[1][: -3 - found] if found < -2 else found, reader.messages, reader.bytes


def check_one(backend: ModuleType, stream: Stream, capacity: int = sys.maxsize) -> None:
    """Hold `read_one` against the model: it takes what is one frame, counts it, and takes nothing else.

    Args:
        capacity: the longest payload the backend takes.
    """
    data = stream.data[stream.start :]
    message, messages, size = take_one(backend, data, stream.limit, stream.masked)
    frame = plain_frame(data, 0, stream.limit, stream.masked)
    if frame is None or frame[1] < len(data) or len(frame[0]) > capacity:
        assert (message, messages, size) == (-2 if frame is None else -1, 0, 0)
        return
    assert (messages, size) == (1, len(data))
    if data[0] == 0x82:
        assert message == frame[0]
        assert type(message) is bytes
    else:
        try:
            assert message == frame[0].decode()
        except UnicodeDecodeError:
            assert message == "not UTF-8"


def check_masking(backend: ModuleType, size: int, key: bytes, phase: int, before: int) -> None:
    """Hold all three ways of masking against the obvious one, and see that nothing else is written."""
    data = random.Random(size).randbytes(before + size + 3)
    payload = data[before : before + size]
    expected = xor(payload, key[phase:] + key[:phase])
    assert backend.mask(payload, key, phase) == expected
    memory, target = backend.reserve(size + 9)
    backend.mask_into(target, 0, b"\xa5" * (size + 9), 0, size + 9, bytes(4), 0)
    ascii = backend.mask_into(target, 5, data, before, size, key, phase)
    assert memory == b"\xa5" * 5 + expected + b"\xa5" * 4
    assert ascii == expected.isascii()
    if phase == 0:
        assert backend.mask(payload, key) == expected
        assert backend.build_masked(0x82, payload, key) == frame(0x2, payload, key=key)


def check_reserving(backend: ModuleType) -> None:
    """See that reserved memory is empty, nobody else's, and handed out as it was filled."""
    for size in (0, 1, 2, 300, 1 << 20):
        memory, target = backend.reserve(size)
        assert memory == bytes(size)
        source = random.Random(size).randbytes(size + 1)
        backend.mask_into(target, 0, source, 1, size, KEY, 0)
        taken = bytes(memory)
        assert taken == xor(source[1:], KEY)
        assert type(taken) is bytes
    # Objects that the interpreter shares are not written to.
    assert [bytes([octet]) for octet in range(256)] == [octet.to_bytes(1, "big") for octet in range(256)]
    assert bytes(1) == b"\0"
    assert bytes(300) == b"\0" * 300
