"""Which proxy stands between a client and a server."""

from __future__ import annotations

import os
from unittest.mock import patch
from urllib.parse import quote
from urllib.request import getproxies_environment, proxy_bypass_environment

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import InvalidValueError
from edgews.proxies import Proxy, ProxyKind, parse_proxy, proxy_from
from edgews.uri import parse_uri

SCHEMES = {
    "http": (ProxyKind.HTTP, 80, True),
    "socks": (ProxyKind.SOCKS5, 1080, True),
    "socks4": (ProxyKind.SOCKS4, 1080, False),
    "socks4a": (ProxyKind.SOCKS4, 1080, True),
    "socks5": (ProxyKind.SOCKS5, 1080, False),
    "socks5h": (ProxyKind.SOCKS5, 1080, True),
}

schemes = st.sampled_from(sorted(SCHEMES))
credentials = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
users = credentials.map(lambda user: user.replace(":", "."))

# URIs


@given(
    schemes,
    st.sampled_from(["proxy.example", "127.0.0.1", "[::1]"]),
    st.none() | st.integers(1, 65535),
    st.none() | users,
    st.none() | credentials,
    st.sampled_from(["", "/"]),
)
def test_what_a_uri_says(
    scheme: str, host: str, port: int | None, user: str | None, password: str | None, end: str
) -> None:
    userinfo = ""
    if user is not None:
        userinfo = quote(user, safe="") + ("" if password is None else f":{quote(password, safe='')}") + "@"
    proxy = parse_proxy(f"{scheme}://{userinfo}{host}" + (f":{port}" if port else "") + end)
    kind, usual, remote = SCHEMES[scheme]
    wanted = None if user is None else password or ""
    assert proxy == Proxy(kind, host.strip("[]"), port or usual, remote, user, wanted)


# What no error says by itself.
@given(schemes, users.map(lambda user: f"hush {user}"), credentials.map(lambda word: f"hush {word}"))
def test_credentials_are_never_shown(scheme: str, user: str, password: str) -> None:
    userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}"
    proxy = parse_proxy(f"{scheme}://{userinfo}@h.example:1234")
    for shown in (str(proxy), repr(proxy)):
        assert "h.example" in shown
        for hidden in (user, password, userinfo):
            assert hidden not in shown
    for bad in (
        f"https://{userinfo}@h",
        f"{scheme}://{userinfo}@h:x",
        f"{scheme}://{userinfo}@h/path",
        userinfo,
    ):
        with pytest.raises(InvalidValueError) as caught:
            parse_proxy(bad)
        assert quote(password, safe="") not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "must begin with"),
        ("proxy.example:80", "must begin with"),
        ("https://proxy.example", "must begin with http://, socks"),
        ("ftp://proxy.example", "must begin with"),
        ("http://", "malformed"),
        ("http://:80", "malformed"),
        ("http://a b", "malformed"),
        ("http://a\r\nX: y", "malformed"),
        ("http://a\tb", "malformed"),
        ("http://a\\b", "malformed"),
        ("http://ä.example", "malformed"),
        ("http://a:0", "malformed"),
        ("http://a:99999", "malformed"),
        ("http://a:x", "malformed"),
        ("http://[::1", "malformed"),
        ("http://a/path", "behind"),
        ("http://a?x", "behind"),
        ("http://a#x", "behind"),
        ("socks5://u%00:p@a", "printable"),
        ("socks5://u:%0d%0a@a", "printable"),
        ("socks5://%C3%A4@a", "printable"),
        (f"socks5://u:{'p' * 256}@a", "255"),
        (f"socks4://{'u' * 256}@a", "255"),
        ("http://a%3Ab:c@h", "colon"),
    ],
)
def test_what_is_no_proxy(uri: str, why: str) -> None:
    with pytest.raises(InvalidValueError, match=why):
        parse_proxy(uri)


# The environment


def chosen(uri: str, **variables: str) -> Proxy | None:
    """Return the proxy that a program with these variables takes."""
    with patch.dict(os.environ, variables, clear=True):
        proxies = getproxies_environment()
        return proxy_from(proxies, lambda host: proxy_bypass_environment(host, proxies), parse_uri(uri))


ORDER = {"wss": ["wss", "socks", "https", "all"], "ws": ["ws", "socks", "https", "http", "all"]}


@given(
    st.sampled_from(["ws", "wss"]),
    st.sets(st.sampled_from(["ws", "wss", "http", "https", "all", "socks", "ftp", "no"])),
    st.booleans(),
)
def test_the_first_variable_counts(scheme: str, names: set[str], upper: bool) -> None:
    variables = {f"{name}_proxy": f"http://{name}.proxy.example" for name in names - {"no"}}
    if upper:
        variables = {name.upper(): value for name, value in variables.items()}
    proxy = chosen(f"{scheme}://server.example/", **variables)
    first = next((name for name in ORDER[scheme] if name in names), None)
    assert (proxy and proxy.host) == (first and f"{first}.proxy.example")


@pytest.mark.parametrize(
    ("no_proxy", "uri", "direct"),
    [
        ("*", "ws://a.example/", True),
        ("a.example", "ws://a.example/", True),
        ("a.example", "ws://b.a.example/", True),
        ("a.example", "ws://ba.example/", False),
        (".example, b", "wss://a.example/", True),
        ("a.example:8080", "ws://a.example:8080/", True),
        ("a.example:8080", "ws://a.example/", False),
        ("a.example:80", "ws://a.example/", True),
        ("127.0.0.1", "ws://127.0.0.1:9000/", True),
        ("::1", "ws://[::1]:9000/", True),
        ("", "ws://a.example/", False),
    ],
)
def test_no_proxy(no_proxy: str, uri: str, direct: bool) -> None:
    proxy = chosen(uri, all_proxy="socks5h://p.example", no_proxy=no_proxy)
    assert (proxy is None) == direct


@pytest.mark.parametrize(
    ("variable", "value", "kind"),
    [
        ("all_proxy", "p.example:3128", ProxyKind.HTTP),
        ("https_proxy", "u:p@p.example:3128", ProxyKind.HTTP),
        ("all_proxy", "socks://p.example:3128/", ProxyKind.SOCKS5),
        ("socks_proxy", "http://p.example:3128", ProxyKind.SOCKS5),
        ("socks_proxy", "p.example:3128", ProxyKind.SOCKS5),
        ("socks_proxy", "socks4://p.example:3128", ProxyKind.SOCKS4),
    ],
)
def test_as_desktops_and_people_write_it(variable: str, value: str, kind: ProxyKind) -> None:
    proxy = chosen("wss://a.example/", **{variable: value})
    assert proxy is not None
    assert (proxy.kind, proxy.host, proxy.port) == (kind, "p.example", 3128)


def test_the_variable_at_fault_is_named_and_its_value_is_not() -> None:
    with pytest.raises(InvalidValueError, match="https_proxy of the environment") as caught:
        chosen("wss://a.example/", https_proxy="https://me:secret@p.example")
    assert "secret" not in str(caught.value)
