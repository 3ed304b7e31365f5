"""Values of `edgews.toml`: what one key may have, and what is said of one that has something else."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from edgews.edge.forwarding.headers import Identity
from edgews.edge.forwarding.origins import parse_origin
from edgews.edge.policy.normalize import normalize
from edgews.headers import is_token

from .positions import Path as KeyPath

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_SEGMENTS = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")


def off(value: object) -> object:
    """Return None for "off", which is the absence of a thing."""
    return None if value == "off" else value


def _host(value: str) -> str:
    host = value.lower()
    if not _HOST.fullmatch(host):
        raise ValueError("a host name such as example.com, or *.example.com")
    return host


def _path(value: str) -> str:
    if not value.startswith("/") or not _SEGMENTS.fullmatch(value):
        raise ValueError("a path such as /chat, without escapes, queries and empty segments")
    if normalize(value).path != value:
        raise ValueError("a path without dot segments")
    if value.endswith("*"):
        # Everybody who writes this means what is so in any case, and no asterisk.
        raise ValueError("a path without * at its end: all below it belongs to it")
    return value


def _log(value: str) -> str:
    if not value:
        raise ValueError('a file, "-" for the standard output, or "off"')
    return value


def _address(value: str) -> str:
    parse_address(value)
    return value


def _origin(value: str) -> str:
    parse_origin(value)
    return value


def _prefix(value: str) -> str:
    Identity(value)
    return value


def _fields(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not is_token(name) or not text.isascii() or not text.isprintable() or text != text.strip():
            raise ValueError("names of header fields with their values")
    return value


class Table(BaseModel):
    """A table of the file: it has the keys that are listed, with values of just these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


Seconds: TypeAlias = Annotated[float, Field(gt=0, lt=1e9)]
# "off" is the absence of a timer.
MaybeSeconds: TypeAlias = Annotated[Annotated[float, Field(gt=0, lt=1e9)] | None, BeforeValidator(off)]
Size: TypeAlias = Annotated[int, Field(ge=1, le=1 << 40)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]
Host: TypeAlias = Annotated[str, AfterValidator(_host)]
Path: TypeAlias = Annotated[str, AfterValidator(_path)]
FieldValues: TypeAlias = Annotated[dict[str, str], AfterValidator(_fields)]
OriginText: TypeAlias = Annotated[str, AfterValidator(_origin)]
LogText: TypeAlias = Annotated[str, AfterValidator(_log)]
HeaderPrefix: TypeAlias = Annotated[str, AfterValidator(_prefix)]


def parse_address(text: str) -> tuple[str, int] | str:
    """Return host and port, or the path of a Unix socket.

    Raises:
        ValueError: the text is neither.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError("host:port, [IPv6]:port or unix:/path")
        return path
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("host:port, [IPv6]:port or unix:/path")
    return host, int(port)


def known_keys(table: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that the table has where the last step of a path, from `table` on, is none of them."""
    steps = iter(path[:-1])
    for step in steps:
        if isinstance(step, str):
            annotation = _keys(table)[step].annotation
            (table,) = _tables(annotation)
            if get_origin(annotation) is dict:
                # The name that somebody gave it.
                next(steps, None)
    return list(_keys(table))


def _keys(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the keys of a table as they stand in a file."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _tables(annotation: Any) -> list[type[BaseModel]]:
    """Return the tables that a key may have as its value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables(part)]
