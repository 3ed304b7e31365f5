"""Who may see the admin address: decided from a request alone. Sans-IO.

A web page from elsewhere can make a browser on this machine ask us. It must neither read nor do anything:

    under a name of its own that leads here (DNS rebinding)   Host is an address, localhost or configured
    from its own place, with fetch, forms, images             Sec-Fetch-Site says so, in today's browsers
    from its own place, with a WebSocket                      Origin has to be our own

RFC 6454 §7; Fetch Metadata Request Headers (W3C) §2.3.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from edgews.events import Request, Response
from edgews.headers import Headers

COOKIE: Final = "edgews-admin"
# What a token is turned into for the cookie, so that who sees the cookie does not know the token.
_PURPOSE: Final = b"edgews admin cookie"

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")


class Access:
    """Decide who may ask.

    Args:
        token: None lets everyone who gets here in.
        hosts: the names in Host that are answered, besides localhost and IP addresses.
        any_host: whether Host does not matter: no browser gets to a Unix socket by a name.
        secure: whether all of this happens over TLS.
    """

    def __init__(
        self, token: bytes | None, hosts: Iterable[str] = (), *, any_host: bool = False, secure: bool = False
    ) -> None:
        self._token = None if token is None else _digest(token)
        self._cookie = None if token is None else hmac.digest(token, _PURPOSE, "sha256").hex()
        self._hosts = frozenset(hosts) | {"localhost"}
        self._any_host = any_host
        self._secure = "; Secure" if secure else ""

    @property
    def cookie(self) -> str | None:
        """The field that lets a browser in from now on, None if none is needed."""
        if self._cookie is None:
            return None
        return f"{COOKIE}={self._cookie}; HttpOnly; SameSite=Strict; Path=/{self._secure}"

    def check(self, request: Request) -> Response | None:
        """Return the answer to a request that comes from where it must not, None to all others."""
        host = request.headers.get("Host") or ""
        if not self._is_ours(host):
            return answer(
                421, "This host name is not known here; [admin] hosts in the file has those that are."
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return answer(403, "Another site's page asks; that is not allowed.")
        # A link to the page itself does no harm.
        site = request.headers.get("Sec-Fetch-Site")
        if site not in (None, "same-origin", "none") and not (request.path == "/" and not request.is_upgrade):
            return answer(403, "Another site's page asks; that is not allowed.")
        return None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found[1]
        if self._any_host or name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def knows(self, request: Request) -> bool:
        """Say whether a request shows the token, or the cookie that came of it."""
        if self._token is None:
            return True
        scheme, _, credentials = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(_octets(credentials)), self._token):
            return True
        assert self._cookie is not None
        return any(
            hmac.compare_digest(_digest(_octets(value)), _digest(self._cookie.encode()))
            for value in _cookies(request)
        )


def answer(status: int, text: str, *fields: tuple[str, str]) -> Response:
    """Return an answer of one sentence."""
    return Response(status, Headers([*SAFE_FIELDS, *fields]), f"{text}\n".encode())


# What every answer has.
SAFE_FIELDS: Final = (
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


def _digest(data: bytes) -> bytes:
    """Make texts equally long, so that comparing them says nothing of their length."""
    return hashlib.sha256(data).digest()


def _octets(text: str) -> bytes:
    """Return a field's value as it came."""
    return text.encode("latin-1", "replace")


def _cookies(request: Request) -> list[str]:
    """Return the values of our cookie. RFC 6265 §5.4."""
    found = []
    for field in request.headers.get_all("Cookie"):
        for pair in field.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                found.append(value)
    return found
