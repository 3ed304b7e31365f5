"""Fields that pass the gateway, and those that do not, whoever sends them under whatever spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.forwarding.headers import (
    HOP_BY_HOP,
    IDENTITY,
    KEPT,
    MAX_RAY_ID,
    Identity,
    Peer,
    to_client,
    to_origin,
)
from edgews.edge.policy.lists import Networks
from edgews.handshake import UPGRADE_FIELDS
from edgews.headers import Headers
from tests.cost import is_linear

OURS = Identity()
PROXIES = Networks(["10.0.0.0/8", "fd00::/8"])
CLIENT = Peer("192.0.2.1", secure=True, ray_id="ray")
PROXY = Peer("10.0.0.1", secure=False, ray_id="ray")
UNIX = Peer(None, secure=False, ray_id="ray")

PLAIN = (
    "Accept",
    "Cookie",
    "Host",
    "Origin",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "X-Own",
    "User-Agent",
)
of_proxies = ["cf-ipcountry", "cf-visitor", "x-forwarded-user", "x-forwarded-client-cert"]
ids = [*sorted(IDENTITY), *of_proxies, "x-edgews-client-ip", "x-edgews-ray", "x-edgews-anything"]


@st.composite
def spelled(draw: st.DrawFn, names: list[str]) -> str:
    """A name in any case, with `_` or another sign for `-` now and then."""
    name = draw(st.sampled_from(names))
    letters = [
        draw(st.sampled_from([one.lower(), one.upper(), one.replace("-", "_"), one.replace("-", ".")]))
        for one in name
    ]
    return "".join(letters)


values = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=8
)
plain_fields = st.tuples(st.sampled_from(PLAIN), values)
hop_fields = st.tuples(spelled(sorted(HOP_BY_HOP - {"connection"})), values)
identity_fields = st.tuples(spelled(ids), values)
connections = st.tuples(
    st.just("Connection"),
    st.lists(st.sampled_from([*PLAIN, "close", "Content-Length", "X-Forwarded-For"]), max_size=4).map(
        ", ".join
    ),
)
requests = st.lists(plain_fields | hop_fields | identity_fields | connections, max_size=12).map(Headers)


def names(headers: Headers) -> set[str]:
    return {name.lower().replace("_", "-").replace(".", "-") for name, _ in headers}


@given(requests)
def test_what_a_client_says_of_itself_is_dropped(headers: Headers) -> None:
    forwarded = to_origin(headers, CLIENT, trusted=PROXIES, identity=OURS)
    host = headers.get_all("Host")[:1]
    told = [field for field in forwarded.headers if names(Headers([field])) & {*IDENTITY, *ids}]
    assert told == [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        *(("X-Forwarded-Host", value) for value in host),
        ("X-Edgews-Client-IP", "192.0.2.1"),
        ("X-Edgews-Ray", "ray"),
    ]
    assert (forwarded.client, forwarded.secure, forwarded.ray_id) == ("192.0.2.1", True, "ray")
    assert not forwarded.trusted


@given(requests)
def test_what_ends_with_the_hop_does_not_pass_in_either_direction(headers: Headers) -> None:
    named = {name.strip().lower() for value in headers.get_all("Connection") for name in value.split(",")}
    kept = {name for name in named if name in KEPT or name.startswith("sec-")}
    wanted = [
        (name, value)
        for name, value in headers
        if not names(Headers([(name, value)])) & HOP_BY_HOP
        and (name.lower() not in named or name.lower() in kept)
    ]
    *fields, last = to_client(headers, "ray", identity=OURS)
    assert fields == [field for field in wanted if OURS.ray_id.lower() not in names(Headers([field]))]
    assert last == (OURS.ray_id, "ray")
    for passed in (
        to_origin(headers, CLIENT, trusted=PROXIES, identity=OURS).headers,
        to_client(headers, "ray", identity=OURS),
    ):
        assert not names(passed) & HOP_BY_HOP
        assert [field for field in passed if field[0] in PLAIN] == [
            field for field in wanted if field[0] in PLAIN
        ]


@pytest.mark.parametrize(
    "name", ["Host", "Origin", "Cookie", "Authorization", "Content-Length", "Sec-WebSocket-Key"]
)
def test_connection_cannot_take_away_what_protects(name: str) -> None:
    headers = Headers([(name, "x"), ("Connection", f"close, {name.lower()}, X-Own"), ("x-own", "y")])
    assert list(to_client(headers, "ray", identity=OURS))[:-1] == [(name, "x")]


@given(requests)
def test_an_upgrade_is_asked_for_by_the_gateway(headers: Headers) -> None:
    upgrade = UPGRADE_FIELDS
    sent = to_origin(headers, CLIENT, trusted=PROXIES, identity=OURS, upgrade=True)
    answered = to_client(headers, "ray", identity=OURS, upgrade=True)
    for passed in (sent.headers, answered):
        assert passed[-2:] == upgrade
        assert passed.get_all("Connection") == ["Upgrade"]


def test_a_client_gets_our_ray_id_only() -> None:
    headers = Headers([("X-Edgews-Ray", "theirs"), ("X_EDGEWS_RAY", "theirs"), ("Sec-WebSocket-Accept", "x")])
    assert to_client(headers, "ours", identity=OURS) == (
        ("Sec-WebSocket-Accept", "x"),
        ("X-Edgews-Ray", "ours"),
    )


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ([], "10.0.0.1"),
        (["192.0.2.9"], "192.0.2.9"),
        (["192.0.2.9, 10.1.1.1"], "192.0.2.9"),
        (["192.0.2.9", "10.1.1.1"], "192.0.2.9"),
        # What an untrusted one said before is no matter.
        (["1.1.1.1, 192.0.2.9"], "192.0.2.9"),
        (["192.0.2.9:443"], "192.0.2.9"),
        (["[2001:db8::1]:443, fd00::1"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:192.0.2.9"], "192.0.2.9"),
        # Up to who is trusted and speaks no address.
        (["192.0.2.9, unknown"], "10.0.0.1"),
        (["192.0.2.9, unknown, 10.1.1.1"], "10.1.1.1"),
        ([", ,"], "10.0.0.1"),
        (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(chain: list[str], client: str) -> None:
    headers = Headers([("X-Forwarded-For", value) for value in chain])
    forwarded = to_origin(headers, PROXY, trusted=PROXIES, identity=OURS)
    assert forwarded.trusted
    assert forwarded.client == client
    assert forwarded.headers.get("X-Edgews-Client-IP") == client
    entries = [entry.strip() for value in chain for entry in value.split(",") if entry.strip()]
    assert forwarded.headers.get_all("X-Forwarded-For") == [", ".join([*entries, "10.0.0.1"])]


@pytest.mark.parametrize(
    ("said", "proto"),
    [
        ([], "http"),
        (["https"], "https"),
        (["http, https"], "https"),
        (["http"], "http"),
        (["gopher"], "http"),
    ],
)
def test_a_trusted_proxy_says_how_the_client_came(said: list[str], proto: str) -> None:
    headers = Headers([("Host", "inner"), *(("X-Forwarded-Proto", value) for value in said)])
    forwarded = to_origin(headers, PROXY, trusted=PROXIES, identity=OURS)
    assert forwarded.headers.get_all("X-Forwarded-Proto") == [proto]
    assert forwarded.secure is (proto == "https")
    assert forwarded.headers.get_all("X-Forwarded-Host") == ["inner"]
    told = to_origin(
        Headers([*headers, ("X-Forwarded-Host", "outer")]), PROXY, trusted=PROXIES, identity=OURS
    )
    assert told.headers.get_all("X-Forwarded-Host") == ["outer"]


@pytest.mark.parametrize("name", ["X-Forwarded-User", "CF-IPCountry"])
def test_a_trusted_proxy_may_say_more(name: str) -> None:
    headers = Headers([(name, "x")])
    assert to_origin(headers, PROXY, trusted=PROXIES, identity=OURS).headers.get_all(name) == ["x"]
    assert not to_origin(headers, CLIENT, trusted=PROXIES, identity=OURS).headers.has(name)


@pytest.mark.parametrize(
    ("said", "ray_id"),
    [
        ("abc-1", "abc-1"),
        ("a b", "ray"),
        ("x" * MAX_RAY_ID, "x" * MAX_RAY_ID),
        ("x" * (MAX_RAY_ID + 1), "ray"),
    ],
)
def test_a_trusted_proxy_may_have_named_the_request(said: str, ray_id: str) -> None:
    forwarded = to_origin(Headers([("x-edgews-ray", said)]), PROXY, trusted=PROXIES, identity=OURS)
    assert forwarded.ray_id == ray_id
    assert forwarded.headers.get_all("X-Edgews-Ray") == [ray_id]


def test_a_unix_socket_has_no_address() -> None:
    headers = Headers([("X-Forwarded-For", "192.0.2.9")])
    alone = to_origin(headers, UNIX, trusted=PROXIES, identity=OURS)
    assert (alone.client, alone.trusted) == (None, False)
    assert names(alone.headers) == {"x-forwarded-proto", "x-edgews-ray"}
    believed = to_origin(headers, UNIX, trusted=PROXIES, identity=OURS, trust_unix=True)
    assert (believed.client, believed.trusted) == ("192.0.2.9", True)
    assert believed.headers.get("X-Forwarded-For") == "192.0.2.9"
    assert to_origin(Headers(), UNIX, trusted=PROXIES, identity=OURS, trust_unix=True).client is None


def test_a_peer_without_a_readable_address_is_nobody() -> None:
    forwarded = to_origin(Headers(), Peer("?", False, "r"), trusted=PROXIES, identity=OURS, trust_unix=True)
    assert (forwarded.client, forwarded.trusted) == (None, False)


def test_the_prefix_is_configured() -> None:
    mine = Identity("CF-")
    headers = Headers([("CF-Client-IP", "1.1.1.1"), ("cf_ray", "x"), ("X-Edgews-Ray", "other")])
    forwarded = to_origin(headers, CLIENT, trusted=PROXIES, identity=mine)
    assert forwarded.headers.get_all("CF-Client-IP") == ["192.0.2.1"]
    assert forwarded.headers.get_all("CF-Ray") == ["ray"]
    assert forwarded.headers.get_all("X-Edgews-Ray") == ["other"]
    for prefix in ("", "a", "a b-", "a_b-", "é-"):
        with pytest.raises(ValueError, match="beginning of a header name"):
            Identity(prefix)


def test_time_is_linear() -> None:
    def pass_on(size: int) -> None:
        named = ", ".join(f"x{number}" for number in range(size))
        chain = ", ".join(["10.0.0.1"] * size)
        fields = [("Connection", named), ("X-Forwarded-For", chain), *[("X-Own", "a")] * size]
        to_origin(Headers(fields), PROXY, trusted=PROXIES, identity=OURS)

    assert is_linear(pass_on, 1000)
