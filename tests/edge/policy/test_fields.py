"""Fields: what each one says of a request or a message."""

from __future__ import annotations

from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.cel import Expression, Scope
from edgews.edge.policy.fields import FIELDS, Characteristics, Kind, MessageFacts, UpgradeFacts
from edgews.edge.policy.normalize import Target
from edgews.headers import Headers

pytestmark = pytest.mark.edge

tokens = st.text(st.sampled_from("abcXYZ-1"), min_size=1, max_size=5)
latin = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=8)
facts = st.builds(
    UpgradeFacts,
    method=st.just("GET"),
    target=st.builds(Target, path=st.just("/p"), query=st.none() | st.text("ab=&%+c", max_size=12)),
    headers=st.lists(
        st.tuples(tokens | st.sampled_from(["Host", "Cookie", "Origin"]), latin), max_size=6
    ).map(Headers),
    client=st.none() | st.just("192.0.2.1"),
    secure=st.booleans(),
    ray_id=tokens,
    country=st.none() | st.just("DE"),
    asn=st.none() | st.integers(0, 2**32 - 1),
)
messages = st.builds(
    MessageFacts,
    data=st.binary(max_size=5) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    size=st.integers(0, 2**40),
    messages=st.integers(1, 2**40),
    age=st.floats(0, 1e9) | st.integers(0, 100).map(float),
)
TYPES = {Kind.TEXT: str, Kind.NUMBER: (int, float), Kind.FLAG: bool, Kind.MAP: dict}
NULLABLE = {"ip.src", "ip.src.country", "ip.src.asnum"}


def request(
    *headers: tuple[str, str], query: str | None = None, client: str | None = "192.0.2.1"
) -> UpgradeFacts:
    return UpgradeFacts("GET", Target("/chat", query), Headers(headers), client, True, "ray")


@given(facts, messages)
def test_every_field_has_a_value_of_its_kind_that_the_evaluator_takes(
    facts: UpgradeFacts, message: MessageFacts
) -> None:
    scope = Scope({})
    for field in FIELDS.values():
        value = field.read(message if field.of_message else facts)
        if value is None:
            assert field.name in NULLABLE
        else:
            assert isinstance(value, TYPES[field.kind])  # type: ignore[arg-type]
        scope.set(field.variable, value)
        assert Expression(field.variable).evaluate(scope) == value
        assert len(field.variable) == len(field.name)
        assert field.summary


def test_no_two_fields_are_one_variable() -> None:
    assert len({field.variable for field in FIELDS.values()}) == len(FIELDS)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com:443", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:80", "example.com"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ],
)
def test_a_host_has_one_name(host: str, name: str) -> None:
    assert FIELDS["http.host"].read(request(("host", host))) == name


def test_what_is_not_there_is_empty() -> None:
    for name in ("http.host", "http.user_agent", "http.referer", "http.origin", "http.x_forwarded_for"):
        assert FIELDS[name].read(request()) == ""
    assert FIELDS["http.request.uri.query"].read(request()) == ""
    assert FIELDS["message.text"].read(MessageFacts(b"x", 1, 1, 0)) == ""
    for name in ("args", "cookies", "headers"):
        field = FIELDS.get(f"http.request.{name}") or FIELDS[f"http.request.uri.{name}"]
        assert field.read(request()) == {}


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("User-Agent", "user_agent"),
        ("Referer", "referer"),
        ("Origin", "origin"),
        ("X-Forwarded-For", "x_forwarded_for"),
    ],
)
def test_header_fields(field: str, name: str) -> None:
    assert FIELDS[f"http.{name}"].read(request((field.upper(), "a"), (field, "b"))) == "a, b"


def test_the_target() -> None:
    facts = request(query="a=1")
    assert FIELDS["http.request.uri"].read(facts) == "/chat?a=1"
    assert FIELDS["http.request.uri.path"].read(facts) == "/chat"
    assert FIELDS["http.request.uri.query"].read(facts) == "a=1"
    assert FIELDS["http.request.method"].read(facts) == "GET"
    assert FIELDS["ray_id"].read(facts) == "ray"
    assert FIELDS["ssl"].read(facts) is True


pairs = st.lists(st.tuples(st.text("ab é&=%+", max_size=4), st.text("ab é&=%+", max_size=4)), max_size=4)


@given(pairs)
def test_arguments_are_decoded(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs)
    wanted: dict[str, list[str]] = {}
    for name, value in pairs:
        wanted.setdefault(name, []).append(value)
    assert FIELDS["http.request.uri.args"].read(request(query=query)) == wanted


def test_cookies_and_headers() -> None:
    facts = request(("Cookie", "a=1; b=x=y;junk; a=2"), ("cookie", " c = "), ("X-A", "1"), ("x-a", "2"))
    assert FIELDS["http.request.cookies"].read(facts) == {"a": ["1", "2"], "b": ["x=y"], "c": [""]}
    assert FIELDS["http.request.headers"].read(facts) == {
        "cookie": ["a=1; b=x=y;junk; a=2", " c = "],
        "x-a": ["1", "2"],
    }


def test_messages() -> None:
    text, binary = MessageFacts("é", 2, 7, 1), MessageFacts(b"\xff", 1, 8, 2.5)
    names = ("message.type", "message.text", "message.size", "connection.messages", "connection.age")
    assert [FIELDS[name].read(text) for name in names] == ["text", "é", 2, 7, 1.0]
    assert [FIELDS[name].read(binary) for name in names] == ["binary", "", 1, 8, 2.5]


def test_characteristics() -> None:
    facts = request(("Host", "h"), ("X-Key", "k"), ("X-Key", "l"), ("Cookie", "id=7"), query="a=1")
    names = [
        "ip.src",
        "ip.src.asnum",
        "http.host",
        'http.request.headers["x-key"]',
        "http.request.headers['x-none']",
        'http.request.cookies["id"]',
        'http.request.uri.args["a"]',
    ]
    characteristics = Characteristics(names)
    assert characteristics.names == tuple(names)
    assert characteristics.key(facts) == ("192.0.2.1", "", "h", "k, l", "", "7", "1")
    assert Characteristics([]).key(facts) == ()
    assert Characteristics(["ip.src"]).key(request(client=None)) == ("",)
    assert Characteristics(["ip.src"]).key(request(client="2001:db8::1")) == ("2001:db8::/64",)
    assert Characteristics(['http.request.headers["X-Key"]']).key(facts) == ("k, l",)
    assert Characteristics(['http.request.cookies["ID"]']).key(facts) == ("",)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "message.size",
        "http.request.headers",
        'http.host["a"]',
        "http.request.headers[a]",
        "http.request.headers[",
        'http.request.headers["a',
        "http.request.headers[\"a']",
        'http.request.headers[""]',
        'http.request.headers["a"].b',
    ],
)
def test_what_tells_nobody_apart(name: str) -> None:
    with pytest.raises(ValueError, match=r"nothing to tell|names no entry"):
        Characteristics([name])
