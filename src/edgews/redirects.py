"""Where one call of `connect` goes: to the URI that was given, and on if the server says so.

An adapter asks for a connection, opens its byte stream, and comes back with the refusal if there was one.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from enum import Enum
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

from .client import ClientConnection
from .errors import InvalidValueError
from .events import Disconnected, Response
from .outcomes import InvalidHandshake, refusal
from .requests import ClientOptions
from .uri import URI, parse_uri

# The method is GET before and after, so there is no difference between them. RFC 9110 §15.4.
STATUSES: Final = frozenset({301, 302, 303, 307, 308})

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}

# `urljoin` overlooks some of these, where other programs do not.
_NOT_IN_URI: Final = re.compile(r"[\x00-\x20\x7f\\]")


class Reach(Enum):
    """How far redirects may lead."""

    ANYWHERE = "anywhere"
    ORIGIN = "the same origin, which is all that there is behind a Unix socket"
    NOWHERE = "nowhere: there is one byte stream, and the first answer uses it up"


class Course:
    """One call of `connect`.

    Attributes:
        uri: where the next connection goes.
        moved: whether that is another origin than the one that was asked for. What the caller said about the
            first server is not true of this one.
        deadline: until when the connection must be open, in the caller's clock; infinity for no limit.
    """

    def __init__(self, uri: URI, options: ClientOptions, now: float, reach: Reach = Reach.ANYWHERE) -> None:
        self.uri = uri
        self.moved = False
        open_time = options.timeouts.open
        self.deadline = math.inf if open_time is None else now + open_time
        self._options = options
        self._start = now
        self._left = 0 if reach is Reach.NOWHERE else options.redirects
        self._follows = self._left > 0
        self._reach = reach
        self._seen = {uri}

    def connection(self) -> ClientConnection:
        """Return the engine's connection for `uri`; its open timer has run from the beginning of the course.

        Raises:
            InvalidValueError: something may not be sent.
        """
        conn = self._options.connection(self.uri)
        list(conn.handle_timeout(self._start))
        return conn

    def turn(self, closed: Disconnected, response: Response | None) -> None:
        """Go where the server says.

        Raises:
            InvalidHandshake, TimeoutError: it says no, or what it says may not be followed.
        """
        error = refusal(closed, response)
        if response is None or response.status not in STATUSES or not self._follows:
            raise error
        try:
            target = _target(self.uri, response)
            stranger = _origin(target) != _origin(self.uri)
            self._check(target, stranger)
        except InvalidValueError as fault:
            detail = f"{closed.cause.detail}, and the redirect cannot be followed: {fault}"
            cause = replace(closed.cause, detail=detail, header="Location")
            raise InvalidHandshake(cause, response) from None
        self._left -= 1
        self._seen.add(target)
        self.uri = target
        if stranger:
            self.moved = True
            # For good, also if this one sends us back.
            self._options = self._options.for_strangers()

    def _check(self, target: URI, stranger: bool) -> None:
        if self.uri.secure and not target.secure:
            raise InvalidValueError("it leads from wss:// to ws://")
        if stranger and self._reach is Reach.ORIGIN:
            raise InvalidValueError("it leads to another origin than the one behind the Unix socket")
        if target in self._seen:
            raise InvalidValueError("it leads in a circle")
        if not self._left:
            raise InvalidValueError("there were too many")


def _origin(uri: URI) -> tuple[bool, str, int]:
    """Return what credentials are for. RFC 6454 §4."""
    return uri.secure, uri.host.lower(), uri.port


def _target(base: URI, response: Response) -> URI:
    """Return the URI that a redirect leads to.

    Raises:
        InvalidValueError: there is none, or it is not a WebSocket server's.

    RFC 9110 §10.2.2.
    """
    locations = response.headers.get_all("Location")
    if len(locations) != 1:
        raise InvalidValueError("Location is missing" if not locations else "there is more than one Location")
    (location,) = locations
    if _NOT_IN_URI.search(location):
        raise InvalidValueError("Location has a space, a backslash or a control character")
    here = f"{'https' if base.secure else 'http'}://{base.host_header}{base.target}"
    try:
        parts = urlsplit(urljoin(here, location))
    except ValueError:
        raise InvalidValueError("Location is malformed") from None
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None:
        raise InvalidValueError(f"Location leads to {parts.scheme}:")
    # Nobody but the caller says who we are; a fragment is for pages.
    host = parts.netloc.rpartition("@")[2]
    target = parse_uri(urlunsplit((scheme, host, parts.path, parts.query, "")))
    if _origin(target) == _origin(base):
        target = replace(target, username=base.username, password=base.password)
    return target
