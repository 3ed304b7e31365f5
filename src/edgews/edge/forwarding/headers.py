"""What a proxy does to header fields: some end with each hop, some only the gateway may say.

RFC 9110 §7.6; RFC 7239 for what X-Forwarded-For and its kin are older forms of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from edgews.edge.policy.lists import Networks, parse_address
from edgews.handshake import UPGRADE_FIELDS
from edgews.headers import Headers, is_token, split_list

# They belong to one connection: RFC 9110 §7.6.1, and what older software sends.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Whatever Connection names, these stay: they say what the message is, or who may do what. A client that
# could have Origin or Content-Length removed would slip past a check, or past the end of the message.
KEPT = frozenset(
    {
        "authorization",
        "content-length",
        "cookie",
        "host",
        "origin",
        "set-cookie",
        "www-authenticate",
    }
)
KEPT_PREFIX = "sec-"
# Who a client is and how it came. Behind the gateway they mean what a proxy said.
IDENTITY = frozenset(
    {
        "client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "fastly-client-ip",
        "forwarded",
        "forwarded-for",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-proto",
        "x-forwarded-protocol",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-original-forwarded-for",
        "x-real-ip",
    }
)
# How names begin that only proxies use: for users they have logged in, certificates they have seen and the
# like. From anybody else they are lies.
OF_PROXIES = ("cf-", "x-forwarded-")
_SIGN = re.compile(r"[^0-9a-z]")
# Proxies one request may have come through, as far as anybody looks.
MAX_HOPS = 32
MAX_RAY_ID = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """Names of the fields that tell an origin who the client is; all begin with `prefix`.

    Attributes:
        client_address: the field with the client's address.
        ray_id: the field with the name of this request in logs.
    """

    prefix: str = "X-Edgews-"
    client_address: str = field(init=False)
    ray_id: str = field(init=False)

    def __post_init__(self) -> None:
        if not is_token(self.prefix) or "_" in self.prefix or not self.prefix.endswith("-"):
            raise ValueError(
                "the beginning of a header name, with a hyphen at its end, such as X-Edgews-, and without _"
            )
        object.__setattr__(self, "client_address", f"{self.prefix}Client-IP")
        object.__setattr__(self, "ray_id", f"{self.prefix}Ray")


@dataclass(slots=True)
class Peer:
    """Who sent the request to the gateway.

    Attributes:
        address: of the other end of the connection; None when it came through a Unix socket.
        secure: whether that connection is TLS.
        ray_id: what this request is called, unless a trusted proxy has called it something.
    """

    address: str | None
    secure: bool
    ray_id: str


@dataclass(slots=True)
class Forwarded:
    """Fields for the origin, and what they say.

    Attributes:
        headers: without Connection and Upgrade, unless `upgrade` was asked for.
        client: the address of the client as far as it can be known; None through a Unix socket.
        secure: whether the client came with TLS.
        ray_id: the name of this request.
        trusted: whether the peer was believed.
    """

    headers: Headers
    client: str | None
    secure: bool
    ray_id: str
    trusted: bool


def to_origin(
    headers: Headers,
    peer: Peer,
    *,
    trusted: Networks,
    identity: Identity,
    trust_unix: bool = False,
    upgrade: bool = False,
) -> Forwarded:
    """Return the fields to send to the origin.

    `trusted` are the proxies in front, which are believed what they say about the client, and
    `trust_unix` those that come through a Unix socket. `upgrade` asks the origin for a WebSocket.
    """
    address, text = (None, None) if peer.address is None else _address_of(peer.address)
    believed = trust_unix if peer.address is None else address in trusted
    chain: list[str] = []
    client, secure, ray_id = text, peer.secure, peer.ray_id
    hosts = headers.get_all("Host")
    if believed:
        said = headers.by_name()
        chain = [entry for value in said.get("x-forwarded-for", []) for entry in split_list(value)]
        client = _client(chain, address, trusted)
        proto = _last(said.get("x-forwarded-proto", []))
        secure = proto == "https" if proto in ("http", "https") else secure
        named = _last(said.get(identity.ray_id.lower(), [])) or ""
        ray_id = named if is_token(named) and len(named) <= MAX_RAY_ID else ray_id
        hosts = said.get("x-forwarded-host", hosts)
    dropped = _HOP | _IDENTITY if believed else _HOP | _IDENTITY | _OF_PROXIES
    fields = _passing(headers, identity, dropped)
    if text is not None:
        chain.append(text)
    if chain:
        fields.append(("X-Forwarded-For", ", ".join(chain)))
    fields.append(("X-Forwarded-Proto", "https" if secure else "http"))
    if hosts:
        fields.append(("X-Forwarded-Host", hosts[0]))
    if client is not None:
        fields.append((identity.client_address, client))
    fields.append((identity.ray_id, ray_id))
    if upgrade:
        fields += UPGRADE_FIELDS
    return Forwarded(Headers.of(fields), client, secure, ray_id, believed)


def to_client(headers: Headers, ray_id: str, *, identity: Identity, upgrade: bool = False) -> Headers:
    """Return the fields of the origin's response for the client; `upgrade` if it is a 101. RFC 9110 §8.6."""
    fields = _passing(headers, identity, _HOP | _RAY | _LENGTH if upgrade else _HOP | _RAY)
    fields.append((identity.ray_id, ray_id))
    if upgrade:
        fields += UPGRADE_FIELDS
    return Headers.of(fields)


def _passing(headers: Headers, identity: Identity, dropped: int) -> list[tuple[str, str]]:
    """Return the fields without those of some kinds, and without those that Connection names.

    RFC 9110 §7.6.1.
    """
    prefix = identity.prefix
    passing: list[tuple[str, str]] = []
    named: frozenset[str] = frozenset()
    for pair in headers:
        kind = _kind(pair[0], prefix)
        if not kind & dropped:
            passing.append(pair)
        elif kind & _CONNECTION:
            named |= _named(pair[1])
    if named:
        passing = [(name, value) for name, value in passing if name.lower() not in named]
    return passing


# What kinds of fields there are. A name comes again with each request, and what it is of is looked up once.
_HOP, _CONNECTION, _IDENTITY, _OF_PROXIES, _RAY, _LENGTH = 1, 2, 4, 8, 16, 32


@lru_cache(maxsize=1024)
def _kind(name: str, prefix: str) -> int:
    """Return of which kinds a field is, for an identity with this prefix.

    Names are compared as servers do that turn fields into variables: there `_` is `-`, and with some of them
    every other sign as well.
    """
    lower = name.lower()
    plain = _SIGN.sub("-", lower)
    ours = _SIGN.sub("-", prefix.lower())
    kinds = (
        (_HOP, plain in HOP_BY_HOP),
        (_CONNECTION, lower == "connection"),
        (_IDENTITY, plain in IDENTITY or plain.startswith(ours)),
        (_OF_PROXIES, plain.startswith(OF_PROXIES)),
        (_RAY, plain == f"{ours}ray"),
        (_LENGTH, lower == "content-length"),
    )
    return sum(kind for kind, fits in kinds if fits)


@lru_cache(maxsize=256)
def _named(value: str) -> frozenset[str]:
    """Return what Connection takes away besides what never passes."""
    tokens = {token.lower() for token in split_list(value)}
    return frozenset(name for name in tokens - KEPT - HOP_BY_HOP if not name.startswith(KEPT_PREFIX))


@lru_cache(maxsize=1024)
def _address_of(peer: str) -> tuple[IPv4Address | IPv6Address | None, str | None]:
    """Return the address of a peer, and how it is written."""
    address = parse_address(peer)
    return address, None if address is None else str(address)


def _last(values: Sequence[str]) -> str | None:
    """Return the last element of a list, which the nearest proxy added."""
    elements = [element for value in values for element in split_list(value)]
    return elements[-1] if elements else None


def _client(chain: Sequence[str], peer: IPv4Address | IPv6Address | None, trusted: Networks) -> str | None:
    """Follow the chain back from the peer while who speaks is trusted and says an address."""
    client = peer
    for entry in reversed(chain[-MAX_HOPS:]):
        if client is not None and client not in trusted:
            break
        address = _address(entry)
        if address is None:
            break
        client = address
    return None if client is None else str(client)


def _address(entry: str) -> IPv4Address | IPv6Address | None:
    """Return the address in an entry, which may have a port."""
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    return parse_address(entry)
