"""Signed tokens that are good for a time, and if wanted for one host and one path only.

    v1.KEY-ID.CLAIMS.SIGNATURE

CLAIMS is JSON in base64url, SIGNATURE is HMAC-SHA256 over all in front of it. A token has one spelling:
nothing of it can be changed without making it another one.

RFC 2104; RFC 4648 §5.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .normalize import is_under

VERSION = "v1"
# HMAC's key should be no shorter than what it puts out. RFC 2104 §3.
MIN_SECRET = 32
# Far more than host, path and nonce need; a longer one is not looked at.
MAX_TOKEN = 2048

KEY_ID = re.compile(r"[\w-]{1,32}", re.ASCII)
_TOKEN = re.compile(r"v1\.(?P<key_id>[\w-]{1,32})\.(?P<claims>[\w-]+)\.(?P<signature>[\w-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """A secret and its name, which stands in the token: so keys can be changed one after the other."""

    key_id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not KEY_ID.fullmatch(self.key_id):
            raise ValueError(f"key id {self.key_id!r} is not 1 to 32 letters, digits, _ and -")
        if len(self.secret) < MIN_SECRET:
            raise ValueError(f"the secret of key {self.key_id} is shorter than {MIN_SECRET} bytes")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token is good for.

    Attributes:
        expires: the second, since 1970, from which it is not good any more.
        host: the host in lower case; None for any.
        path: a normalised path; one with a slash at its end stands for all below it; None for any.
        subject: whom it was made for, if anybody.
        nonce: what makes it unlike others.
    """

    expires: int
    host: str | None = None
    path: str | None = None
    subject: str | None = None
    nonce: str | None = None


class Fault(Enum):
    """Why a token is not good."""

    MISSING = "there is no token"
    MALFORMED = "this is no token"
    UNKNOWN_KEY = "it was signed with a key that is not known"
    BAD_SIGNATURE = "its signature is wrong"
    EXPIRED = "it has expired"
    TOO_LONG = "it is good for longer than a token may be"
    OTHER_HOST = "it is for another host"
    OTHER_PATH = "it is for another path"


@dataclass(frozen=True, slots=True)
class Check:
    """What became of a token: its claims if the signature is right, and what is wrong if something is."""

    claims: Claims | None
    fault: Fault | None

    @property
    def good(self) -> bool:
        """Whether it opens the door."""
        return self.fault is None


# Names in the JSON: short ones, for tokens travel in URIs.
_NAMES = {"expires": "exp", "host": "host", "path": "path", "subject": "sub", "nonce": "nonce"}


def make(key: Key, claims: Claims) -> str:
    """Return a token; the characters it is made of need no encoding in a URI or a header field.

    Raises:
        ValueError: it would be longer than `MAX_TOKEN`.
    """
    values = {short: getattr(claims, name) for name, short in _NAMES.items()}
    text = json.dumps(
        {short: value for short, value in values.items() if value is not None}, separators=(",", ":")
    )
    body = f"{VERSION}.{key.key_id}.{_encode(text.encode())}"
    token = f"{body}.{_encode(_sign(key, body))}"
    if len(token) > MAX_TOKEN:
        raise ValueError(f"the token would be longer than {MAX_TOKEN} characters")
    return token


def check(
    token: str | None,
    keys: Mapping[str, Key],
    now: float,
    *,
    host: str,
    path: str,
    max_lifetime: float | None = None,
) -> Check:
    """Say whether a token is good for `path` at `host`.

    Args:
        token: as the client sent it; None or empty if it sent none.
        keys: by their ids.
        now: seconds since 1970.
        host: in lower case, without a port.
        path: normalised, see `edgews.edge.policy.normalize`.
        max_lifetime: seconds; a token that is good for longer from now on is not accepted.
    """
    if not token:
        return Check(None, Fault.MISSING)
    match = _TOKEN.fullmatch(token) if len(token) <= MAX_TOKEN else None
    if match is None:
        return Check(None, Fault.MALFORMED)
    key = keys.get(match["key_id"])
    if key is None:
        return Check(None, Fault.UNKNOWN_KEY)
    body = token[: match.start("signature") - 1]
    # The signature is compared as text, so it has one spelling.
    if not hmac.compare_digest(_encode(_sign(key, body)), match["signature"]):
        return Check(None, Fault.BAD_SIGNATURE)
    claims = _claims(match["claims"])
    if claims is None:
        return Check(None, Fault.MALFORMED)
    return Check(claims, _fault(claims, now, host, path, max_lifetime))


def _fault(claims: Claims, now: float, host: str, path: str, max_lifetime: float | None) -> Fault | None:
    if now >= claims.expires:
        return Fault.EXPIRED
    if max_lifetime is not None and claims.expires > now + max_lifetime:
        return Fault.TOO_LONG
    if claims.host is not None and claims.host != host:
        return Fault.OTHER_HOST
    if (
        claims.path is None
        or claims.path == path
        or (claims.path.endswith("/") and is_under(path, claims.path))
    ):
        return None
    return Fault.OTHER_PATH


def _claims(encoded: str) -> Claims | None:
    """Read what somebody with the key has signed; it may still be nonsense."""
    try:
        values: Any = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not values.keys() <= set(_NAMES.values()):
        return None
    # Not isinstance: True is an int.
    wanted = {short: int if short == "exp" else str for short in values}
    if "exp" not in values or any(type(values[short]) is not wanted[short] for short in values):
        return None
    return Claims(values["exp"], *map(values.get, ("host", "path", "sub", "nonce")))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign(key: Key, body: str) -> bytes:
    return hmac.digest(key.secret, body.encode(), hashlib.sha256)
