from __future__ import annotations

import re
import time
from contextlib import suppress
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.headers import Headers, field_fault, is_token, lists_token, parse_extensions, split_list

# RFC 9110 §5.6.2
TCHARS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

tokens = st.text(alphabet=TCHARS, min_size=1, max_size=8)
names = st.sampled_from(["Host", "host", "HOST", "Accept", "accept"]) | tokens
fields = st.lists(st.tuples(names, st.text(max_size=5)), max_size=8)
spaces = st.text(alphabet=" \t", max_size=2)


@given(fields, names)
def test_fields_are_found_in_any_case_and_in_order(pairs, name):
    headers = Headers(pairs)
    values = [value for field, value in pairs if field.casefold() == name.casefold()]
    assert headers.get_all(name) == values
    assert headers.has(name) is bool(values)
    assert headers.get(name) == (", ".join(values) if values else None)
    assert list(headers) == pairs


@given(fields)
def test_headers_are_values(pairs):
    headers = Headers(pairs)
    assert headers == Headers(iter(pairs)) == Headers(headers) == tuple(pairs)
    assert hash(headers) == hash(Headers(pairs))
    with pytest.raises(AttributeError):
        headers.name = "value"


def test_headers_from_a_mapping():
    pairs = {"Host": "example.com", "Accept": "*/*"}
    assert Headers(pairs) == Headers(MappingProxyType(pairs)) == tuple(pairs.items())
    assert Headers() == ()


@given(st.text(max_size=4) | tokens)
@example("")
@example("a\n")
@example("é")
@example("Ⅷ")
def test_tokens(text):
    assert is_token(text) is (text != "" and set(text) <= set(TCHARS))


# RFC 9110 §5.5
FIELD_VALUE = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")


@given(tokens | st.text(max_size=3), st.text(max_size=6) | st.text(alphabet="a \t\r\n\0\x7f\x1f\xff\u0100"))
@example("a", "")
@example("a", "\x80\xff")
@example("a", "b\tc d")
@example("", "b")
@example("a:", "b")
@example("a\r\n", "b")
def test_a_field_is_at_fault_or_travels_as_it_is(name, value):
    fault = field_fault(name, value)
    sound = re.fullmatch(
        r"(?s)(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?", value
    )
    if is_token(name) and sound:
        assert fault is None
        assert f"{name}: {value}".encode("latin-1").splitlines() == [f"{name}: {value}".encode("latin-1")]
    else:
        assert fault is not None
        # A fault is shown to people: it must not carry the injected line itself.
        assert "\r" not in fault
        assert "\n" not in fault


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("a b", "c", "header name 'a b' is not a token"),
        ("", "c", "header name '' is not a token"),
        ("a", "b\r\nc: d", "header a has a control character in its value"),
        ("a", "b\0", "header a has a control character in its value"),
        ("a", "b\x7f", "header a has a control character in its value"),
        ("a", " b", "header a begins or ends with a space"),
        ("a", "b\t", "header a begins or ends with a space"),
        ("a", "b\u20ac", "header a has a character outside ISO 8859-1"),
        ("a", "b\tc", None),
        ("a", "", None),
        ("a", "\xe9", None),
    ],
)
def test_the_fault_is_named(name, value, fault):
    assert field_fault(name, value) == fault


@given(st.lists(st.tuples(tokens, st.text(max_size=3)), max_size=8))
def test_by_name(fields):
    headers = Headers(fields)
    found = headers.by_name()
    assert found == {name.lower(): headers.get_all(name) for name, _ in fields}


@given(st.lists(st.tuples(spaces, tokens | st.just(""), spaces), max_size=6))
def test_lists(elements):
    value = ",".join(f"{before}{element}{after}" for before, element, after in elements)
    assert split_list(value) == [element for _, element, _ in elements if element]


@given(st.lists(st.lists(tokens, max_size=3), max_size=3), tokens)
def test_a_token_in_any_line_and_any_case(lines, token):
    headers = Headers([("Other", token), *(("Upgrade", " ,\t".join(line)) for line in lines)])
    listed = {element.lower() for line in lines for element in line}
    assert lists_token(headers.get_all("upgrade"), token.lower()) is (token.lower() in listed)
    for line in lines:
        assert all(lists_token(headers.get_all("UPGRADE"), element.lower()) for element in line)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("keep-alive, Upgrade", True),
        ("websocket, upgrade", True),
        ("UPGRADE", True),
        ("\tupgrade ,", True),
        ("upgrade2", False),
        ("not-upgrade", False),
        ("upgrade/1.0", False),
        ("upgrade;q=1", False),
        ('"upgrade"', False),
        ("", False),
    ],
)
def test_a_token_is_whole(value, found):
    assert lists_token([value], "upgrade") is found


# The grammar of RFC 6455 §9.1, spelt as one expression: slow, but plain. The list may have empty elements
# (RFC 9110 §5.6.1.2), and a quoted value is a token once its backslashes are gone.
_T = "[" + re.escape(TCHARS) + "]"
_PARAMETER = rf'{_T}+(?:[ \t]*=[ \t]*(?:{_T}+|"(?:\\?{_T})+"))?'
_EXTENSION = rf"{_T}+(?:[ \t]*;[ \t]*{_PARAMETER})*"
GRAMMAR = re.compile(rf"[ \t]*(?:{_EXTENSION})?(?:[ \t]*,[ \t]*(?:{_EXTENSION})?)*[ \t]*")


@st.composite
def written_values(draw, value):
    """Write a parameter's value, quoted or not, with needless backslashes."""
    if not draw(st.booleans()):
        return value
    return '"' + "".join(("\\" if draw(st.booleans()) else "") + character for character in value) + '"'


@st.composite
def extension_lists(draw):
    """Draw a list of extensions, and one way to write it."""
    parameters = st.lists(st.tuples(tokens, st.none() | tokens), max_size=3)
    wanted = draw(st.lists(st.tuples(tokens, parameters), max_size=3))
    elements = []
    for name, parameters in wanted:
        parts = [name]
        for parameter, value in parameters:
            equals = draw(spaces) + "=" + draw(spaces)
            parts.append(parameter if value is None else parameter + equals + draw(written_values(value)))
        elements.append((draw(spaces) + ";" + draw(spaces)).join(parts))
        elements.extend(draw(st.lists(spaces, max_size=1)))
    return wanted, draw(spaces) + (draw(spaces) + "," + draw(spaces)).join(elements) + draw(spaces)


@given(extension_lists())
def test_what_is_written_is_read(case):
    wanted, value = case
    assert GRAMMAR.fullmatch(value)
    assert parse_extensions(value) == wanted


@given(
    st.text(alphabet='ab19,;=" \t\\', max_size=14)
    | st.lists(st.sampled_from(["a", "b=1", '"', ",", ";", "=", " ", '"c"', "\\", "ä", "\n", "\0"])).map(
        "".join
    )
)
@example('a;b=""')
@example('a;b="\\"')
@example('a;b="c')
@example('a;b="c d"')
@example("a;b=")
@example("a;")
@example(";a")
@example("=a")
@example('"a"')
@example("a b")
@example("a;b=c=d")
@example("a;b c")
@example('a;b="\\\n"')
def test_what_the_grammar_does_not_allow_is_refused(value):
    if GRAMMAR.fullmatch(value):
        parsed = parse_extensions(value)
        assert all(is_token(name) for name, _ in parsed)
        assert [name for name, _ in parsed] == [
            element.split(";")[0].strip(" \t") for element in value.split(",") if element.strip(" \t")
        ]
    else:
        with pytest.raises(ValueError, match=r"(?:unexpected character|expected) at \d+|must be a token"):
            parse_extensions(value)


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_a_value_error(value):
    try:
        parse_extensions(value)
    except ValueError:
        assert not GRAMMAR.fullmatch(value)


ADVERSARIAL = {
    "spaces": lambda size: " " * size,
    "spaces, then rubbish": lambda size: "a" + " " * size + "\0",
    "tabs between": lambda size: "a;b" + "\t" * size + "=1",
    "commas": lambda size: "," * size,
    "semicolons": lambda size: "a" + ";a" * (size // 2),
    "valued": lambda size: "a" + "; b=1" * (size // 5),
    "offers": lambda size: "a; b=1, " * (size // 8),
    "one long token": lambda size: "a" * size,
    "open quote": lambda size: 'a;b="' + "c" * size,
    "open quotes": lambda size: 'a;b="' + '\\"' * (size // 2),
    "backslashes": lambda size: 'a;b="' + "\\" * size,
    "quoted": lambda size: 'a;b="' + "\\c" * (size // 2) + '"',
    "many quoted": lambda size: "a" + ';b="c"' * (size // 6),
}


def seconds(function, value: str) -> float:
    """Return the least processor time of a few runs."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        function(value)
        times.append(time.thread_time() - start)
    return min(times)


def parse_or_refuse(value: str) -> None:
    with suppress(ValueError):
        parse_extensions(value)


@pytest.mark.parametrize("make", ADVERSARIAL.values(), ids=ADVERSARIAL)
@pytest.mark.parametrize(
    "function",
    [parse_or_refuse, split_list, lambda value: lists_token([value], "b")],
    ids=["parse_extensions", "split_list", "lists_token"],
)
def test_time_is_linear_in_the_size(function, make):
    # Eight times the size takes about eight times as long; were it quadratic, sixty-four times. What takes
    # less than a tenth of a millisecond cannot be measured so, and needs no measuring.
    short = max(seconds(function, make(1 << 12)), 1e-4)
    assert seconds(function, make(1 << 15)) < 24 * short


def test_many_lines_are_joined_in_linear_time():
    def join(value: str) -> None:
        headers = Headers([("a", value)] * len(value))
        headers.get("A")
        headers.has("B")

    short = max(seconds(join, "a" * 200), 1e-4)
    # Here the work is the square of the argument: 64 for 8 times.
    assert seconds(join, "a" * 1600) < 24 * 8 * short


@pytest.mark.parametrize("fields", [[(b"X", "y")], [("X", b"y")], {"X": 1}])
def test_fields_are_text(fields: object) -> None:
    with pytest.raises(TypeError, match="names and values of headers must be str, not"):
        Headers(fields)  # type: ignore[arg-type]


@given(fields)
def test_fields_that_a_parser_made_are_the_same(pairs: list[tuple[str, str]]) -> None:
    assert Headers.of(pairs) == Headers(pairs)
    assert type(Headers.of(pairs)) is Headers


@pytest.mark.parametrize("field", ["ab", b"ab", 7, ("a",), ("a", "b", "c")])
def test_each_field_is_a_pair(field):
    with pytest.raises(TypeError, match="each of headers must be a pair of name and value"):
        Headers([("A", "b"), field])


@pytest.mark.parametrize("field", [(b"a", "b"), ("a", None)])
def test_names_and_values_are_text(field):
    with pytest.raises(TypeError, match="names and values of headers must be str"):
        Headers([field])
