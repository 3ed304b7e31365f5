"""The tables of `edgews.toml`, and what they mean to the engine."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, PrivateAttr

from edgews.edge.forwarding.origins import Origin, parse_origin
from edgews.edge.policy.actions import Stage
from edgews.limits import Limits, Timeouts

from .admin import Admin
from .faults import Fault, key_of
from .health import Health
from .policies import Name, PolicyTables, Proxy
from .positions import Path as KeyPath
from .positions import line_of
from .processes import ControlPath, Workers
from .values import (
    Address,
    FieldValues,
    HeaderPrefix,
    Host,
    LogText,
    MaybeSeconds,
    OriginText,
    Path,
    Seconds,
    Size,
    Table,
)

DEFAULT_FILE: Final = "edgews.toml"


class Listen(Table):
    """An address to listen on; with a certificate it speaks TLS."""

    address: Address
    certificate: str | None = None
    key: str | None = None
    proxy_protocol: list[Proxy] = Field(default_factory=list)


class Route(Table):
    """Which requests go to which origins, and how their connections are kept."""

    name: str = ""
    host: Host | None = None
    path: Path = "/"
    headers: FieldValues = Field(default_factory=dict)
    when: str | None = None
    origins: Annotated[list[OriginText], Field(min_length=1)]
    ca: str | None = None
    health: Health | None = None
    http: bool = True
    max_body_size: Size = 10 << 20
    stream_timeout: Seconds = 60.0
    max_message_size: Size = Limits().max_message_size or 1 << 20
    max_frame_size: Size | None = None
    connect_timeout: Seconds = 5.0
    answer_timeout: Seconds = 10.0
    close_timeout: Seconds = 10.0
    idle_timeout: MaybeSeconds = None
    ping_interval: MaybeSeconds = 20.0
    ping_timeout: MaybeSeconds = 20.0
    max_age: MaybeSeconds = None
    inspect: Literal["auto", "frames", "messages"] = "auto"
    compression: Literal["both", "client", "origin", "off"] = "both"
    message_limiter: Name | None = None

    @property
    def title(self) -> str:
        """What it is called: its name, or where it begins."""
        return self.name or f"{self.host or '*'}{self.path}"

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


class Config(PolicyTables):
    """The whole file."""

    listen: Annotated[list[Listen], Field(min_length=1)]
    route: Annotated[list[Route], Field(min_length=1)]
    admin: Admin | None = None
    access_log: LogText = "-"
    header_prefix: HeaderPrefix = "X-Edgews-"
    open_timeout: Seconds = 10.0
    max_connections: Annotated[int, Field(ge=1)] = 10_000
    max_opening: Annotated[int, Field(ge=1)] = 4096
    max_opening_per_client: Annotated[int, Field(ge=1)] = 1024
    max_header_size: Size = 16 * 1024
    drain_time: Annotated[float, Field(ge=0, lt=1e9)] = 10.0
    loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    workers: Workers = 1
    worker_timeout: MaybeSeconds = 30.0
    control: ControlPath = "off"

    _text: str = PrivateAttr("")
    _file: str = PrivateAttr(DEFAULT_FILE)

    def come_from(self, text: str, file: str) -> None:
        """Remember the file, for what turns out to be wrong later."""
        self._text, self._file = text, file

    @property
    def file(self) -> str:
        """The name of the file that it comes from."""
        return self._file

    def inspects(self, route: Route) -> bool:
        """Say whether the messages of a route are inspected, and not its frames alone."""
        if route.inspect == "auto":
            return any(rule.stage is Stage.MESSAGE for rule in self.rule)
        return route.inspect == "messages"

    def fault(self, path: KeyPath, expected: str) -> Fault:
        """Describe what turns out to be wrong with a value only when it is used."""
        return Fault(line_of(self._text, path), key_of(path), expected)
