"""Expressions: CEL over fields, with everything looked up before the first request."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.cel import EvaluationError, Scope
from edgews.edge.policy.expressions import ExpressionError, compile_expression, functions
from edgews.edge.policy.fields import FIELDS, MessageFacts, UpgradeFacts
from edgews.edge.policy.lists import NetworkList, Networks, TextList
from edgews.edge.policy.normalize import normalize
from edgews.headers import Headers

pytestmark = pytest.mark.edge

LISTS = {
    "office": NetworkList(Networks(["192.0.2.0/24", "2001:db8::/32"])),
    "hosts": TextList(frozenset({"a.example", "b.example"})),
}


def facts(client: str | None = "192.0.2.1") -> UpgradeFacts:
    headers = Headers(
        [
            ("Host", "A.example"),
            ("User-Agent", "curl/8"),
            ("X-A", "1"),
            ("X-A", "2"),
            ("Cookie", "id=7"),
        ]
    )
    return UpgradeFacts("GET", normalize("/chat/1?a=1&a=2"), headers, client, True, "ray")


def evaluate(source: str, client: str | None = "192.0.2.1", message: MessageFacts | None = None) -> Any:
    compiled = compile_expression(source, of_message=message is not None, lists=LISTS)
    scope = Scope(functions(LISTS))
    for field in compiled.fields:
        scope.set(field.variable, field.read(message if field.of_message else facts(client)))
    return compiled.evaluate(scope)


def place(source: str, **options: bool) -> tuple[int, int, str]:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, lists=LISTS, **options)
    return caught.value.line, caught.value.column, caught.value.problem


TRUE = [
    'http.host == "a.example"',
    'http.request.uri.path.startsWith("/chat/") && http.request.uri == "/chat/1?a=1&a=2"',
    'http . request .uri. path == "/chat/1"',
    'http.request.uri.query.contains("a=2") || false',
    'http.request.uri.path.endsWith("/1")',
    'http.user_agent.matches("(?i)^CURL/[0-9]+$")',
    r"""http.user_agent.matches(r"^curl/\d$") && !http.host.matches("^b") && http.host.matches('^\x61')""",
    'http.request.headers["x-a"] == ["1", "2"] && http.request.headers["x-a"][1] == "2"',
    'http.request.headers.values("x-a").exists(v, v == "2")',
    '!http.request.headers.values("x-none").exists(v, true)',
    "has(http.request.cookies.id) && !has(http.request.cookies.none)",
    '"id" in http.request.cookies && http.request.cookies.id[0] == "7"',
    'http.request.uri.args.all(name, name == "a")',
    "http.request.headers.map(n, n.size()).exists(size, size == 3)",
    "[1, 2].filter(x, x > 1).all(y, [y].exists_one(z, z == y))",
    "size(http.request.uri.args['a']) == 2 && int('7') == 7 && string(1) == '1' && double('1.5') > 1.0",
    "ip.src in $office",
    "!(ip.src in $office) == false",
    "ssl && ip.src in $office && (ip.src in $office)",
    "ssl ? ip.src in $office : false",
    "[ip.src in $office, ssl][0]",
    "lower(http.host) in $hosts",
    "(http.host + '') in $hosts",
    "http.request.headers['host'][0].size() == 9",
    "lower(http.request.headers['host'][0]) in $hosts",
    '["a.example"][0] in $hosts',
    '"a.example" in $hosts',
    "!('A.EXAMPLE' in $hosts)",
    '{"k": ["a.example"]}["k"][0] in $hosts',
    '[["a.example"]][0][0] in $hosts',
    'http.host in ["a.example"]',
    'cidr(ip.src, "192.0.2.0/24") && cidr(ip.src, ["10.0.0.0/8", "192.0.2.1"])',
    'cidr(ip.src, "::/0", "0.0.0.0/0")',
    '!cidr(ip.src, "10.0.0.0/8")',
    "ip.src.country == null && ip.src.asnum != 64496 && !(ip.src.country in $hosts)",
    'lower("É") == "é" // in $none http.none',
    "\"$none ; http.none 'in' $x\" != 'a\\'b'",
    "ray_id == 'ray' &&\n  http.request.method == 'GET'",
    "[1].exists(none, none == 1)",
]


@pytest.mark.parametrize("source", TRUE)
def test_true(source: str) -> None:
    assert evaluate(source) is True


@pytest.mark.parametrize(
    "source",
    [
        "message.type == 'text' && message.size == 2 && message.text == 'é'",
        "connection.messages > 3 && connection.age < 2.5 && http.host == 'a.example'",
    ],
)
def test_true_of_a_message(source: str) -> None:
    assert evaluate(source, message=MessageFacts("é", 2, 7, 2)) is True
    assert place(source)[2].endswith("is known of messages only")


@pytest.mark.parametrize(
    ("source", "line", "column", "says"),
    [
        ("", 1, 1, ""),
        ("http.host ==", 1, 13, ""),
        ("http.host == 'a' &&\n ) ssl", 2, 2, ""),
        ("ip.src in $office $", 1, 19, ""),
        ("http.hots == 'a'", 1, 1, "no field http.hots, is it http.host?"),
        ("ssl && http == 1", 1, 8, "no field http"),
        ("ssl && http['host'] == 1", 1, 8, "no field http"),
        ("ssl ||\n  nothing", 2, 3, "no field nothing"),
        ("http.host.name == 'a'", 1, 1, "no field http.host.name"),
        ("ip.src.foo.startsWith('a')", 1, 1, "no field ip.src.foo"),
        ("[1].all(x, x < y)", 1, 16, "no field y"),
        ("[1].all(x, x < 2) && x == 1", 1, 22, "no field x"),
        ("ssl && nosuch(1)", 1, 8, "no function nosuch"),
        ("among(ip.src, 'office')", 1, 1, "no function among"),
        ("re2find('a', 'b')", 1, 1, "no function re2find"),
        ("matches('a', 'b')", 1, 1, "no function matches"),
        ("Lower(http.host) == 'a'", 1, 1, "no function Lower, is it lower?"),
        ("http.host.beginsWith('a')", 1, 11, "no method beginsWith"),
        ("http.host.re2find('a')", 1, 11, "no method re2find"),
        ("http.host.startswith('a')", 1, 11, "no method startswith, is it startsWith?"),
        ("http.host.matches('(a')", 1, 19, "no pattern"),
        ("http.host.matches(http.origin)", 1, 19, "pattern in quotes"),
        ("http.host.matches('a' + http.origin)", 1, 19, "pattern in quotes"),
        ("http.host.matches(b'a')", 1, 19, "pattern in quotes"),
        ("http.host.matches()", 1, 19, "pattern in quotes"),
        ("cidr(ip.src, '10.0.0.1/8')", 1, 14, "host bits"),
        ("cidr(ip.src, ['::/0', b'a'])", 1, 23, ""),
        ("ip.src in $nothing", 1, 11, "no list nothing"),
        ("ip.src in $offices", 1, 11, "no list offices, is it office?"),
        ("$office == ip.src", 1, 1, "behind `in`"),
        ("cidr(ip.src, $office)", 1, 14, "behind `in`"),
        ("!ip.src in $office", 1, 9, "parentheses"),
        ("ssl == ip.src in $office", 1, 15, "parentheses"),
        ("'a' + http.host in $hosts", 1, 17, "parentheses"),
        ("'a' in (ip.src) in $hosts", 1, 17, "parentheses"),
        ("has(http.host)", 1, 5, "has() asks"),
        ("[1].all(http, true)", 1, 9, "cannot be the name"),
        ("[1].all(http_host, true)", 1, 9, "cannot be the name"),
        ("[1].all(_x, true)", 1, 9, "cannot be the name"),
        ("_office == 1", 1, 1, "no field _office"),
        (".http.host == 'a'", 1, 1, ""),
        ("http_host == 'a'", 1, 1, "no field http_host, is it http.host?"),
        ("message{a: 1} == 1", 1, 1, "no field message"),
        ("ssl\n  and ssl", 2, 3, "unexpected and, is it &&?"),
        ("http.host eq 'a'", 1, 11, "unexpected eq, is it ==?"),
        ("http.host = 'a'", 1, 11, "unexpected =, is it ==?"),
        ("http.host contains 'a'", 1, 11, "is it .contains(...)?"),
        ("http.host like 'a'", 1, 11, "unexpected like"),
        ("[1].all(x, [2].all(y, [3].all(z, z > y)))", 1, 27, "all stands too deep"),
        ("[1].all(x, [2].map(y, y) == [3].map(y, [4].map(z, z)))", 1, 44, "map stands too deep"),
        (
            "[1].all(x, [2].all(y, http.request.headers.values('a') == []))",
            1,
            44,
            "values stands too deep",
        ),
    ],
)
def test_wrong(source: str, line: int, column: int, says: str) -> None:
    found = place(source)
    assert found[:2] == (line, column)
    assert says in found[2]


def test_an_error_points_at_its_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("ssl &&\n  http.none")
    assert (
        str(caught.value)
        == "line 2, column 3: there is no field http.none, is it http.origin?\n    http.none\n    ^"
    )
    with pytest.raises(ExpressionError, match=r"^line 1, column 1: .*\n  \n  \^$"):
        compile_expression("")


def test_an_expression_that_is_too_long_once_it_is_rewritten() -> None:
    assert "longer" in place(" || ".join(["ip.src in $office"] * 190))[2]


@pytest.mark.parametrize(
    "source",
    [
        "http.request.headers['x-none'] == ['a']",
        "http.request.cookies.none == ['a']",
        "ip.src.asnum > 5",
        "http.host > 5",
        "lower(5)",
        "lower()",
        "lower(http.request.headers)",
        "5 in $office",
        "5 in $hosts",
        "cidr()",
        "cidr(ip.src)",
        "cidr(5, '10.0.0.0/8')",
        "cidr(http.host, '10.0.0.0/8')",
        "cidr(ip.src, http.host)",
        "cidr(ip.src, 5)",
        "http.host.values('a')",
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_or_null(source: str) -> None:
    """So it is never true, and neither is its opposite."""
    for asked in (source, f"!({source})"):
        try:
            value = evaluate(asked)
        except EvaluationError:
            continue
        assert value is None


def test_a_client_without_an_address_is_nowhere() -> None:
    assert evaluate("ip.src in $office || cidr(ip.src, '0.0.0.0/0', '::/0')", client=None) is False


@given(
    st.ip_addresses(), st.lists(st.sampled_from(["10.0.0.0/8", "0.0.0.0/1", "::/1", "fc00::/7"]), min_size=1)
)
def test_networks_are_those_of_the_standard_library(address: Any, networks: list[str]) -> None:
    texts = ", ".join(f'"{network}"' for network in networks)
    plain = getattr(address, "ipv4_mapped", None) or ip_address(str(address))
    wanted = any(plain in ip_network(network) for network in networks)
    assert evaluate(f"cidr(ip.src, {texts})", client=str(address)) is wanted
    assert evaluate(f"cidr(ip.src, [{texts}])", client=str(address)) is wanted


HOLD = (
    "http.host == 'a.example'",
    "(ip.src in $office)",
    "lower(http.host) in $hosts",
    "http.request.uri.path.matches('^/chat')",
    "ssl",
)
DO_NOT_HOLD = ("http.host == 'b'", "[1, 2].exists(x, x == 3)")
atoms = st.sampled_from((*HOLD, *DO_NOT_HOLD, "!ssl"))
trees = st.recursive(
    atoms,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds("!({})".format, inner)
    ),
    max_leaves=6,
)


@given(trees)
def test_what_is_put_together_means_what_its_parts_mean(source: str) -> None:
    """Python's own evaluation of the same tree, with each atom's value in its place."""
    plain = source
    for atom in HOLD:
        plain = plain.replace(atom, " True ")
    for atom in DO_NOT_HOLD:
        plain = plain.replace(atom, " False ")
    plain = plain.replace("!", " not ").replace("&&", " and ").replace("||", " or ")
    assert evaluate(source) is eval(plain.strip())


WORDS = (
    *(
        "http.host",
        "ip.src",
        "in",
        "$office",
        "$",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "'a'",
        '"',
        "&&",
        "!",
        ".",
        ",",
    ),
    *("x", "matches", "exists", "has", "cidr", "1", "==", "//", "r'", "?", ":"),
)


@given(st.text(max_size=30) | st.lists(st.sampled_from([*WORDS, "\n", " "]), max_size=12).map("".join))
def test_any_text_is_an_expression_or_says_where_it_is_none(source: str) -> None:
    try:
        compile_expression(source, of_message=True, lists=LISTS)
    except ExpressionError as error:
        place = (error.line, error.column)
    else:
        return
    assert min(place) >= 1
    assert place[0] <= source.count("\n") + 1


def test_an_expression_knows_its_fields() -> None:
    compiled = compile_expression("ssl && http.host == 'a' && !ssl")
    assert compiled.fields == (FIELDS["ssl"], FIELDS["http.host"])
    assert compiled.source == "ssl && http.host == 'a' && !ssl"


@pytest.mark.parametrize(
    ("source", "entries"),
    [
        ("http.request.headers['x'] == ['a']", {"x"}),
        ("http.request.headers['x'][0] == 'a' && has(http.request.headers.y)", {"x", "y"}),
        ("http.request.headers.y[0] == 'a'", {"y"}),
        ("'x' in http.request.headers || \"z\" in http.request.headers", {"x", "z"}),
        ("'a' + 'x' in http.request.headers", None),
        ("http.request.headers.values('\\x61').size() == 0", {"a"}),
        ("http.request.headers.values(http.host).size() == 0", None),
        ("http.request.headers.values('a' + 'b').size() == 0", None),
        ("http.request.headers['a' + 'b'].size() == 0", None),
        ("http.request.headers[http.host].size() == 0", None),
        ("http.request.headers[b'a'] == []", None),
        ("http.host in http.request.headers", None),
        ("http.host in http.request.headers['x']", {"x"}),
        ("'a' in http.request.headers.x", {"x"}),
        ("http.request.headers.exists(name, name == 'a')", None),
        ("http.request.headers == {}", None),
        ("http.request.headers['x'] == [] || size(http.request.headers) == 0", None),
        ("http.host == 'a'", None),
    ],
)
def test_an_expression_knows_the_entries_of_a_map_that_it_asks_for(
    source: str, entries: set[str] | None
) -> None:
    assert compile_expression(source).entries.get(FIELDS["http.request.headers"]) == entries
