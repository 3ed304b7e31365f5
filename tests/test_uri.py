from __future__ import annotations

import dataclasses
import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.errors import InvalidValueError
from edgews.headers import field_fault
from edgews.uri import URI, as_uri, parse_uri

labels = st.from_regex(r"[a-z0-9](?:[a-z0-9_-]{0,6}[a-z0-9])?", fullmatch=True)
hosts = (
    st.lists(labels, min_size=1, max_size=3).map(".".join)
    | st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(lambda address: f"[{address}]")
)
# RFC 3986 §3.3, §3.4, without `#`.
path_texts = st.text(alphabet="aZ09-._~!$&'()*+,;=:@/%", max_size=12)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(
    st.sampled_from(["ws", "WS", "wss", "Wss"]),
    st.none() | st.tuples(texts, st.none() | texts),
    hosts,
    st.none() | st.just("") | st.integers(1, 65535),
    st.just("") | path_texts.map("/".__add__),
    st.none() | path_texts,
)
def test_every_part_is_found(scheme, userinfo, host, port, path, query):
    username, password = userinfo or (None, None)
    text = f"{scheme}://"
    if userinfo is not None:
        text += quote(username, safe="") + ("" if password is None else ":" + quote(password, safe="")) + "@"
    text += (
        host.upper() + ("" if port is None else f":{port}") + path + ("" if query is None else f"?{query}")
    )
    uri = parse_uri(text)
    default = 443 if scheme.lower() == "wss" else 80
    target = (path or "/") + ("" if query is None else f"?{query}")
    assert uri == URI(scheme.lower() == "wss", host.strip("[]"), port or default, target, username, password)
    assert uri.host_header == (host if uri.port == default else f"{host}:{uri.port}")


@given(
    st.text(max_size=30)
    | st.builds("ws://{}/{}?{}".format, st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
    | st.lists(st.sampled_from(["ws:", "//", "@", ":", "[", "]", "::1", "80", "?", "#", "a", "%", "\\"])).map(
        "".join
    )
)
@example("ws://a/\ud800")
@example("ws://\ud800/")
@example("ws://a?\udfff")
@example("ws://[::1")
@example("ws://a:x")
@example("ws://a:99999")
@example("ws://\u2100/")
@example("ws://" + "ä" * 80)
@example("ws://" + "a" * 64)
@example("ws://" + "a" * 63 + ".")
@example("ws://a..b")
@example("ws://.")
def test_any_text_is_a_uri_or_a_local_error(text):
    try:
        uri = parse_uri(text)
    except InvalidValueError:
        return
    # What comes through can be sent as it is.
    assert re.fullmatch(r"/[!-~]*", uri.target)
    assert "#" not in uri.target
    assert uri.host.isascii()
    # As it is done to look it up.
    uri.host.encode("idna")
    assert 0 < uri.port < 65536
    assert field_fault("Host", uri.host_header) is None
    again = f"{'wss' if uri.secure else 'ws'}://{uri.host_header}{uri.target}"
    assert parse_uri(again) == dataclasses.replace(uri, username=None, password=None)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ws://a", "/"),
        ("ws://a/", "/"),
        ("ws://a?", "/?"),
        ("ws://a?b", "/?b"),
        ("ws://a/?", "/?"),
        ("ws://a/b?c?d", "/b?c?d"),
        ("ws://a/b;c?d=e&f", "/b;c?d=e&f"),
        ("ws://a//b", "//b"),
        ("ws://a/%C3%A4", "/%C3%A4"),
        ("ws://a/ä?ö", "/%C3%A4?%C3%B6"),
        ('ws://a/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_the_target(text, target):
    assert parse_uri(text).target == target


@pytest.mark.parametrize(
    ("text", "host", "header"),
    [
        ("ws://EXAMPLE.com", "example.com", "example.com"),
        ("ws://example.com:80", "example.com", "example.com"),
        ("ws://example.com:443", "example.com", "example.com:443"),
        ("wss://example.com:443", "example.com", "example.com"),
        ("wss://example.com:80", "example.com", "example.com:80"),
        ("ws://[::1]", "::1", "[::1]"),
        ("ws://[::1]:8080", "::1", "[::1]:8080"),
        ("ws://user:secret@[::1]:8080", "::1", "[::1]:8080"),
        ("ws://münchen.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("ws://some_host", "some_host", "some_host"),
    ],
)
def test_the_host(text, host, header):
    uri = parse_uri(text)
    assert (uri.host, uri.host_header) == (host, header)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must begin with ws:// or wss://"),
        ("example.com", "must begin with"),
        ("//example.com", "must begin with"),
        ("http://example.com", "must begin with"),
        ("wsss://example.com", "must begin with"),
        ("ws:example.com", "no host"),
        ("ws:///path", "no host"),
        ("ws://:80", "no host"),
        ("ws://user@", "no host"),
        ("ws://user@:80", "no host"),
        ("ws://a#", "fragment"),
        ("ws://a#b", "fragment"),
        ("ws://a/#", "fragment"),
        ("ws://a?b#c", "fragment"),
        ("ws://a:0", "port 0"),
        ("ws://a:65536", "malformed"),
        ("ws://a:-1", "malformed"),
        ("ws://a:b", "malformed"),
        ("ws://a:80:80", "malformed"),
        ("ws://a:\u0661", "malformed"),
        ("ws://[::1", "malformed"),
        ("ws://::1]", "malformed"),
        # What stands beside an address, or ends the host for other programs, is not overlooked.
        ("ws://[::1]example.com", "malformed"),
        ("ws://example.com[::1]", "malformed"),
        ("ws://good.example\\@evil.example", "malformed"),
        ("ws://good.example@x@evil.example", "malformed"),
        ("ws://good.example\\.evil.example", "malformed"),
        ("ws://a<b", "malformed"),
        ('ws://a"b', "malformed"),
        ("ws://a|b", "malformed"),
        # Nothing is cut off, folded or passed on.
        (" ws://a", "space"),
        ("ws://a ", "space"),
        ("ws://a/b c", "space"),
        ("ws://a/\tb", "control"),
        ("ws://a\r\nHost: b", "control"),
        ("ws://a/\r\nb", "control"),
        ("ws://a/\0", "control"),
        ("ws://a/\x7f", "control"),
        ("ws://a/\ud800", "surrogate"),
        ("ws://" + "ä" * 64, "cannot be encoded"),
        ("ws://ä..b", "cannot be encoded"),
        ("ws://a\u00b4b", "cannot be encoded"),
    ],
)
def test_what_is_no_websocket_uri(text, fault):
    with pytest.raises(InvalidValueError, match=fault) as caught:
        parse_uri(text)
    # The message is one line, whatever the text.
    assert str(caught.value).isprintable()
    # It shows what was given, except for what may be secret.
    assert repr(text) in str(caught.value) or "@" in text or "?" in text


def test_a_uri_is_a_value():
    uri = parse_uri("ws://a")
    assert hash(uri) == hash(parse_uri("WS://A:80/"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        uri.host = "b"


def test_a_uri_may_be_parsed_already():
    uri = parse_uri("ws://example.com/")
    assert as_uri(uri) is uri
    assert as_uri("ws://example.com/") == uri
    for wrong in (None, b"ws://example.com/"):
        with pytest.raises(TypeError, match="uri must be a str or a URI"):
            as_uri(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "uri",
    [
        "ws://me:secret@example.com:port/",
        "ws://me:secret@example.com:99999/x",
        "ws://me:se/secret@example.com/",
        "ws://me:secret?@example.com/ x",
        "http://me:secret@example.com/",
        "ws://me:secret@/",
        "ws://example.com/?token=secret#",
        "ws://a..b/x?secret",
        "ws:me:secret@example.com",
    ],
)
def test_what_is_wrong_with_a_uri_is_said_without_its_secrets(uri: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_uri(uri)
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith("URI 'ws:") or str(caught.value).startswith("URI 'http:")
