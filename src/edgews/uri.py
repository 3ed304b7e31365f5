"""WebSocket URIs. RFC 6455 §3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from .arguments import check, check_flag, check_range, check_text
from .errors import InvalidValueError

_DEFAULT_PORTS = {"ws": 80, "wss": 443}
# What may stand in a target as it is; everything else is percent-encoded, and `%` is left alone
# because what follows it is encoded already. RFC 3986 §3.3, §3.4.
_TARGET_SAFE = "%/:@!$&'()*+,;=?-._~"

_NOT_IN_URI = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
# `urlsplit` overlooks what stands beside the brackets of an address, and takes any character for a part of
# user or host, where other programs see the end of one. RFC 3986 §3.2.
_NAME = r"\w\-.~!$&'()*+,;=%\x80-\U0010ffff"
_AUTHORITY = re.compile(rf"(?:[{_NAME}:]*@)?(?:\[[^\[\]]+\]|[{_NAME}]+)(?::\d*)?")
_HOST = re.compile(rf"[{_NAME}:]+")
# A last empty one is the root's. RFC 1034 §3.1.
_LABELS = re.compile(r"(?:[^.]{1,63}\.)*[^.]{0,63}")


@dataclass(slots=True, frozen=True)
class URI:
    """A parsed `ws://` or `wss://` URI.

    Attributes:
        secure: True for `wss`.
        host: name or address, without the brackets of IPv6; an international name in its ASCII form.
        port: the one given, or 80 and 443.
        target: path and query for the request line, percent-encoded.
        username, password: from the userinfo, decoded; None when absent.
    """

    secure: bool
    host: str
    port: int
    target: str
    username: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        check_flag("secure", self.secure)
        check("host", self.host, str, "a str")
        check_range("port", self.port, 0, 65535)
        check("target", self.target, str, "a str")
        check_text("username", self.username)
        check_text("password", self.password)

    @property
    def host_header(self) -> str:
        """The value of the Host field, in which a default port is left out. RFC 6455 §4.1 (4.)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == _DEFAULT_PORTS["wss" if self.secure else "ws"]
        return host if default else f"{host}:{self.port}"


def as_uri(uri: str | URI) -> URI:
    """Return a URI that may be parsed already.

    Raises:
        TypeError: it is neither a `str` nor a `URI`.
        InvalidValueError: it is none; the message says what is wrong.
    """
    if isinstance(uri, URI):
        return uri
    check("uri", uri, str, "a str or a URI")
    return parse_uri(uri)


def parse_uri(uri: str) -> URI:
    """Parse a WebSocket URI.

    Raises:
        InvalidValueError: it is none; the message says what is wrong.

    RFC 6455 §3.
    """
    check("uri", uri, str, "a str")
    shown = _shown(uri)
    if _NOT_IN_URI.search(uri):
        raise InvalidValueError(f"URI {shown!r} has a space, a control character or a lone surrogate")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        # What a password with a slash in it is cut into is in the error.
        why = "" if "@" in uri else f": {error}"
        raise InvalidValueError(f"URI {shown!r} is malformed{why}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidValueError(f"URI {shown!r} must begin with ws:// or wss://")
    if not parts.hostname:
        raise InvalidValueError(f"URI {shown!r} has no host")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise InvalidValueError(f"URI {shown!r} has a malformed user or host")
    if parts.fragment or uri.endswith("#"):
        raise InvalidValueError(f"URI {shown!r} has a fragment, which WebSocket URIs may not have")
    if port == 0:
        raise InvalidValueError(f"URI {shown!r} has port 0")
    try:
        host = parts.hostname.encode("idna" if not parts.hostname.isascii() else "ascii").decode()
    except UnicodeError:
        host = ""
    # What an international name becomes may be no name at all: U+00B4 has a space in it.
    if not _HOST.fullmatch(host):
        raise InvalidValueError(f"URI {shown!r} has a host name that cannot be encoded")
    if not _LABELS.fullmatch(host):
        raise InvalidValueError(f"URI {shown!r} has a host name with a part that is empty or too long")
    target = quote(parts.path or "/", safe=_TARGET_SAFE)
    if parts.query or uri.endswith("?"):
        target += "?" + quote(parts.query, safe=_TARGET_SAFE)
    return URI(
        parts.scheme == "wss",
        host,
        _DEFAULT_PORTS[parts.scheme] if port is None else port,
        target,
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def _shown(uri: str) -> str:
    """Return what of a URI may stand in an error, and so in a log: neither its user nor its query."""
    before, at, behind = uri.rpartition("@")
    scheme = before.partition(":")[0]
    target, question, _ = behind.partition("?")
    return (f"{scheme}://...@" if at else "") + target + ("?..." if question else "")
