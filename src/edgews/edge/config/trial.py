"""A request to try rules on, as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from edgews.edge.forwarding.headers import Peer
from edgews.edge.policy.actions import Sender
from edgews.edge.policy.fields import MessageFacts
from edgews.edge.policy.lists import parse_address
from edgews.events import Request
from edgews.headers import Headers, field_fault

from .faults import ConfigError, Fault, fault_of, read_text
from .values import Table, known_keys


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _address(value: str | None) -> str | None:
    if value is not None and parse_address(value) is None:
        raise ValueError("an address of IPv4 or IPv6, or null")
    return value


def _headers(value: dict[str, list[str]]) -> dict[str, list[str]]:
    if any(field_fault(name, text) for name, texts in value.items() for text in texts):
        raise ValueError("header fields that may be sent")
    return value


Texts: TypeAlias = Annotated[list[str], BeforeValidator(_texts)]


class MessageTable(Table):
    """A message."""

    text: str | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    messages: Annotated[int, Field(ge=1)] = 1
    age: Annotated[float, Field(ge=0)] = 0.0
    sender: Literal["client", "origin"] = "client"

    def facts(self) -> MessageFacts:
        """Return what rules may ask of it; without a text it is binary."""
        data: str | bytes = b"" if self.text is None else self.text
        length = 0 if self.text is None else len(self.text.encode())
        size = length if self.size is None else self.size
        return MessageFacts(data, size, self.messages, self.age, Sender(self.sender))


class Trial(Table):
    """A request, and who sent it."""

    uri: Annotated[str, Field(min_length=1)]
    method: str = "GET"
    headers: Annotated[dict[str, Texts], AfterValidator(_headers)] = Field(default_factory=dict)
    peer: Annotated[str | None, AfterValidator(_address)] = "127.0.0.1"
    tls: bool = False
    country: str | None = None
    asn: int | None = None
    time: Annotated[float, Field(ge=0)] | None = None
    message: MessageTable | None = None

    def request(self) -> Request:
        """Return the request as it would come."""
        fields = [(name, text) for name, texts in self.headers.items() for text in texts]
        return Request(self.method, self.uri, Headers(fields))

    def from_peer(self, ray: str) -> Peer:
        """Return who sent it."""
        return Peer(self.peer, self.tls, ray)


def parse_trial(text: str, file: str) -> Trial:
    """Read a file.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        values: Any = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ConfigError(file, [Fault(0, "", "JSON: half a surrogate pair is no text")]) from None
    except json.JSONDecodeError as error:
        raise ConfigError(file, [Fault(error.lineno, "", f"JSON: {error.msg}")]) from None
    except (RecursionError, ValueError):
        raise ConfigError(file, [Fault(0, "", "JSON: too deep, or a number that is too long")]) from None
    try:
        return Trial.model_validate(values)
    except ValidationError as error:
        found = [
            # Lines are known of TOML only.
            replace(fault_of("", details, partial(known_keys, Trial)), line=0)
            for details in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigError(file, found) from None


def load_trial(path: Path) -> Trial:
    """Read and check a file.

    Raises:
        ConfigError: it cannot be read, or with everything that is wrong.
    """
    return parse_trial(read_text(path, "JSON"), str(path))
