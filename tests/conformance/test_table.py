"""The table itself: complete, well formed, and strict enough to notice whatever changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest

from edgews import (
    CauseKind,
    Close,
    ControlFrameError,
    FrameHeaderError,
    InvalidUtf8Error,
    PerMessageDeflate,
    Ping,
    Pong,
    Role,
    Side,
    Transport,
)
from tests.conformance import inflate
from tests.conformance.bits import Blocks, Squeezer, squeeze
from tests.conformance.delivery import mask, styles, write
from tests.conformance.expect import Mismatch
from tests.conformance.rows import (
    Call,
    Deflate,
    Fault,
    Frame,
    Opening,
    Row,
    binary,
    close,
    closed,
    echoes,
    fails,
    passes,
    ping,
    pong,
    text,
)
from tests.conformance.runner import play
from tests.conformance.table import GROUPS, TABLE
from tests.wire import KEY, xor

LEAST = {
    "framing": 130,
    "pings": 80,
    "reserved-bits": 160,
    "opcodes": 100,
    "fragmentation": 100,
    "utf8": 700,
    "closing": 300,
    "limits": 100,
    "autofragment": 40,
    "compression": 200,
    "deflate": 170,
    "deflate-rules": 70,
    "negotiation": 800,
}
ROWS = {row.id: row for row in TABLE}
GOOD = ROWS["framing/text-125"]
BAD = ROWS["reserved-bits/010-text-after-a-message"]
UTF8 = ROWS["utf8/surrogate-inside-greek"]
CLOSED = ROWS["closing/code-3000-with-a-reason"]
BETWEEN = ROWS["fragmentation/ping-between-fragments-of-text"]
PINGS = ROWS["pings/3-in-a-row"]
WE_CLOSE = ROWS["closing/we-close-and-they-answer"]
BIG = ROWS["limits/text-one-beyond-1000"]
DEFLATED = ROWS["compression/json-of-256"]
BROKEN = ROWS["deflate/reserved-block-type"]
AGREED = ROWS["negotiation/offer-server-9-client-10"]


def test_every_group_has_its_rows() -> None:
    counts = Counter(row.id.partition("/")[0] for row in TABLE)
    assert counts.keys() == GROUPS.keys() == LEAST.keys()
    assert {group: count for group, count in counts.items() if count < LEAST[group]} == {}


def test_ids_are_speaking_and_different() -> None:
    assert len(ROWS) == len(TABLE)
    assert [row.id for row in TABLE if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9]+(-[a-z0-9]+)*", row.id)] == []


def test_every_row_names_its_rule() -> None:
    assert [row.id for row in TABLE if not re.match(r"RFC (6455|7692) §\d", row.section)] == []


def test_every_violation_has_a_place_that_is_in_the_row() -> None:
    for row in TABLE:
        assert (row.end.error is None) is (row.fault is None), row.id
        if row.fault is not None:
            assert (row.fault.header is None) is not (row.fault.payload is None), row.id
            step = row.steps[row.fault.frame]
            assert isinstance(step, Frame), row.id
            assert row.fault.payload is None or row.fault.payload <= len(step.payload), row.id


def test_a_clean_end_has_the_code_that_the_peer_sent() -> None:
    for row in TABLE:
        codes = [(event.code, event.reason) for event in row.events if isinstance(event, Close)]
        assert codes == ([(row.end.code, row.end.reason)] if row.end.clean else []), row.id


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param([], id="nothing"),
        pytest.param([2], id="one short frame"),
        pytest.param([6, 0, 70], id="nothing between"),
        pytest.param([5000], id="one long frame"),
        pytest.param([3] * 2000, id="many short frames"),
        pytest.param([10, 70_000, 6, 400], id="short and long ones"),
    ],
)
def test_cuts_deliver_every_octet_once(sizes: list[int]) -> None:
    frames = [bytes(size) for size in sizes]
    for style in styles(replace(GOOD, chops=(1, 7, 997))):
        cuts = [0, *style.cut(frames)]
        assert cuts[-1] == sum(sizes), style.name
        assert all(a < b for a, b in pairwise(cuts)), style.name
        if style.exact:
            assert {*accumulate(size for size in sizes if size)} <= {*cuts}, style.name


# The runner fails when anything but what the row says happens


def mismatches(row: Row, role: Role = Role.SERVER) -> list[str]:
    """Play a row in all styles, and return what does not fit."""
    found = []
    script = write(row, role)
    for style in styles(row):
        try:
            play(row, role, style, script)
        except Mismatch as mismatch:
            found.append(f"{style.name}: {mismatch}")
    return found


def end(row: Row, **changes: object) -> Row:
    return replace(row, end=replace(row.end, **changes))  # type: ignore[arg-type]


def fault(row: Row, **changes: int | None) -> Row:
    assert row.fault is not None
    return replace(row, fault=replace(row.fault, **changes))  # type: ignore[arg-type]


MUTATIONS: dict[str, Row] = {
    "another message": replace(GOOD, events=("other", *GOOD.events[1:])),
    "a message of the other type": replace(GOOD, events=(GOOD.steps[0].payload, *GOOD.events[1:])),  # type: ignore[union-attr]
    "one event less": replace(GOOD, events=GOOD.events[1:]),
    "one event more": replace(GOOD, events=(*GOOD.events, "more")),
    "events in another order": replace(
        BETWEEN, events=(BETWEEN.events[1], BETWEEN.events[0], BETWEEN.events[2])
    ),
    "Pong for Ping": replace(BETWEEN, events=(Pong(b"between"), *BETWEEN.events[1:])),
    "another Ping": replace(BETWEEN, events=(Ping(b"else"), *BETWEEN.events[1:])),
    "no answer": replace(GOOD, sent=GOOD.sent[1:]),
    "an answer too many": replace(GOOD, sent=(*GOOD.sent, close(1000))),
    "another answer": replace(GOOD, sent=(text("other"), *GOOD.sent[1:])),
    "an answer of the other type": replace(GOOD, sent=(binary(GOOD.sent[0].payload), *GOOD.sent[1:])),
    "an answer in fragments": replace(GOOD, sent=(replace(GOOD.sent[0], fin=False), *GOOD.sent[1:])),
    "an answer with RSV1": replace(GOOD, sent=(replace(GOOD.sent[0], rsv=4), *GOOD.sent[1:])),
    "an answer compressed where nothing was agreed": replace(
        GOOD, sent=(replace(GOOD.sent[0], deflated=True), *GOOD.sent[1:])
    ),
    "answers in another order": replace(BETWEEN, sent=(BETWEEN.sent[1], BETWEEN.sent[0], BETWEEN.sent[2])),
    "another Pong": replace(BETWEEN, sent=(pong(b"else"), *BETWEEN.sent[1:])),
    "all Pings answered in one read": replace(PINGS, at_once=None),
    "the first Ping answered in one read": replace(PINGS, at_once=(pong(b"payload-0"), close(1000))),
    "only the last Ping answered in many reads": replace(PINGS, sent=(pong(b"payload-2"), close(1000))),
    "another code in our Close": replace(CLOSED, sent=(*CLOSED.sent[:-1], close(1000))),
    "their reason in our Close": replace(CLOSED, sent=(*CLOSED.sent[:-1], close(3000, "because"))),
    "another code of theirs": end(CLOSED, code=3001),
    "another reason of theirs": end(CLOSED, reason="why not"),
    "no clean end": end(CLOSED, clean=False),
    "closed by us": end(CLOSED, initiator=Side.LOCAL),
    "closed by them": end(WE_CLOSE, initiator=Side.PEER),
    "another cause": end(CLOSED, kind=CauseKind.PEER_VANISHED),
    "a stream kept open": end(CLOSED, transport=dict.fromkeys(Role, Transport.KEEP_OPEN)),
    "a clean end of a violation": replace(BAD, end=closed(1002)),
    "no violation": end(BAD, error=None),
    "another rule": end(BAD, error=ControlFrameError),
    "the family of the rule": end(BAD, error=FrameHeaderError.__mro__[1]),
    "another code for the violation": end(BAD, says=1007),
    "no Close for the violation": end(BAD, says=None),
    "a violation that is a matter of size": end(BAD, kind=CauseKind.MESSAGE_TOO_BIG),
    "a violation by us": end(BAD, initiator=Side.LOCAL),
    "a violation an octet earlier": fault(BAD, header=1),
    "a violation an octet later": fault(BAD, header=3),
    "a fault in text an octet earlier": fault(UTF8, payload=12),
    "a fault in text an octet later": fault(UTF8, payload=14),
    "a fault in text at the frame's end": fault(UTF8, payload=19),
    "a size that is a violation": end(BIG, kind=CauseKind.PROTOCOL_ERROR),
    "a size that shows with the payload": replace(BIG, fault=Fault(0, payload=1001)),
    "a limit one higher": replace(BIG, limits=replace(BIG.limits, max_message_size=1001)),  # type: ignore[type-var]
    "a compressed answer expected plain": replace(
        DEFLATED, sent=(replace(DEFLATED.sent[0], deflated=False), *DEFLATED.sent[1:])
    ),
    "another compressed answer": replace(DEFLATED, sent=(text("x", deflated=True), *DEFLATED.sent[1:])),
    "no compression at all": replace(DEFLATED, deflate=None),
    "a broken stream that is bad text": end(BROKEN, error=InvalidUtf8Error),
    "a broken stream an octet later": fault(BROKEN, payload=2),
    "a smaller window in the answer": replace(
        AGREED,
        opening=replace(
            AGREED.opening, answer="permessage-deflate; server_max_window_bits=8; client_max_window_bits=10"
        ),  # type: ignore[type-var]
    ),
    "a parameter less in the answer": replace(
        AGREED,
        opening=replace(AGREED.opening, answer="permessage-deflate; server_max_window_bits=9"),  # type: ignore[type-var]
    ),
    "no extension in the answer": replace(AGREED, opening=replace(AGREED.opening, answer=None)),  # type: ignore[type-var]
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_an_altered_expectation_is_noticed(name: str) -> None:
    assert mismatches(MUTATIONS[name])


@pytest.mark.parametrize(
    "row",
    [GOOD, BAD, UTF8, CLOSED, BETWEEN, PINGS, WE_CLOSE, BIG, DEFLATED, BROKEN, AGREED],
    ids=lambda row: row.id,
)
def test_and_only_an_altered_one(row: Row) -> None:
    assert mismatches(row) == []


def test_the_client_s_stream_stays_open_after_a_clean_end() -> None:
    altered = end(CLOSED, transport=dict.fromkeys(Role, Transport.HALF_CLOSE))
    assert mismatches(altered) == []
    assert mismatches(altered, Role.CLIENT)


WISH = PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15, threshold=0)
FREE = Opening(
    WISH, "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=15"
)
BLOCK = "0aB1cD2eF3gH4iJ5kL6mN7oP"
FAR = f"{BLOCK}{' ' * 600}{BLOCK}"


def conversation(deflate: Deflate, spoken: Squeezer) -> Row:
    frames = [text(spoken.message(message), rsv=4) for message in (FAR, FAR)]
    return passes("x/x", "RFC 7692", frames, [FAR, FAR], deflate=deflate, opening=FREE, roles=(Role.SERVER,))


@pytest.mark.parametrize(
    ("deflate", "spoken"),
    [
        pytest.param(Deflate(our_bits=9), Squeezer(), id="we reach too far back"),
        pytest.param(Deflate(our_takeover=False), Squeezer(), id="we should have forgotten"),
        pytest.param(Deflate(threshold=10_000), Squeezer(), id="we should not have compressed"),
    ],
)
def test_what_was_not_agreed_is_noticed(deflate: Deflate, spoken: Squeezer) -> None:
    assert mismatches(conversation(Deflate(), Squeezer())) == []
    assert mismatches(conversation(deflate, spoken))


def test_a_reply_that_comes_too_late_is_noticed() -> None:
    held = passes(
        "x/x", "RFC 6455", [Call("send_ping", (b"x",)), text("a")], ["a"], sent=[text("a"), ping(b"x")]
    )
    assert mismatches(held)
    assert mismatches(replace(held, sent=(ping(b"x"), text("a"), close(1000)))) == []


def test_what_follows_a_violation_is_part_of_the_row() -> None:
    row = fails("x/x", "RFC 6455", [text("a", rsv=1)], FrameHeaderError, header=2)
    assert row.steps[-1] == text("too late")
    assert mismatches(row) == []
    assert mismatches(replace(row, events=("too late",)))


def test_an_empty_answer_is_an_answer() -> None:
    row = echoes("x/x", "RFC 6455", "")
    assert mismatches(row) == []
    assert mismatches(replace(row, sent=(close(1000),)))


# The tools


def test_the_quick_mask_is_the_obvious_one() -> None:
    for size in range(70):
        payload = bytes(7 * i & 255 for i in range(size))
        assert mask(payload, KEY) == xor(payload, KEY)


def test_the_slow_inflater_reads_what_zlib_writes() -> None:
    data = b"".join(b"%d and %d, " % (i, i * i % 7) for i in range(200))
    tail = b"\x00\x00\xff\xff"
    for level in range(10):
        for strategy in range(5):
            assert inflate.inflate(squeeze(data, level=level, strategy=strategy) + tail)[0] == data


def test_the_slow_inflater_sees_how_far_back_a_stream_reaches() -> None:
    for length, distance in ((3, 1), (10, 3), (258, 257), (257, 24577), (227, 32768)):
        before = bytes(i % 251 for i in range(32768))
        stream = Blocks().stored(before).fixed().match(length, distance).end().message()
        octets, farthest = inflate.inflate(stream + b"\x00\x00\xff\xff")
        assert (len(octets), farthest) == (32768 + length, distance)


BREAKS: dict[str, Callable[[], bytes]] = {
    "reserved block type": lambda: b"\x06",
    "stored block with two lengths": lambda: b"\x00\x01\x00\x01\x00x",
    "distance behind the beginning": lambda: Blocks().fixed().literals(b"a").match(3, 2).end().message(),
    "no such code": lambda: Blocks().fixed().literals(b"abc").symbol(257).code(31, 5).payload(),
    "cut off": lambda: Blocks().fixed().literals(b"abc").payload(),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_slow_inflater_refuses_what_is_no_deflate(name: str) -> None:
    with pytest.raises(ValueError, match=name if name in ("no such code", "cut off") else name.split()[0]):
        inflate.inflate(BREAKS[name]())
