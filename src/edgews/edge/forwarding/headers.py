"""What a proxy does to header fields: some end with each hop, some only the gateway may say.

RFC 9110 §7.6; RFC 7239 for what X-Forwarded-For and its kin are older forms of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    """Names of the fields that tell an origin who the client is; all begin with `prefix`."""

    prefix: str = "X-Edgews-"

    def __post_init__(self) -> None:
        if not is_token(self.prefix) or "_" in self.prefix or not self.prefix.endswith("-"):
            raise ValueError(
                "the beginning of a header name, with a hyphen at its end, such as X-Edgews-, and without _"
            )

    @property
    def client_address(self) -> str:
        """The field with the client's address."""
        return f"{self.prefix}Client-IP"

    @property
    def ray_id(self) -> str:
        """The field with the name of this request in logs."""
        return f"{self.prefix}Ray"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
    address = parse_address(peer.address) if peer.address is not None else None
    believed = trust_unix if peer.address is None else address in trusted
    said = headers.by_name() if believed else {}
    chain = [entry for value in said.get("x-forwarded-for", []) for entry in split_list(value)]
    client = _client(chain, address, trusted)
    proto = _last(said.get("x-forwarded-proto", []))
    secure = proto == "https" if proto in ("http", "https") else peer.secure
    ray_id = _last(said.get(identity.ray_id.lower(), [])) or ""
    if not is_token(ray_id) or len(ray_id) > MAX_RAY_ID:
        ray_id = peer.ray_id
    hosts = said.get("x-forwarded-host", []) or headers.get_all("Host")

    fields = [
        (name, value)
        for name, value in strip_hop_by_hop(headers)
        if not _is_identity(name, identity) and (believed or not _is_of_proxies(name))
    ]
    if address is not None:
        chain.append(str(address))
    if chain:
        fields.append(("X-Forwarded-For", ", ".join(chain)))
    fields.append(("X-Forwarded-Proto", "https" if secure else "http"))
    fields += [("X-Forwarded-Host", host) for host in hosts[:1]]
    if client is not None:
        fields.append((identity.client_address, client))
    fields.append((identity.ray_id, ray_id))
    if upgrade:
        fields += UPGRADE_FIELDS
    return Forwarded(Headers.of(fields), client, secure, ray_id, believed)


def to_client(headers: Headers, ray_id: str, *, identity: Identity, upgrade: bool = False) -> Headers:
    """Return the fields of the origin's response for the client; `upgrade` if it is a 101."""
    ours = _plain(identity.ray_id)
    fields = [(name, value) for name, value in strip_hop_by_hop(headers) if _plain(name) != ours]
    fields.append((identity.ray_id, ray_id))
    if upgrade:
        fields += UPGRADE_FIELDS
    return Headers.of(fields)


def strip_hop_by_hop(headers: Headers) -> Headers:
    """Return the fields without those that end with this hop, by their own nature or by Connection.

    RFC 9110 §7.6.1.
    """
    named = {token.lower() for value in headers.get_all("Connection") for token in split_list(value)}
    named = {name for name in named if name not in KEPT and not name.startswith(KEPT_PREFIX)}
    return Headers.of(
        (name, value)
        for name, value in headers
        if name.lower() not in named and _plain(name) not in HOP_BY_HOP
    )


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    """Return a name as servers compare it that turn fields into variables.

    There `_` is `-`, and with some of them every other sign as well.
    """
    return _SIGN.sub("-", name.lower())


def _is_identity(name: str, identity: Identity) -> bool:
    plain = _plain(name)
    return plain in IDENTITY or plain.startswith(_plain(identity.prefix))


def _is_of_proxies(name: str) -> bool:
    return _plain(name).startswith(OF_PROXIES)


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
