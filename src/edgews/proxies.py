"""Which proxy stands between a client and a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import unquote, urlsplit

from .errors import InvalidValueError
from .uri import URI


class ProxyKind(Enum):
    """The protocol in which a proxy is asked for a way to the server."""

    HTTP = "HTTP CONNECT"
    SOCKS4 = "SOCKS 4"
    SOCKS5 = "SOCKS 5"


# Scheme of the proxy's URI -> protocol, its port where none is given, and who looks up the server's name.
_SCHEMES: Final = {
    "http": (ProxyKind.HTTP, 80, True),
    # As desktops write it for ALL_PROXY.
    "socks": (ProxyKind.SOCKS5, 1080, True),
    "socks4": (ProxyKind.SOCKS4, 1080, False),
    "socks4a": (ProxyKind.SOCKS4, 1080, True),
    "socks5": (ProxyKind.SOCKS5, 1080, False),
    "socks5h": (ProxyKind.SOCKS5, 1080, True),
}

# Where the environment may have one, the first that is there counts: what is for WebSockets, else SOCKS,
# else what is for HTTPS, as RFC 6455 §4.1 (3.) prefers them; without TLS also the one for HTTP; at last what
# is for everything.
_VARIABLES: Final = {
    True: ("wss", "socks", "https", "all"),
    False: ("ws", "socks", "https", "http", "all"),
}

_NOT_IN_URI: Final = re.compile(r"[\x00-\x20\x7f\\]")
_HOST: Final = re.compile(r"[A-Za-z0-9\-._:%]+")
# What credentials may have: a length must fit in a byte, NUL ends them, and no protocol names an encoding.
_CREDENTIALS: Final = re.compile(r"[\x20-\x7e]{0,255}")


@dataclass(slots=True, frozen=True)
class Proxy:
    """A proxy.

    Attributes:
        kind: its protocol.
        host, port: where it is.
        remote_names: whether it looks up the server's name, instead of us.
        username, password: for it alone; never shown.
    """

    kind: ProxyKind
    host: str
    port: int
    remote_names: bool
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_proxy(uri: str) -> Proxy:
    """Parse the URI of a proxy: `http`, `socks4`, `socks4a`, `socks5` or `socks5h`, which is also `socks`.

    Where the scheme ends in `a` or `h`, and over HTTP, the proxy looks up the server's name.

    Raises:
        InvalidValueError: it is none; the message does not repeat it, for it may have a password.
    """
    try:
        parts = urlsplit(uri)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise InvalidValueError("the proxy's URI is malformed") from None
    known = _SCHEMES.get(parts.scheme)
    if known is None:
        raise InvalidValueError(f"the proxy's URI must begin with {', '.join(f'{s}://' for s in _SCHEMES)}")
    if _NOT_IN_URI.search(uri) or not host or not _HOST.fullmatch(host) or port == 0:
        raise InvalidValueError("the proxy's URI has a malformed host, port or user")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidValueError("the proxy's URI has something behind its host and port")
    kind, usual, remote_names = known
    username = None if parts.username is None else unquote(parts.username)
    password = None if username is None else unquote(parts.password or "")
    if not _CREDENTIALS.fullmatch(username or "") or not _CREDENTIALS.fullmatch(password or ""):
        raise InvalidValueError("the proxy's user and password must be printable ASCII, up to 255 characters")
    if kind is ProxyKind.HTTP and ":" in (username or ""):
        raise InvalidValueError("the proxy's user has a colon, which ends it (RFC 7617 §2)")
    return Proxy(kind, host, usual if port is None else port, remote_names, username, password)


def proxy_from(proxies: Mapping[str, str], bypassed: Callable[[str], object], uri: URI) -> Proxy | None:
    """Return the proxy that the environment has for a server, None for none.

    Args:
        proxies: scheme -> the proxy's URI, as `urllib.request.getproxies` gives it.
        bypassed: says whether a host, with or without a port, is reached without one.
        uri: the server's.

    Raises:
        InvalidValueError: what the environment has is no proxy's URI.

    RFC 6455 §4.1 (3.).
    """
    found = next((name for name in _VARIABLES[uri.secure] if proxies.get(name)), None)
    if found is None or bypassed(uri.host) or bypassed(f"{uri.host}:{uri.port}"):
        return None
    value = proxies[found]
    # As other programs take it: a host and a port alone are an HTTP proxy's. What macOS calls its SOCKS proxy
    # comes with http:// in front.
    scheme, _, rest = value.rpartition("://")
    if not scheme or (found, scheme) == ("socks", "http"):
        value = f"{'socks' if found == 'socks' else 'http'}://{rest}"
    try:
        return parse_proxy(value)
    except InvalidValueError as error:
        raise InvalidValueError(f"{found}_proxy of the environment: {error}") from None
