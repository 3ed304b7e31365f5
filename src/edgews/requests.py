"""What the clients of all adapters ask for."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, TypedDict

from . import __version__
from .arguments import check, check_names, check_size, check_text
from .client import ClientConnection
from .errors import InvalidValueError
from .events import Delivery
from .extensions import PerMessageDeflate, offers
from .headers import Headers, HeadersLike, is_token
from .limits import DEFAULT_LIMITS, DEFAULT_TIMEOUTS, Limits, Timeouts
from .uri import URI

# Who asks, where the application does not say something else. RFC 9110 §10.1.5.
USER_AGENT: Final = f"edgews/{__version__}"

# The fields of an application that tell a stranger nothing that is not for him. All others may be keys, under
# names that nobody knows.
_HARMLESS: Final = frozenset(
    {"accept", "accept-language", "cache-control", "dnt", "origin", "pragma", "user-agent"}
)

# What a cookie's value may have, in quotation marks or not. RFC 6265 §4.1.1.
_COOKIE: Final = re.compile(r'[!#-+\--:<-\[\]-~]*|"[!#-+\--:<-\[\]-~]*"')


class RequestArguments(TypedDict, total=False):
    """The arguments of `connect` that make the request."""

    redirects: int
    origin: str | None
    subprotocols: Sequence[str]
    headers: HeadersLike
    cookies: Mapping[str, str]
    compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None
    delivery: Delivery
    limits: Limits
    timeouts: Timeouts


class ClientArguments(RequestArguments, total=False):
    """The arguments of `connect` that are the same everywhere, as `reconnect` hands them on."""

    proxy: str | bool | None


def check_lasting(arguments: Mapping[str, object]) -> None:
    """Make sure that `reconnect` can use its arguments more than once.

    Raises:
        TypeError: a byte stream is among them.
    """
    for name in ("sock", "stream"):
        if arguments.get(name) is not None:
            raise TypeError(f"{name} is good for one connection; leave it out to connect again")


@dataclass(slots=True, frozen=True, kw_only=True)
class ClientOptions:
    """The arguments of `connect` that make the request.

    Attributes:
        redirects: how many to follow.
        origin: the Origin field.
        subprotocols: offered, the preferred one first.
        headers: further fields.
        cookies: names and values.
        compression: what to offer for permessage-deflate, None for nothing.
        delivery: in which pieces messages come.
        limits: sizes in bytes.
        timeouts: times in seconds.
    """

    redirects: int = 0
    origin: str | None = None
    subprotocols: Sequence[str] = ()
    headers: HeadersLike = ()
    cookies: Mapping[str, str] = field(default_factory=dict)
    compression: PerMessageDeflate | Sequence[PerMessageDeflate] | None = None
    delivery: Delivery = Delivery.MESSAGES
    limits: Limits = DEFAULT_LIMITS
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    def __post_init__(self) -> None:
        check_size("redirects", self.redirects, 0)
        check_text("origin", self.origin)
        check_names("subprotocols", self.subprotocols)
        _check_cookies(self.cookies)
        offers(self.compression)
        check("delivery", self.delivery, Delivery, "a Delivery")
        check("limits", self.limits, Limits, "a Limits")
        check("timeouts", self.timeouts, Timeouts, "a Timeouts")
        # An iterator of fields would be used up by the first request.
        object.__setattr__(self, "headers", Headers(self.headers))

    def connection(self, uri: URI) -> ClientConnection:
        """Return the engine's connection for a request.

        A user and password in the URI become Basic credentials, unless a field says something else.

        Raises:
            InvalidValueError: a URI, subprotocol, field or cookie that may not be sent.

        RFC 7617 §2.
        """
        fields = list(Headers(self.headers))
        given = Headers(fields)
        if not given.has("User-Agent"):
            fields.append(("User-Agent", USER_AGENT))
        if uri.username is not None and not given.has("Authorization"):
            credentials = base64.b64encode(f"{uri.username}:{uri.password or ''}".encode()).decode()
            fields.append(("Authorization", f"Basic {credentials}"))
        if self.cookies:
            if given.has("Cookie"):
                raise InvalidValueError("cookies are given twice, as a field and as cookies")
            fields.append(("Cookie", _cookie_field(self.cookies)))
        return ClientConnection(
            uri,
            limits=self.limits,
            timeouts=self.timeouts,
            origin=self.origin,
            subprotocols=self.subprotocols,
            headers=fields,
            compression=self.compression,
            delivery=self.delivery,
        )

    def for_strangers(self) -> ClientOptions:
        """Return what another origin may see: no cookies, and no field that is not known to be harmless."""
        harmless = [field for field in Headers(self.headers) if field[0].lower() in _HARMLESS]
        return replace(self, headers=harmless, cookies={})


def _check_cookies(cookies: object) -> None:
    check("cookies", cookies, Mapping, "a mapping of names to values")
    assert isinstance(cookies, Mapping)
    for text in chain(cookies.keys(), cookies.values()):
        check("names and values of cookies", text, str, "str")


def _cookie_field(cookies: Mapping[str, str]) -> str:
    """Return the value of the Cookie field. RFC 6265 §4.2.1."""
    for name, value in cookies.items():
        if not is_token(name):
            raise InvalidValueError(f"cookie name {name!r} is not a token")
        # Not the value, which may be a secret.
        if not _COOKIE.fullmatch(value):
            raise InvalidValueError(f"cookie {name} has a character in its value that no cookie may have")
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
