"""What rules may ask about a request, a client and a message: Cloudflare's fields, by their names.

A text that is not there is empty, not null, so that asking never fails. Null are only `ip.src`, for a
client without an address, and what a database would have to know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from edgews.headers import Headers

from .actions import Sender
from .lists import client_group
from .normalize import Target, host_name

if TYPE_CHECKING:
    from .cel import Value


@dataclass(slots=True)
class UpgradeFacts:
    """What is known of a request; nobody changes it.

    Attributes:
        method: as it came.
        target: normalised.
        headers: as they came from the client.
        client: its address; None for one that has none.
        secure: whether it came with TLS.
        ray_id: the name of the request.
        country: two letters, None if there is no database or it does not know.
        asn: the number of the client's network, None likewise.
        host: the name in the field Host: in lower case, without a port.
    """

    method: str
    target: Target
    headers: Headers
    client: str | None
    secure: bool
    ray_id: str
    country: str | None = None
    asn: int | None = None
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.host = host_name(self.headers.get("Host") or "")


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """What is known of a message besides the request before it.

    Attributes:
        data: the message; `str` is text.
        size: in bytes.
        messages: how many its sender has sent, with this one.
        age: of the connection, in seconds.
        sender: who has sent it.
    """

    data: str | bytes
    size: int
    messages: int
    age: float
    sender: Sender = Sender.CLIENT


class Kind(Enum):
    """What the value of a field is."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "true or false"
    MAP = "map of names to lists of texts"


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name, what it is, and how it is found in the facts.

    `of_message` fields read `MessageFacts`, others `UpgradeFacts`.
    """

    name: str
    kind: Kind
    summary: str
    read: Callable[[Any], Value]
    of_message: bool = False

    @property
    def variable(self) -> str:
        """The name in the evaluator, which knows no dots in names; it has the same length."""
        return self.name.replace(".", "_")


def _header(name: str, facts: UpgradeFacts) -> str:
    return facts.headers.get(name) or ""


def _arguments(facts: UpgradeFacts) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(facts.target.query or "", keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def _cookies(facts: UpgradeFacts) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in facts.headers.get_all("Cookie"):
        for pair in line.split(";"):
            name, equals, value = pair.partition("=")
            if equals:
                found.setdefault(name.strip(), []).append(value.strip())
    return found


FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("http.host", Kind.TEXT, "host in lower case, without a port", lambda facts: facts.host),
        Field("http.request.method", Kind.TEXT, "method", lambda facts: facts.method),
        Field("http.request.uri", Kind.TEXT, "path and query", lambda facts: str(facts.target)),
        Field("http.request.uri.path", Kind.TEXT, "normalised path", lambda facts: facts.target.path),
        Field("http.request.uri.query", Kind.TEXT, "query", lambda facts: facts.target.query or ""),
        Field("http.request.uri.args", Kind.MAP, "arguments in the query, decoded", _arguments),
        Field("http.request.headers", Kind.MAP, "fields, names in lower case", lambda f: f.headers.by_name()),
        Field("http.request.cookies", Kind.MAP, "cookies", _cookies),
        Field("http.user_agent", Kind.TEXT, "field User-Agent", partial(_header, "User-Agent")),
        Field("http.referer", Kind.TEXT, "field Referer", partial(_header, "Referer")),
        Field("http.origin", Kind.TEXT, "field Origin", partial(_header, "Origin")),
        Field(
            "http.x_forwarded_for", Kind.TEXT, "field X-Forwarded-For", partial(_header, "X-Forwarded-For")
        ),
        Field("ip.src", Kind.TEXT, "address of the client, or null", lambda facts: facts.client),
        Field("ip.src.country", Kind.TEXT, "country of the client, or null", lambda facts: facts.country),
        Field("ip.src.asnum", Kind.NUMBER, "network of the client, or null", lambda facts: facts.asn),
        Field("ssl", Kind.FLAG, "whether the client came with TLS", lambda facts: facts.secure),
        Field("ray_id", Kind.TEXT, "name of the request", lambda facts: facts.ray_id),
        Field("message.type", Kind.TEXT, "text or binary", lambda f: _type(f), True),
        Field("message.size", Kind.NUMBER, "bytes of the message", lambda facts: facts.size, True),
        Field("message.text", Kind.TEXT, "the message if it is text", lambda f: _text(f), True),
        Field("message.sender", Kind.TEXT, "client or origin", lambda facts: facts.sender.value, True),
        Field(
            "connection.messages", Kind.NUMBER, "messages of this sender so far", lambda f: f.messages, True
        ),
        Field("connection.age", Kind.NUMBER, "seconds since it opened", lambda facts: float(facts.age), True),
    )
}


def _type(facts: MessageFacts) -> str:
    return "text" if isinstance(facts.data, str) else "binary"


def _text(facts: MessageFacts) -> str:
    return facts.data if isinstance(facts.data, str) else ""


class Characteristics:
    """What makes requests one client's, for a rate limit.

    `names` are fields, or an entry of one: `http.request.headers["x-api-key"]`. Without any, all are
    counted together. By `ip.src`, the addresses of one network of IPv6 are one: see `client_group`.

    Raises:
        ValueError: a name is neither.
    """

    __slots__ = ("_readers", "names")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._readers = [_reader(name) for name in names]

    def key(self, facts: UpgradeFacts) -> tuple[str, ...]:
        """Return the key of a request; what is not there is empty."""
        return tuple(read(facts) for read in self._readers)


def _reader(name: str) -> Callable[[UpgradeFacts], str]:
    base, bracket, rest = name.partition("[")
    field = FIELDS.get(base)
    quoted = len(rest) > 3 and rest[-1] == "]" and rest[0] == rest[-2] and rest[0] in "\"'"
    if field is None or field.of_message or (field.kind is Kind.MAP) is not bool(bracket):
        raise ValueError(f"{name!r} is nothing to tell clients apart by")
    read = field.read
    if name == "ip.src":
        return lambda facts: client_group(facts.client)
    if not bracket:
        return lambda facts: _as_text(read(facts))
    if not quoted:
        raise ValueError(f'{name!r} names no entry, as in {base}["name"]')
    # As `by_name` has them.
    entry = rest[1:-2].lower() if base == "http.request.headers" else rest[1:-2]
    return lambda facts: _entry(read(facts), entry)


def _as_text(value: Value) -> str:
    return "" if value is None else str(value)


def _entry(values: Any, name: str) -> str:
    return ", ".join(values.get(name, ()))
