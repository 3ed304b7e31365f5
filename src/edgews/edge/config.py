"""`edgews.toml`: what it may say, checked as a whole. No file but this one is opened."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from edgews.headers import is_token
from edgews.limits import Limits, Timeouts

from .origins import Origin, parse_origin
from .positions import Path as KeyPath
from .positions import line_of

DEFAULT_FILE: Final = "edgews.toml"

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_SEGMENTS = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
_TOML_AT = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)")


def _seconds(value: object) -> object:
    return None if value == "off" else value


def _host(value: str) -> str:
    host = value.lower()
    if not _HOST.fullmatch(host):
        raise ValueError("a host name such as example.com, or *.example.com")
    return host


def _path(value: str) -> str:
    if not value.startswith("/") or not _SEGMENTS.fullmatch(value):
        raise ValueError("a path such as /chat, without escapes, queries and empty segments")
    return value


def _address(value: str) -> str:
    parse_address(value)
    return value


def _origin(value: str) -> str:
    parse_origin(value)
    return value


def _prefix(value: str) -> str:
    if not is_token(value) or not value.endswith("-"):
        raise ValueError("the beginning of a header name, with a hyphen at its end, such as X-Edgews-")
    return value


Seconds: TypeAlias = Annotated[float, Field(gt=0, lt=1e9)]
# "off" is the absence of a timer.
MaybeSeconds: TypeAlias = Annotated[Annotated[float, Field(gt=0, lt=1e9)] | None, BeforeValidator(_seconds)]
Size: TypeAlias = Annotated[int, Field(ge=1, le=1 << 40)]


@dataclass(slots=True, frozen=True)
class Fault:
    """Something that is wrong with a file.

    Attributes:
        line: counted from 1; 0 where it is not the fault of one line.
        key: such as `route[0].origins[1]`; empty for the file as a whole.
        expected: what should stand there.
    """

    line: int
    key: str
    expected: str


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Listen(_Table):
    """An address to listen on; with a certificate it speaks TLS."""

    address: Annotated[str, AfterValidator(_address)]
    certificate: str | None = None
    key: str | None = None


class Route(_Table):
    """Which requests go to which origins, and how their connections are kept."""

    name: str = ""
    host: Annotated[str, AfterValidator(_host)] | None = None
    path: Annotated[str, AfterValidator(_path)] = "/"
    origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], Field(min_length=1)]
    ca: str | None = None
    max_message_size: Size = Limits().max_message_size or 1 << 20
    max_frame_size: Size | None = None
    connect_timeout: Seconds = 5.0
    answer_timeout: Seconds = 10.0
    close_timeout: Seconds = 10.0
    idle_timeout: MaybeSeconds = None
    ping_interval: MaybeSeconds = 20.0
    ping_timeout: MaybeSeconds = 20.0
    max_age: MaybeSeconds = None

    def limits(self) -> Limits:
        """Return what the engine calls the sizes."""
        return Limits(max_message_size=self.max_message_size, max_frame_size=self.max_frame_size)

    def timeouts(self) -> Timeouts:
        """Return what the engine calls the times."""
        return Timeouts(
            close=self.close_timeout,
            idle=self.idle_timeout,
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
        )

    def parsed_origins(self) -> list[Origin]:
        """Return the origins as values."""
        return [parse_origin(origin) for origin in self.origins]


class Config(_Table):
    """The whole file."""

    listen: Annotated[list[Listen], Field(min_length=1)]
    route: Annotated[list[Route], Field(min_length=1)]
    access_log: str = "-"
    header_prefix: Annotated[str, AfterValidator(_prefix)] = "X-Edgews-"
    open_timeout: Seconds = 10.0
    max_connections: Annotated[int, Field(ge=1)] = 10_000
    max_header_size: Size = 16 * 1024
    drain_time: Annotated[float, Field(ge=0, lt=1e9)] = 10.0
    loop: Literal["auto", "asyncio", "uvloop"] = "auto"

    _text: str = PrivateAttr("")
    _file: str = PrivateAttr(DEFAULT_FILE)

    @property
    def file(self) -> str:
        """The name of the file that it comes from."""
        return self._file

    def fault(self, path: KeyPath, expected: str) -> Fault:
        """Describe what turns out to be wrong with a value only when it is used."""
        return Fault(line_of(self._text, path), _key(path), expected)


class ConfigError(Exception):
    """A file that cannot be used, with all its faults; their texts have no values, which may be secret."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file = file
        self.faults = faults
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line for each fault: file, line, key, what was expected."""
        return [
            ":".join([self.file, *([str(fault.line)] if fault.line else [])])
            + ": "
            + (f"{fault.key}: " if fault.key else "")
            + fault.expected
            for fault in self.faults
        ]


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


def parse_config(text: str, file: str = DEFAULT_FILE) -> Config:
    """Check a file as a whole.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_AT.search(str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        raise ConfigError(file, [Fault(line, "", f"TOML: {_TOML_AT.sub('', str(error))}")]) from None
    return check_values(values, text, file)


def check_values(values: dict[str, Any], text: str, file: str) -> Config:
    """Check what a file says.

    Args:
        text: the file, to find the lines of mistakes; empty if there is none.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        faults = [_fault(text, details) for details in error.errors(include_url=False, include_input=False)]
    else:
        config._text, config._file = text, file
        faults = [config.fault(path, expected) for path, expected in _contradictions(config)]
        if not faults:
            return config
    raise ConfigError(file, sorted(faults, key=lambda fault: fault.line))


def load_config(path: Path) -> Config:
    """Read and check a file.

    Raises:
        ConfigError: it cannot be read, or with everything that is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(str(path), [Fault(0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [Fault(line, "", "TOML is written in UTF-8")]) from None
    return parse_config(text, str(path))


def _contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    """Return what is wrong although each value for itself is right."""
    found: list[tuple[KeyPath, str]] = []
    addresses: set[str] = set()
    for at, listen in enumerate(config.listen):
        if listen.address in addresses:
            found.append((("listen", at, "address"), "each address once"))
        addresses.add(listen.address)
        for one, other in (("certificate", "key"), ("key", "certificate")):
            if getattr(listen, one) is not None and getattr(listen, other) is None:
                found.append((("listen", at, one), f"{other} beside it: TLS needs both"))
    places: set[tuple[str | None, str]] = set()
    for at, route in enumerate(config.route):
        place = (route.host, route.path.rstrip("/"))
        if place in places:
            found.append((("route", at), "another host or path: an earlier route has the same"))
        places.add(place)
        if route.max_frame_size is not None and route.max_frame_size > route.max_message_size:
            found.append((("route", at, "max_frame_size"), "at most max_message_size"))
    return found


# What pydantic calls a mistake -> what was expected, with its own words in between.
_EXPECTED: Final = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": 'a number, or "off" where that is allowed',
    "list_type": "a list",
    "model_type": "a table",
    "too_short": "at least one",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "value_error": "{error}",
}


def _fault(text: str, details: Any) -> Fault:
    path = tuple(details["loc"])
    if details["type"] == "extra_forbidden":
        return Fault(line_of(text, path), _key(path), f"no such key here; known are {_known(path)}")
    if details["type"] == "missing":
        return Fault(line_of(text, path[:-1]), _key(path), "this key is missing")
    expected = str(_EXPECTED.get(details["type"], details["msg"])).format_map(details.get("ctx") or {})
    return Fault(line_of(text, path), _key(path), f"expected {expected}")


def _known(path: KeyPath) -> str:
    tables: dict[object, type[BaseModel]] = {"listen": Listen, "route": Route}
    table = Config if len(path) == 1 else tables[path[0]]
    return ", ".join(table.model_fields)


def _key(path: KeyPath) -> str:
    """Write a path as people do: `route[0].origins`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step}" if written else step
    return written
