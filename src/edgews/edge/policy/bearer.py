"""Where a request carries its token, and the request without it.

A token is the gateway's: neither rules nor origins nor logs get to see it. RFC 6750 §2; a browser, which
cannot set fields of an opening handshake, has the query, a cookie and the subprotocols.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from edgews.headers import Headers, split_list

from .normalize import Target
from .tokens import VERSION

_PROTOCOL: Final = "sec-websocket-protocol"
# Other credentials are the origin's. RFC 9110 §11.4 lets several spaces stand there.
_OURS: Final = re.compile(rf"bearer[ \t]+(?={VERSION}\.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Carried:
    """A token, None if there is none, and what the request is without it."""

    token: str | None
    target: Target
    headers: Headers


@dataclass(frozen=True, slots=True)
class Places:
    """Where tokens may stand, besides `Authorization: Bearer`; None where they may not.

    Attributes:
        query: name of the parameter.
        cookie: name of the cookie.
        subprotocol: what stands in front of the token.
    """

    query: str | None = "token"
    cookie: str | None = None
    subprotocol: str | None = None

    def take(self, target: Target, headers: Headers) -> Carried:
        """Take the token out of a request: the first of header, cookie, subprotocol, query. All go."""
        found: list[str] = []
        fields: list[tuple[str, str]] = []
        for name, value in headers:
            plain = name.lower()
            kept: str | None = value
            if plain == "authorization":
                kept = _from_authorization(value, found)
            elif plain == "cookie" and self.cookie is not None:
                kept = _from_cookies(value, self.cookie, found)
            elif plain == _PROTOCOL and self.subprotocol is not None:
                kept = _from_subprotocols(value, self.subprotocol, found)
            if kept is not None:
                fields.append((name, kept))
        if self.query is not None and target.query:
            target = Target(target.path, _from_query(target.query, self.query, found))
        return Carried(found[0] if found else None, target, Headers.of(fields))


def _from_authorization(value: str, found: list[str]) -> str | None:
    ours = _OURS.match(value)
    if ours is None:
        return value
    found.append(value[ours.end() :].strip())
    return None


def _from_cookies(value: str, name: str, found: list[str]) -> str | None:
    kept = []
    for pair in value.split(";"):
        key, _, text = pair.partition("=")
        if key.strip() == name:
            found.append(text.strip())
        else:
            kept.append(pair.strip())
    return _joined(kept, "; ")


def _from_subprotocols(value: str, prefix: str, found: list[str]) -> str | None:
    kept = []
    for one in split_list(value):
        if one.startswith(prefix):
            found.append(one.removeprefix(prefix))
        else:
            kept.append(one)
    return _joined(kept, ", ")


def _from_query(query: str, name: str, found: list[str]) -> str | None:
    kept = []
    for pair in query.split("&"):
        key, _, text = pair.partition("=")
        if unquote_plus(key) == name:
            found.append(unquote_plus(text))
        else:
            kept.append(pair)
    return _joined(kept, "&")


def _joined(kept: Iterable[str], separator: str) -> str | None:
    """Return what is left, None if nothing is."""
    return separator.join(kept) or None
