"""The access log: one line of JSON when a connection opens, and one when it ends or is refused."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, Protocol

from edgews.edge.relay.ends import End
from edgews.edge.relay.tunnel import Tunnel

_log = logging.getLogger("edgews.edge")


@dataclass(slots=True)
class Subject:
    """Which request a record is about.

    Attributes:
        client: its address, None for a client of a Unix socket.
        target: without its query, which may be secret.
        notes: what happened on the way: rules that matched, origins that could not be reached.
    """

    ray: str
    client: str | None
    host: str
    target: str
    route: str
    origin: str
    notes: tuple[str, ...] = ()

    def record(self, event: str, time: float) -> dict[str, Any]:
        """Return the beginning of its records."""
        found: dict[str, Any] = {
            "event": event,
            "time": round(time, 3),
            "ray": self.ray,
            "client": self.client,
            "host": self.host,
            "target": self.target,
            "route": self.route,
            "origin": self.origin,
        }
        if self.notes:
            found["notes"] = list(self.notes)
        return found


def opened(subject: Subject, time: float) -> dict[str, Any]:
    """Return the record of a connection that is open."""
    return subject.record("open", time)


def refused(
    subject: Subject, time: float, *, status: int, cause: str, header: str, duration: float
) -> dict[str, Any]:
    """Return the record of a request that opened nothing.

    Args:
        status: of the answer; 0 if the client left before there was one.
        header: the field at fault, empty if it is none's.
    """
    return subject.record("refused", time) | {
        "status": status,
        "cause": cause,
        "header": header,
        "duration": round(duration, 6),
    }


def answered(
    subject: Subject,
    time: float,
    *,
    method: str,
    status: int,
    cause: str,
    bytes_up: int,
    bytes_down: int,
    duration: float,
) -> dict[str, Any]:
    """Return the record of a plain request that an origin has answered, maybe not to the end."""
    return subject.record("request", time) | {
        "method": method,
        "status": status,
        "cause": cause,
        "bytes_up": bytes_up,
        "bytes_down": bytes_down,
        "duration": round(duration, 6),
    }


def ended(subject: Subject, time: float, *, tunnel: Tunnel, end: End, duration: float) -> dict[str, Any]:
    """Return the record of a connection that has ended."""
    up, down = tunnel.client.scanner, tunnel.origin.scanner
    return subject.record("end", time) | {
        "code": end.code,
        "by": end.party.value,
        "why": end.why.value,
        "cause": end.cause,
        "messages_up": up.messages,
        "messages_down": down.messages,
        "dropped": up.dropped + down.dropped,
        "bytes_up": up.size,
        "bytes_down": down.size,
        "duration": round(duration, 6),
    }


class Stream(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class AccessLog:
    """Write records to a stream; one that takes nothing, as on a full disk, does not stop the gateway."""

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream
        # Lines lost since the last that was written.
        self._missing = 0

    def use(self, stream: Stream | None) -> None:
        """Write to another stream from now on."""
        self._stream = stream

    @property
    def on(self) -> bool:
        """Whether a record would be written."""
        return self._stream is not None

    def write(self, record: dict[str, Any]) -> bool:
        """Write one line; say whether it was lost."""
        if self._stream is None:
            return False
        try:
            self._stream.write(json.dumps(record, ensure_ascii=True) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            if not self._missing:
                _log.warning("The access log cannot be written, lines are lost: %s", error)
            self._missing += 1
            if isinstance(error, BrokenPipeError | ValueError):
                # Nobody will ever read it again.
                self._stream = None
            return True
        if self._missing:
            _log.warning("The access log is written again, without %d lines that were lost", self._missing)
            self._missing = 0
        return False
