from __future__ import annotations

import re
import struct
from functools import partial
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.errors import (
    CloseFrameError,
    ControlFrameError,
    FrameHeaderError,
    InvalidUtf8Error,
    InvalidValueError,
    MaskingError,
    MessageTooBigError,
    RemoteProtocolError,
)
from edgews.frames import (
    CLOSE_CODE_MEANINGS,
    SHORT_HEADERS,
    CloseCode,
    FrameHeader,
    Opcode,
    close_code_meaning,
    encode_close,
    encode_header,
    header_size,
    may_be_sent,
    parse_close,
    parse_header,
)
from tests.wire import KEY, frame

DATA_OPCODES = [Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY]
CONTROL_OPCODES = [Opcode.CLOSE, Opcode.PING, Opcode.PONG]

# Lengths around each change of form, and any other.
EDGES = [0, 1, 125, 126, 127, 128, 65535, 65536, (1 << 32) - 1, (1 << 63) - 1]
lengths = st.sampled_from(EDGES) | st.integers(0, (1 << 63) - 1)
keys = st.binary(min_size=4, max_size=4)


def head(opcode: int, length: int, key: bytes | None, *, fin: bool = True, rsv: int = 0) -> bytes:
    """Return a header, masking key included, that announces `length`."""
    return frame(opcode, b"", fin=fin, rsv=rsv, key=key, length=length)


@given(
    lengths,
    st.sampled_from(DATA_OPCODES),
    st.booleans(),
    st.booleans(),
    st.none() | keys,
    st.binary(max_size=3),
    st.binary(max_size=3),
    st.sampled_from([bytes, bytearray]),
)
def test_a_data_header_says_what_was_encoded(length, opcode, fin, deflate, key, before, after, kind):
    compressed = deflate and opcode != Opcode.CONTINUATION
    header = head(opcode, length, key, fin=fin, rsv=4 if compressed else 0)
    data = kind(before + header + after)
    parsed = parse_header(data, len(before), masked=key is not None, deflate=deflate, limit=None)
    assert parsed == FrameHeader(opcode, fin, compressed, length, key or b"", len(header))
    assert type(parsed.key) is bytes
    assert header_size(length, key is not None) == len(header)
    first = (0x80 if fin else 0) | (0x40 if compressed else 0) | opcode
    assert encode_header(first, length, masked=key is not None) + (key or b"") == header


@given(st.sampled_from(CONTROL_OPCODES), st.integers(0, 125), st.none() | keys, st.booleans())
def test_a_control_header_says_what_was_encoded(opcode, length, key, deflate):
    header = head(opcode, length, key)
    # Control frames are not limited: they are short anyway.
    parsed = parse_header(header, masked=key is not None, deflate=deflate, limit=0)
    assert parsed == FrameHeader(opcode, True, False, length, key or b"", len(header))


def judge(
    data: bytes, masked: bool, deflate: bool, limit: int | None, deflated_limit: int | None
) -> set[type] | FrameHeader | None:
    """Read a header by the letter of RFC 6455 §5.2: the rules it breaks, or what it says, or None.

    All the rules are looked at whose octets have arrived.
    """
    if len(data) < 2:
        return None
    bits = f"{data[0]:08b}{data[1]:08b}"
    fin, rsv1, rsv2, rsv3 = (bit == "1" for bit in bits[:4])
    opcode, mask_bit, length = int(bits[4:8], 2), bits[8] == "1", int(bits[9:], 2)
    control = opcode in (8, 9, 10)
    broken: set[type] = set()
    if opcode not in (0, 1, 2, 8, 9, 10) or rsv2 or rsv3:
        broken.add(FrameHeaderError)
    if rsv1 and not (deflate and opcode in (1, 2)):
        broken.add(FrameHeaderError)
    if mask_bit != masked:
        broken.add(MaskingError)
    if control and (not fin or length > 125):
        broken.add(ControlFrameError)
    size = {126: 4, 127: 10}.get(length, 2)
    if len(data) < size:
        return broken or None
    if length >= 126:
        form, least = ("!H", 126) if length == 126 else ("!Q", 65536)
        (length,) = struct.unpack(form, data[2:size])
        if not least <= length < 1 << 63:
            broken.add(FrameHeaderError)
    most = deflated_limit if rsv1 and deflated_limit is not None else limit
    if not control and most is not None and length > most:
        broken.add(MessageTooBigError)
    if broken:
        return broken
    if not masked:
        return FrameHeader(opcode, fin, rsv1, length, b"", size)
    if len(data) < size + 4:
        return None
    return FrameHeader(opcode, fin, rsv1, length, data[size : size + 4], size + 4)


def parse_and_judge(
    data: bytes, masked: bool, deflate: bool, limit: int | None, deflated_limit: int | None
) -> type | None:
    """Check one header against the oracle; return the rule that was broken."""
    verdict = judge(data, masked, deflate, limit, deflated_limit)
    try:
        outcome = parse_header(
            data, masked=masked, deflate=deflate, limit=limit, deflated_limit=deflated_limit
        )
    except RemoteProtocolError as error:
        outcome = error
    if not isinstance(outcome, RemoteProtocolError):
        assert outcome == verdict
        return None
    assert isinstance(verdict, set)
    assert type(outcome) in verdict
    assert outcome.code == (1009 if type(outcome) is MessageTooBigError else 1002)
    return type(outcome)


some_headers = st.builds(
    frame,
    st.integers(0, 15),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 4]) | st.integers(0, 7),
    key=st.none() | keys,
    length=st.integers(0, 125) | st.sampled_from([126, 127, 65535]),
    form=st.sampled_from([None, 16, 64]),
)


some_limits = st.none() | st.integers(0, 300) | st.sampled_from([1 << 20, (1 << 63) - 1])


@given(some_headers | st.binary(max_size=15), st.booleans(), st.booleans(), some_limits, some_limits)
def test_any_bytes_give_what_the_rfc_says_at_every_truncation(data, masked, deflate, limit, deflated_limit):
    failed = None
    for size in range(len(data) + 1):
        broken = parse_and_judge(data[:size], masked, deflate, limit, deflated_limit)
        # What the first octets have decided, no later one changes.
        assert failed in (None, broken)
        failed = broken


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_every_first_octet_with_every_form_of_length(masked, deflate):
    tails = [b"", b"\0" * 12, b"\0\x7e" + KEY, b"\0\0\0\0\0\1\0\0" + KEY, b"\xff" * 12]
    for first, second in product(range(256), (0, 1, 125, 126, 127, 128, 129, 253, 254, 255)):
        for tail in tails:
            parse_and_judge(bytes((first, second)) + tail, masked, deflate, 70000, None)


@pytest.mark.parametrize(
    ("data", "rule", "text"),
    [
        (frame(0x3), FrameHeaderError, "opcode 0x3 is reserved"),
        (frame(0xF), FrameHeaderError, "opcode 0xf is reserved"),
        (frame(0x1, rsv=2), FrameHeaderError, "RSV2 or RSV3"),
        (frame(0x1, rsv=1), FrameHeaderError, "RSV2 or RSV3"),
        (frame(0x1, rsv=4), FrameHeaderError, "RSV1 is set with no extension"),
        (frame(0x1, key=None), MaskingError, "a client must mask every frame"),
        (frame(0x9, fin=False), ControlFrameError, "Ping frame is fragmented"),
        (frame(0x8, length=126), ControlFrameError, "Close frame is longer than 125 bytes"),
        (frame(0xA, length=65536), ControlFrameError, "Pong frame is longer than 125 bytes"),
        (frame(0x2, length=125, form=16), FrameHeaderError, "length 125 is not in its shortest form"),
        (frame(0x2, length=65535, form=64), FrameHeaderError, "length 65535 is not in its shortest form"),
        (frame(0x2, length=1 << 63), FrameHeaderError, "most significant bit"),
        (frame(0x2, length=(1 << 64) - 1), FrameHeaderError, "most significant bit"),
        (frame(0x2, length=1001), MessageTooBigError, "frame of 1001 bytes exceeds the limit of 1000"),
    ],
)
def test_the_error_says_which_rule(data, rule, text):
    limit = 1000 if rule is MessageTooBigError else None
    with pytest.raises(rule, match=text):
        parse_header(data, masked=True, deflate=False, limit=limit)


def test_rsv1_outside_the_first_frame_of_a_message():
    for opcode in (Opcode.CONTINUATION, *CONTROL_OPCODES):
        with pytest.raises(FrameHeaderError, match="outside the first frame of a message"):
            parse_header(frame(opcode, rsv=4), masked=True, deflate=True, limit=None)


def test_a_server_that_masks():
    with pytest.raises(MaskingError, match="a server must not mask"):
        parse_header(frame(0x1), masked=False, deflate=False, limit=None)


@given(st.integers(0, 1 << 63), st.sampled_from(DATA_OPCODES), st.booleans())
@example(0, Opcode.TEXT, False)
@example(65535, Opcode.BINARY, False)
def test_the_limit_is_exact_and_known_from_the_header_alone(limit, opcode, masked):
    key = KEY if masked else None
    longest = min(limit, (1 << 63) - 1)
    parsed = parse_header(head(opcode, longest, key), masked=masked, deflate=False, limit=limit)
    assert parsed is not None
    assert parsed.length == longest
    if limit + 1 < 1 << 63:
        too_long = frame(opcode, b"", key=key, length=limit + 1)[: header_size(limit + 1, False)]
        with pytest.raises(MessageTooBigError):
            parse_header(too_long, masked=masked, deflate=False, limit=limit)


def test_a_compressed_frame_has_a_limit_of_its_own():
    for compressed, limit in ((True, 20), (False, 10)):
        for length in (limit, limit + 1):
            data = frame(0x2, rsv=4 if compressed else 0, length=length)
            parse = partial(parse_header, data, masked=True, deflate=True, limit=10, deflated_limit=20)
            if length == limit:
                parsed = parse()
                assert parsed is not None
                assert (parsed.length, parsed.compressed) == (limit, compressed)
            else:
                with pytest.raises(MessageTooBigError, match=f"exceeds the limit of {limit}"):
                    parse()


@pytest.mark.parametrize("start", range(8))
def test_nothing_to_read_yet(start):
    assert parse_header(frame(0x1), 5 + start, masked=True, deflate=False, limit=None) is None


def test_short_headers_are_ready_made():
    for first, headers in SHORT_HEADERS.items():
        assert headers == [head(first & 15, length, None) for length in range(126)]
    assert set(SHORT_HEADERS) == {0x81, 0x82}


# RFC 6455 §7.4.1 and the IANA registry: these stand in Close frames, and no other below 3000.
REGISTERED = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
SENDABLE = REGISTERED | set(range(3000, 5000))


def accepted(function, *arguments):
    """Return the result, or None where the value may not stand in a Close frame."""
    try:
        return function(*arguments)
    except (InvalidValueError, CloseFrameError):
        return None


def test_every_close_code_of_sixteen_bits():
    codes = range(1 << 16)
    bodies = [code.to_bytes(2, "big") for code in codes]
    assert {code for code in codes if may_be_sent(code)} == SENDABLE
    assert {code: body for code in codes if (body := accepted(encode_close, code))} == {
        code: bodies[code] for code in sorted(SENDABLE)
    }
    assert [parsed for body in bodies if (parsed := accepted(parse_close, body))] == [
        (code, "") for code in sorted(SENDABLE)
    ]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_the_error_names_the_code(code):
    with pytest.raises(InvalidValueError, match=f"close code {code} may not be sent; use 1000-1003"):
        encode_close(code)
    with pytest.raises(CloseFrameError, match=f"close code {code} may not be sent") as caught:
        parse_close(code.to_bytes(2, "big"))
    assert caught.value.code == 1002


@pytest.mark.parametrize(
    ("code", "reason"), [(1000.0, ""), ("1000", ""), (b"", ""), (1000, b"why"), (1000, 7)]
)
def test_wrong_types(code, reason):
    with pytest.raises(TypeError, match=r"^(code must be an int or None|reason must be a str), not "):
        encode_close(code, reason)


@pytest.mark.parametrize("code", [-1, -1000, 1 << 16, (1 << 16) + 1000])
def test_codes_that_do_not_fit(code):
    assert not may_be_sent(code)
    with pytest.raises(InvalidValueError):
        encode_close(code)


@given(st.sampled_from(sorted(SENDABLE)), st.text(max_size=130))
def test_close_round_trip(code, reason):
    octets = reason.encode()
    if len(octets) > 123:
        with pytest.raises(InvalidValueError, match=f"{len(octets)} bytes of UTF-8; at most 123 fit"):
            encode_close(code, reason)
    else:
        body = encode_close(code, reason)
        assert body == struct.pack("!H", code) + octets
        assert parse_close(body) == (code, reason)


@given(st.binary(max_size=125) | st.builds(lambda reason: b"\x03\xe8" + reason, st.binary(max_size=20)))
def test_any_close_body(body):
    try:
        expected = body[2:].decode()
    except UnicodeDecodeError:
        expected = None
    if not body:
        assert parse_close(body) == (1005, "")
    elif len(body) == 1 or int.from_bytes(body[:2], "big") not in SENDABLE:
        with pytest.raises(CloseFrameError):
            parse_close(body)
    elif expected is None:
        with pytest.raises(InvalidUtf8Error, match="close reason is not UTF-8"):
            parse_close(body)
    else:
        code, reason = parse_close(body)
        assert reason == expected
        assert type(code) is int
        assert encode_close(code, reason) == body


def test_close_reasons_at_their_longest():
    assert len(encode_close(1000, "a" * 123)) == 125
    assert len(encode_close(1000, "ä" * 61 + "a")) == 125
    for reason in ("a" * 124, "ä" * 62):
        with pytest.raises(InvalidValueError):
            encode_close(1000, reason)


def test_a_close_without_a_code():
    assert encode_close(None) == b""
    with pytest.raises(InvalidValueError, match="needs a close code"):
        encode_close(None, "why")


def test_a_reason_with_a_lone_surrogate():
    with pytest.raises(InvalidValueError, match="lone surrogate"):
        encode_close(1000, "\ud800")


def test_a_body_of_one_byte():
    with pytest.raises(CloseFrameError, match="one byte"):
        parse_close(b"\x03")


def test_opcodes_and_close_codes_are_the_registered_ones():
    assert {opcode.name: opcode.value for opcode in Opcode} == {
        "CONTINUATION": 0, "TEXT": 1, "BINARY": 2, "CLOSE": 8, "PING": 9, "PONG": 10
    }  # fmt: skip
    assert {code.value for code in CloseCode} == REGISTERED | {1005, 1006, 1015}


def test_every_code_has_a_meaning():
    assert set(CLOSE_CODE_MEANINGS) == set(CloseCode)
    assert len(set(CLOSE_CODE_MEANINGS.values())) == len(CloseCode)
    for code in CloseCode:
        assert close_code_meaning(code.value) == CLOSE_CODE_MEANINGS[code]
        assert ("never on the wire" in close_code_meaning(code)) is not may_be_sent(code)
    assert "registered" in close_code_meaning(3000) == close_code_meaning(3999)
    assert re.search("private", close_code_meaning(4000))
    assert close_code_meaning(4000) == close_code_meaning(4999)
    for code in (-1, 0, 999, 1004, 1016, 2999, 5000, 1 << 16):
        assert close_code_meaning(code) == "not a code that may be used"
