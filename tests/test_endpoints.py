"""What `connect` and `serve` are told of TLS, proxies and places to listen: what has no use is refused."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from edgews.endpoints import check_client, check_server
from edgews.uri import parse_uri

PLAIN, SECURE = parse_uri("ws://example.com/"), parse_uri("wss://example.com/")
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client(uri: Any = SECURE, **wishes: Any) -> None:
    usual: dict[str, Any] = {
        "ssl": None,
        "server_hostname": None,
        "proxy": True,
        "redirects": 0,
        "streams": {"sock": None, "path": None},
    }
    check_client(uri, **(usual | wishes))


def server(**wishes: Any) -> None:
    usual: dict[str, Any] = {
        "handler": print,
        "host": None,
        "port": None,
        "ssl": None,
        "several": True,
        "streams": {"sock": None, "path": None},
    }
    check_server(**(usual | wishes))


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"ssl": CONTEXT, "server_hostname": "other.example"},
        {"uri": PLAIN},
        {"uri": PLAIN, "ssl": CONTEXT, "redirects": 5},
        {"uri": PLAIN, "streams": {"sock": object(), "path": None}},
        {"proxy": None},
        {"proxy": "http://127.0.0.1:3128"},
    ],
)
def test_a_client_is_told_what_has_a_use(wishes):
    client(**wishes)


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ({"uri": PLAIN, "ssl": CONTEXT}, "ssl is for wss://.*leave ssl out"),
        (
            {"uri": PLAIN, "ssl": CONTEXT, "redirects": 5, "streams": {"sock": object()}},
            "ssl is for wss://",
        ),
        ({"uri": PLAIN, "server_hostname": "x"}, "server_hostname is for wss://"),
        ({"streams": {"sock": object(), "path": "/x"}}, "sock and path are two ways"),
    ],
)
def test_what_a_client_would_not_use_is_refused(wishes, error):
    with pytest.raises(ValueError, match=error):
        client(**wishes)


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ({"ssl": True}, r"ssl must be an ssl\.SSLContext or None, not bool"),
        ({"server_hostname": b"x"}, "server_hostname must be a str or None, not bytes"),
        ({"proxy": 1}, "proxy must be the URI of a proxy, True or None, not int"),
    ],
)
def test_a_client_is_told_of_wrong_kinds(wishes, error):
    with pytest.raises(TypeError, match=error):
        client(**wishes)


@pytest.mark.parametrize(
    "wishes",
    [
        {"host": "127.0.0.1", "port": 0},
        {"host": ["127.0.0.1", "::1"], "port": 65535, "ssl": CONTEXT},
        {"host": "localhost", "port": 80, "several": False},
        {"streams": {"sock": socket, "path": None}, "port": 0},
    ],
)
def test_a_server_is_told_where_to_listen(wishes):
    server(**wishes)


@pytest.mark.parametrize(
    ("wishes", "kind", "error"),
    [
        ({"handler": None}, TypeError, "handler must be a function, not None"),
        ({"host": 1}, TypeError, "host must be a list of str, not int"),
        ({"host": ["::1"], "several": False}, TypeError, "host must be a str or None, not list"),
        ({"port": "80"}, TypeError, "port must be an int, not str"),
        ({"port": 65536}, ValueError, "port is 65536"),
        ({"ssl": "cert.pem"}, TypeError, "ssl must be"),
        ({"host": "", "streams": {"path": "/x"}}, ValueError, "path is listened on instead"),
        ({"port": 80, "streams": {"path": "/x"}}, ValueError, "path is listened on instead"),
        ({"streams": {"path": "/x", "sock": socket}}, ValueError, "path and sock are two ways"),
    ],
)
def test_what_a_server_cannot_do_is_refused(wishes, kind, error):
    with pytest.raises(kind, match=error):
        server(**wishes)
