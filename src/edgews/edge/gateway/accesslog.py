"""The access log: one line of JSON when a connection opens, and one when it ends or is refused."""

from __future__ import annotations

import json
from typing import Any, Protocol

from edgews.edge.relay.tunnel import End, Tunnel


def opened(
    *, ray: str, time: float, client: str | None, route: str, origin: str, target: str, host: str
) -> dict[str, Any]:
    """Return the record of a connection that is open."""
    return {
        "event": "open",
        "time": round(time, 3),
        "ray": ray,
        "client": client,
        "host": host,
        "target": target,
        "route": route,
        "origin": origin,
    }


def refused(
    *, ray: str, time: float, client: str | None, route: str, status: int, cause: str, duration: float
) -> dict[str, Any]:
    """Return the record of a request that opened nothing."""
    return {
        "event": "refused",
        "time": round(time, 3),
        "ray": ray,
        "client": client,
        "route": route,
        "status": status,
        "cause": cause,
        "duration": round(duration, 6),
    }


def answered(
    *,
    ray: str,
    time: float,
    client: str | None,
    route: str,
    origin: str,
    method: str,
    target: str,
    host: str,
    status: int,
    cause: str,
    bytes_up: int,
    bytes_down: int,
    duration: float,
) -> dict[str, Any]:
    """Return the record of a plain request that an origin has answered, maybe not to the end."""
    return {
        "event": "request",
        "time": round(time, 3),
        "ray": ray,
        "client": client,
        "host": host,
        "method": method,
        "target": target,
        "route": route,
        "origin": origin,
        "status": status,
        "cause": cause,
        "bytes_up": bytes_up,
        "bytes_down": bytes_down,
        "duration": round(duration, 6),
    }


def ended(
    *,
    ray: str,
    time: float,
    client: str | None,
    route: str,
    origin: str,
    tunnel: Tunnel,
    end: End,
    duration: float,
) -> dict[str, Any]:
    """Return the record of a connection that has ended."""
    up, down = tunnel.client.scanner, tunnel.origin.scanner
    return {
        "event": "end",
        "time": round(time, 3),
        "ray": ray,
        "client": client,
        "route": route,
        "origin": origin,
        "code": end.code,
        "by": end.party.value,
        "cause": end.cause,
        "messages_up": up.messages,
        "messages_down": down.messages,
        "dropped": up.dropped,
        "bytes_up": up.size,
        "bytes_down": down.size,
        "duration": round(duration, 6),
    }


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class AccessLog:
    """Write records to a stream."""

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream

    def use(self, stream: Stream | None) -> None:
        """Write to another stream from now on."""
        self._stream = stream

    def write(self, record: dict[str, Any]) -> None:
        """Write one line; a stream that takes nothing does not stop the gateway."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(record, ensure_ascii=True) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
