"""The ways through a proxy, with the real python-socks and a proxy whose every byte is written here."""

from __future__ import annotations

import contextlib
import itertools
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import InvalidValueError
from edgews.outcomes import MissingExtraError, ProxyError
from edgews.proxies import Proxy, ProxyKind, parse_proxy
from edgews.tunnels import MAX_REPLY, complete, exactly, explained, proxy_for, tunneller
from edgews.uri import parse_uri

URI = parse_uri("ws://server.example:8080/")
VARIABLES = ("ws_proxy", "wss_proxy", "socks_proxy", "https_proxy", "http_proxy", "all_proxy", "no_proxy")


class Scripted:
    """A stream to a proxy that says what it was told to, piece by piece, and then ends."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.written = b""
        self.closed = False

    def connect(self, **_: Any) -> Scripted:
        return self

    def write(self, data: bytes) -> None:
        self.written += data

    def _next(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def read(self) -> bytes:
        reply = bytearray()
        while not complete(reply, self._next()):
            pass
        return bytes(reply)

    def read_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = exactly(self._next())
            data, rest = data + piece[: size - len(data)], piece[size - len(data) :]
            if rest:
                self._pieces.insert(0, rest)
        return data

    def close(self) -> None:
        self.closed = True


def through(proxy: str, *pieces: bytes) -> Scripted:
    way = Scripted(*pieces)
    parsed = parse_proxy(proxy)
    tunnel = tunneller("sync", parsed, way)
    try:
        with explained(parsed):
            tunnel.connect(URI.host, URI.port)
    except BaseException:
        assert way.closed
        raise
    assert not way.closed
    return way


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


cuts = st.lists(st.integers(0, 60), max_size=6)

# Opened


@given(cuts)
def test_http_in_any_pieces(at: list[int]) -> None:
    reply = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"
    way = through("http://me:secret@proxy.example", *cut(reply, at))
    assert way.written.startswith(b"CONNECT server.example:8080 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in way.written


@given(cuts)
def test_socks5_in_any_pieces(at: list[int]) -> None:
    reply = b"\x05\x02" + b"\x01\x00" + b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
    way = through("socks5h://me:secret@proxy.example", *cut(reply, at))
    assert b"\x01\x02me\x06secret" in way.written
    assert b"\x03\x0eserver.example\x1f\x90" in way.written


@given(cuts)
def test_socks4a_in_any_pieces(at: list[int]) -> None:
    way = through("socks4a://me@proxy.example", *cut(b"\x00\x5a" + bytes(6), at))
    assert way.written == b"\x04\x01\x1f\x90\x00\x00\x00\x01me\x00server.example\x00"


# Refused


@pytest.mark.parametrize(
    ("proxy", "reply", "lasting"),
    [
        ("http://p", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n<html>", True),
        ("http://p", b"HTTP/1.1 403 Forbidden\r\n\r\n", True),
        ("http://p", b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1\r\n\r\nx", False),
        ("http://p", b"HTTP/1.1 503 Busy\r\n\r\n", False),
        ("http://p", b"SSH-2.0-OpenSSH\r\n\r\n", True),
        ("http://p", b"HTTP/1.1 200 OK\r\n\r\nand more", True),
        ("http://p", b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_REPLY, True),
        ("http://p", b"HTTP/1.1 200 O", False),
        ("http://p", b"", False),
        ("socks5h://p", b"\x05\xff", True),
        ("socks5h://p", b"HTTP/1.1 400 Bad Request\r\n\r\n", True),
        ("socks5h://u:p@p", b"\x05\x02\x01\x01", True),
        ("socks5h://p", b"\x05\x00\x05\x01\x00", False),
        ("socks5h://p", b"\x05\x00\x05\x05\x00", False),
        ("socks5h://p", b"\x05\x00\x05\x02\x00", True),
        ("socks5h://p", b"\x05\x00", False),
        ("socks4a://p", b"\x00\x5b" + bytes(6), False),
        ("socks4a://p", b"\x00\x5d" + bytes(6), True),
        ("socks4a://p", b"\xff\xff" + bytes(6), True),
    ],
)
def test_a_proxy_that_does_not_open_a_way(proxy: str, reply: bytes, lasting: bool) -> None:
    with pytest.raises(ProxyError) as caught:
        through(proxy, *cut(reply, [1]))
    assert caught.value.lasting == lasting
    assert isinstance(caught.value, OSError)


@given(st.sampled_from(["http://p", "socks4a://u@p", "socks5h://u:p@p"]), st.binary(max_size=40), cuts)
def test_whatever_it_says_nothing_else_is_raised(proxy: str, reply: bytes, at: list[int]) -> None:
    with contextlib.suppress(ProxyError):
        through(proxy, *cut(reply, at))


def test_what_is_no_http_proxy_is_not_waited_for() -> None:
    with pytest.raises(
        ProxyError, match=r"does not speak HTTP: it begins with 'SSH-2\.0', as SSH does"
    ) as caught:
        through("http://p", b"SSH-2.0")
    assert caught.value.lasting


def test_its_words_are_made_harmless() -> None:
    with pytest.raises(ProxyError) as caught:
        through("http://p", b"HTTP/1.1 403 \x1b[2J\xff" + b"x" * 5000 + b"\r\n\r\n")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_what_goes_wrong_on_the_way_is_said_with_the_proxy() -> None:
    proxy = parse_proxy("http://me:secret@p.example:1")
    with (
        pytest.raises(ProxyError, match=r"through the proxy p\.example:1: no route") as caught,
        explained(proxy),
    ):
        raise OSError("no route")
    assert "secret" not in str(caught.value)
    with pytest.raises(ProxyError, match="answer that is none"), explained(proxy):
        raise UnicodeDecodeError("ascii", b"", 0, 1, "")
    with pytest.raises(TimeoutError, match="too long") as late, explained(proxy):
        raise TimeoutError("1000000000.0")
    assert not isinstance(late.value, ProxyError)


def test_without_python_socks_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    for name in [name for name in sys.modules if name.startswith("python_socks.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgews\[proxy\]'") as caught:
        tunneller("sync", parse_proxy("http://me:secret@p"), None)
    assert isinstance(caught.value, ImportError)
    assert "secret" not in str(caught.value)


# Wishes


def test_the_wish_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    given_one = Proxy(ProxyKind.HTTP, "a.example", 3128, True)
    assert proxy_for(URI, "http://a.example:3128") == given_one
    assert proxy_for(URI, True) is None
    monkeypatch.setenv("ALL_PROXY", "http://a.example:3128")
    assert proxy_for(URI, True) == given_one
    assert proxy_for(URI, None) is None
    assert proxy_for(URI, False) is None
    monkeypatch.setenv("NO_PROXY", "server.example")
    assert proxy_for(URI, True) is None
    assert proxy_for(URI, "http://a.example:3128") == given_one
    with pytest.raises(InvalidValueError):
        proxy_for(URI, "a.example:3128")
