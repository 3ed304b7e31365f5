from __future__ import annotations

import dataclasses
import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.errors import HandshakeError
from edgews.extensions import (
    FIELD,
    Agreement,
    PerMessageDeflate,
    check_answer,
    choose,
    offer,
    offers,
    read_offers,
)
from edgews.headers import Headers, parse_extensions

PLAIN = PerMessageDeflate(server_max_window_bits=15, client_max_window_bits=15)
bits = st.integers(8, 15)
wishes = st.builds(
    PerMessageDeflate,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=bits,
    client_max_window_bits=bits,
)


def field(*values: str) -> Headers:
    return Headers([(FIELD, value) for value in values])


# -- what an endpoint may wish


@given(
    st.sampled_from(["server_max_window_bits", "client_max_window_bits", "level", "mem_level"]), st.integers()
)
@example("server_max_window_bits", 7)
@example("client_max_window_bits", 16)
@example("level", -2)
@example("mem_level", 0)
def test_a_wish_is_what_zlib_and_the_rfc_know(name, value):
    least, most = {"level": (-1, 9), "mem_level": (1, 9)}.get(name, (8, 15))
    if least <= value <= most:
        assert getattr(PerMessageDeflate(**{name: value}), name) == value
    else:
        with pytest.raises(ValueError, match=f"^{name} is {value}; it goes from {least} to {most}$"):
            PerMessageDeflate(**{name: value})


def test_the_threshold_is_a_number_of_bytes():
    assert PerMessageDeflate(threshold=0).threshold == 0
    with pytest.raises(ValueError, match="threshold is -1"):
        PerMessageDeflate(threshold=-1)


def test_wishes_are_shared_and_so_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PerMessageDeflate().level = 9
    with pytest.raises(TypeError):
        PerMessageDeflate(True)


# -- a client's offers


@given(st.lists(wishes, max_size=3))
def test_an_offer_says_what_is_wished(several):
    expected = []
    for wish in several:
        parameters: list[tuple[str, str | None]] = [
            (name, None)
            for name in ("server_no_context_takeover", "client_no_context_takeover")
            if getattr(wish, name)
        ]
        if wish.server_max_window_bits < 15:
            parameters.append(("server_max_window_bits", str(wish.server_max_window_bits)))
        # Always there, for without it the server could not ask for less: RFC 7692 §7.1.2.2.
        value = None if wish.client_max_window_bits == 15 else str(wish.client_max_window_bits)
        parameters.append(("client_max_window_bits", value))
        expected.append(("permessage-deflate", parameters))
    assert parse_extensions(offer(several)) == expected


def test_the_offers_of_the_rfc():
    # RFC 7692 §7: a server that may ignore server_max_window_bits has something to fall back to.
    first = PerMessageDeflate(server_max_window_bits=10, client_max_window_bits=15)
    assert offer([first, PLAIN]) == (
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits,"
        " permessage-deflate; client_max_window_bits"
    )
    assert check_answer(field("permessage-deflate; server_max_window_bits=10"), [first, PLAIN]) == (
        first,
        Agreement(False, False, 10, 15),
    )
    assert check_answer(field("permessage-deflate"), [first, PLAIN]) == (
        PLAIN,
        Agreement(False, False, 15, 15),
    )


# -- a server's choice

SNCT, CNCT = "server_no_context_takeover", "client_no_context_takeover"
SMWB, CMWB = "server_max_window_bits", "client_max_window_bits"
SHORT = {"SNCT": SNCT, "CNCT": CNCT, "SMWB": SMWB, "CMWB": CMWB, "PMD": "permessage-deflate"}


def full(text: str) -> str:
    return re.sub("|".join(SHORT), lambda found: SHORT[found[0]], text)


ACCEPTED = [
    # offered, answered by a server that wishes for nothing, what was agreed
    ("PMD", "PMD", (False, False, 15, 15)),
    ("PMD; SNCT", "PMD; SNCT", (True, False, 15, 15)),
    ("PMD; CNCT", "PMD; CNCT", (False, True, 15, 15)),
    ("PMD; SMWB=8", "PMD; SMWB=8", (False, False, 8, 15)),
    ("PMD; SMWB=15", "PMD; SMWB=15", (False, False, 15, 15)),
    ("PMD; CMWB", "PMD; CMWB=15", (False, False, 15, 15)),
    ("PMD; CMWB=8", "PMD; CMWB=8", (False, False, 15, 8)),
    ('PMD; CMWB="9"', "PMD; CMWB=9", (False, False, 15, 9)),
    ('PMD; SMWB="1\\0"', "PMD; SMWB=10", (False, False, 10, 15)),
    ("PMD; CMWB; SMWB=10", "PMD; SMWB=10; CMWB=15", (False, False, 10, 15)),
    ("PMD; CMWB=9; SMWB=10; CNCT; SNCT", "PMD; SNCT; CNCT; SMWB=10; CMWB=9", (True, True, 10, 9)),
    ("  PMD\t;\tCMWB = 9  ", "PMD; CMWB=9", (False, False, 15, 9)),
    # Fallbacks: the first that can be accepted is.
    ("PMD; CMWB; SMWB=10, PMD; CMWB", "PMD; SMWB=10; CMWB=15", (False, False, 10, 15)),
    ("PMD; SMWB=7, PMD", "PMD", (False, False, 15, 15)),
    ("PMD; what, PMD; SMWB=10", "PMD; SMWB=10", (False, False, 10, 15)),
    ("x-webkit-deflate-frame, PMD", "PMD", (False, False, 15, 15)),
    ("foo; SMWB=8, bar, PMD; SNCT, PMD", "PMD; SNCT", (True, False, 15, 15)),
    (",PMD,", "PMD", (False, False, 15, 15)),
]

DECLINED = [
    "",
    " , ",
    "permessage-bzip2",
    "x-webkit-deflate-frame; no_context_takeover",
    "PMD2",
    # unknown
    "PMD; what",
    "PMD; what=1",
    "PMD; server_max_window_bit=10",
    "PMD; Server_No_Context_Takeover2",
    # repeated
    "PMD; SNCT; SNCT",
    "PMD; CNCT; CNCT",
    "PMD; SMWB=10; SMWB=10",
    "PMD; CMWB; CMWB",
    "PMD; CMWB; CMWB=10",
    # flags with a value
    "PMD; SNCT=1",
    "PMD; SNCT=true",
    'PMD; CNCT="x"',
    # bits without a value, out of range, or not in decimal without a leading zero
    "PMD; SMWB",
    *(f"PMD; {name}={value}" for name in ("SMWB", "CMWB") for value in (0, 1, 7, 16, 99, 256, -8)),
    *(
        f"PMD; {name}={value}"
        for name in ("SMWB", "CMWB")
        for value in ("08", "09", "010", "+9", "abc", "9.0", "1e1", "0x9", "8_", "1_0", '"08"', '"+9"')
    ),
    # one bad parameter among good ones
    "PMD; SNCT; SMWB=10; what",
    "PMD; what; SNCT",
]

MALFORMED = [
    "PMD;",
    "PMD; ;",
    ";PMD",
    "=PMD",
    "PMD SNCT",
    "PMD; SMWB=",
    "PMD; SMWB==10",
    "PMD; SMWB=10=10",
    'PMD; SMWB="10',
    'PMD; SMWB=""',
    'PMD; SMWB="1 0"',
    "PMD; SMWB=\u0661\u0660",
    "PMD; SMWB=10/",
    "PMD; (comment)",
    "PMD\0",
    "PMD\r\n",
]


@pytest.mark.parametrize(("offered", "answered", "agreed"), ACCEPTED)
def test_offers_that_are_accepted(offered, answered, agreed):
    assert choose(field(full(offered)), PLAIN) == (full(answered), Agreement(*agreed))
    # The very same field may come in several lines: RFC 6455 §9.1.
    assert choose(field(*full(offered).split(",")), PLAIN) == (full(answered), Agreement(*agreed))


@pytest.mark.parametrize("offered", DECLINED)
def test_offers_that_are_declined(offered):
    assert choose(field(full(offered)), PLAIN) == (None, None)
    # And what is declined leaves the next offer its chance.
    answer, agreement = choose(field(full(offered) + full(", PMD; CNCT")), PLAIN)
    assert (answer, agreement) == (full("PMD; CNCT"), Agreement(False, True, 15, 15))


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize("wish", [PLAIN, None], ids=["wished", "not wished"])
def test_a_malformed_field_is_refused(value, wish):
    with pytest.raises(HandshakeError, match=f"^{FIELD} is malformed: ") as caught:
        choose(field(full(value)), wish)
    assert (caught.value.status, caught.value.header) == (400, FIELD)
    with pytest.raises(HandshakeError, match=f"^{FIELD} is malformed: ") as caught:
        check_answer(field(full(value)), [PLAIN])
    assert caught.value.header == FIELD


def test_without_a_field_or_a_wish_nothing_is_agreed():
    assert choose(Headers(), PLAIN) == (None, None)
    assert choose(field("permessage-deflate"), None) == (None, None)
    assert check_answer(Headers(), [PLAIN]) == (None, None)
    assert check_answer(Headers(), []) == (None, None)
    assert check_answer(field(""), [PLAIN]) == (None, None)


@pytest.mark.parametrize(
    ("wish", "offered", "answered", "agreed"),
    [
        ({}, "PMD", "PMD; SMWB=12", (False, False, 12, 15)),
        ({}, "PMD; CMWB", "PMD; SMWB=12; CMWB=12", (False, False, 12, 12)),
        ({}, "PMD; CMWB=9; SMWB=9", "PMD; SMWB=9; CMWB=9", (False, False, 9, 9)),
        ({}, "PMD; CMWB=15; SMWB=15", "PMD; SMWB=12; CMWB=12", (False, False, 12, 12)),
        # §7.1.2.2: without client_max_window_bits in the offer, it must not be in the answer.
        ({"client_max_window_bits": 8}, "PMD", "PMD; SMWB=12", (False, False, 12, 15)),
        # §7.1.1: the server may ask for both on its own.
        ({SNCT: True}, "PMD", "PMD; SNCT; SMWB=12", (True, False, 12, 15)),
        ({CNCT: True}, "PMD", "PMD; CNCT; SMWB=12", (False, True, 12, 15)),
    ],
)
def test_a_server_with_wishes(wish, offered, answered, agreed):
    assert choose(field(full(offered)), PerMessageDeflate(**wish)) == (full(answered), Agreement(*agreed))


some_parameters = st.lists(
    st.tuples(st.sampled_from([SNCT, CNCT]), st.none())
    | st.tuples(st.sampled_from([SMWB, CMWB]), st.none() | bits.map(str) | st.sampled_from(["7", "16", "08"]))
    | st.just(("what", None)),
    max_size=4,
)


def is_valid(parameters: list[tuple[str, str | None]]) -> bool:
    """Say whether a server may accept an offer: RFC 7692 §7.1."""
    names = [name for name, _ in parameters]
    if len(set(names)) < len(names) or "what" in names:
        return False
    given_bits = {name: value for name, value in parameters if name in (SMWB, CMWB)}
    return given_bits.get(SMWB, "15") in map(str, range(8, 16)) and (
        given_bits.get(CMWB) is None or given_bits[CMWB] in map(str, range(8, 16))
    )


@given(st.lists(some_parameters, max_size=3), wishes)
def test_an_answer_keeps_to_the_first_valid_offer(offers, wish):
    value = ", ".join(
        "; ".join(["permessage-deflate", *(n if v is None else f"{n}={v}" for n, v in parameters)])
        for parameters in offers
    )
    answer, agreed = choose(field(value), wish)
    valid = [dict(parameters) for parameters in offers if is_valid(parameters)]
    if not valid:
        assert (answer, agreed) == (None, None)
        return
    first = valid[0]
    assert answer is not None
    assert agreed is not None
    ((name, parameters),) = parse_extensions(answer)
    answered = dict(parameters)
    assert name == "permessage-deflate"
    assert len(answered) == len(parameters)
    # What the answer says is what was agreed; what it leaves out has the RFC's default.
    assert agreed == Agreement(
        SNCT in answered, CNCT in answered, int(answered.get(SMWB, 15)), int(answered.get(CMWB, 15))
    )
    # The demands of the offer are kept ...
    assert SNCT in answered or SNCT not in first
    assert SMWB in answered or SMWB not in first
    assert agreed.server_max_window_bits <= int(first.get(SMWB) or 15)
    assert agreed.client_max_window_bits <= int(first.get(CMWB) or 15)
    assert CMWB in first or CMWB not in answered
    # ... and so are the server's own.
    assert agreed.server_no_context_takeover >= wish.server_no_context_takeover
    assert agreed.client_no_context_takeover >= wish.client_no_context_takeover
    assert agreed.server_max_window_bits <= wish.server_max_window_bits
    assert agreed.client_max_window_bits <= wish.client_max_window_bits or CMWB not in first


# -- a client's check of the answer


@given(st.lists(wishes, min_size=1, max_size=3), wishes)
def test_our_server_always_satisfies_our_client(several, wish):
    answer, agreed = choose(field(offer(several)), wish)
    assert answer is not None
    accepted, understood = check_answer(field(answer), several)
    assert understood == agreed
    assert accepted in several


@pytest.mark.parametrize(
    ("wish", "answered", "agreed"),
    [
        ({}, "PMD; SMWB=12", (False, False, 12, 15)),
        ({}, "PMD; SMWB=8; CMWB=8", (False, False, 8, 8)),
        ({}, "PMD; SMWB=12; SNCT; CNCT", (True, True, 12, 15)),
        ({}, 'PMD; SMWB="12"', (False, False, 12, 15)),
        ({SMWB: 15}, "PMD", (False, False, 15, 15)),
        ({SNCT: True}, "PMD; SNCT; SMWB=12; CMWB=12", (True, False, 12, 12)),
        # §7.1.1.2: it was a hint, and the server may ignore it.
        ({CNCT: True}, "PMD; SMWB=12", (False, False, 12, 15)),
    ],
)
def test_answers_within_the_offer(wish, answered, agreed):
    asked = PerMessageDeflate(**wish)
    assert check_answer(field(full(answered)), [asked]) == (asked, Agreement(*agreed))


@pytest.mark.parametrize(
    ("wish", "answered", "fault"),
    [
        ({}, "permessage-bzip2", "chose the extension permessage-bzip2, which was not offered"),
        ({}, "PMD; SMWB=12, PMD; SMWB=12", "more than one extension"),
        ({}, "PMD; SMWB=12, foo", "more than one extension"),
        ({}, "PMD; SMWB=12; what", "are invalid"),
        ({}, "PMD; SMWB=12; SMWB=12", "are invalid"),
        ({}, "PMD; SMWB", "are invalid"),
        ({}, "PMD; SMWB=7", "are invalid"),
        ({}, "PMD; SMWB=012", "are invalid"),
        ({}, "PMD; SMWB=12; SNCT=1", "are invalid"),
        # §7.1.2.2: in an answer it has a value.
        ({}, "PMD; SMWB=12; CMWB", "are invalid"),
        ({}, "PMD; SMWB=13", "go beyond what was offered"),
        ({}, "PMD", "go beyond what was offered"),
        ({}, "PMD; SMWB=12; CMWB=13", "go beyond what was offered"),
        ({SNCT: True}, "PMD; SMWB=12", "go beyond what was offered"),
    ],
)
def test_answers_beyond_the_offer(wish, answered, fault):
    with pytest.raises(HandshakeError, match=fault) as caught:
        check_answer(field(full(answered)), [PerMessageDeflate(**wish)])
    assert caught.value.header == FIELD


def test_an_extension_nobody_asked_for():
    with pytest.raises(HandshakeError, match="permessage-deflate, which was not offered"):
        check_answer(field("permessage-deflate"), [])


def test_an_answer_may_fit_a_later_offer_alone():
    small = PerMessageDeflate(server_max_window_bits=9)
    assert check_answer(field("permessage-deflate; server_max_window_bits=15"), [small, PLAIN])[0] is PLAIN


@given(
    st.lists(
        st.text(max_size=40)
        | st.lists(st.sampled_from([*SHORT.values(), "=", ";", ",", " ", '"', "\\", "8", "08", "16"])).map(
            "".join
        ),
        max_size=3,
    ),
    st.none() | wishes,
)
def test_any_field_is_answered_or_a_handshake_error(values, wish):
    with suppress(HandshakeError):
        answer, agreed = choose(field(*values), wish)
        assert (answer is None) is (agreed is None)
    with suppress(HandshakeError):
        accepted, agreed = check_answer(field(*values), [wish] if wish else [])
        assert accepted in (None, wish)
        assert (accepted is None) is (agreed is None)


@given(st.lists(wishes, max_size=4))
def test_offers_are_read_as_the_wishes_that_they_were(several):
    found = read_offers(field(*([offer(several)] if several else [])))
    assert [offer([wish]) for wish in found] == [offer([wish]) for wish in several]


def test_offers_that_are_none_are_left_out():
    offers = "foo, permessage-deflate; 08, permessage-deflate; server_max_window_bits=9"
    assert read_offers(field(offers)) == [
        PerMessageDeflate(server_max_window_bits=9, client_max_window_bits=15)
    ]
    with pytest.raises(ValueError, match="expected"):
        read_offers(field("a;;"))


def test_offers_of_a_client():
    one, other = PerMessageDeflate(), PLAIN
    assert offers(None) == ()
    assert offers(one) == (one,)
    assert offers([one, other]) == (one, other)


@pytest.mark.parametrize("wrong", ["deflate", True, [PLAIN, None], ["permessage-deflate"]])
def test_what_is_no_offer_is_refused(wrong):
    with pytest.raises(TypeError, match="compression must be a PerMessageDeflate, several or None"):
        offers(wrong)
