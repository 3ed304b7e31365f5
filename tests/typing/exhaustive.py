"""Every event has its case. Leave one out, and mypy and pyright complain in both functions."""

from __future__ import annotations

from typing import assert_never

from edgews import Accepted, Close, Disconnected, Event, Fragment, Ping, Pong, Rejected, Request


def describe(event: Event) -> str:
    match event:
        case str():
            return event.upper()
        case bytes():
            return event.hex()
        case Fragment(data, final):
            return f"{len(data)} {final}"
        case Request():
            return event.path
        case Accepted(subprotocol, response):
            return subprotocol or response.headers.get("Server") or ""
        case Rejected(response):
            return f"{response.status} {response.body.decode()}"
        case Ping(data):
            return data.hex()
        case Pong(data):
            return data.hex()
        case Close(code, reason):
            return f"{code + 0} {reason.upper()}"
        case Disconnected(code, reason, clean, cause):
            return f"{code + 0} {reason.upper()} {not clean} {cause.kind.value} {cause.initiator.value}"


def watch(event: Event) -> None:
    match event:
        case str():
            pass
        case bytes():
            pass
        case Fragment():
            pass
        case Request():
            pass
        case Accepted():
            pass
        case Rejected():
            pass
        case Ping():
            pass
        case Pong():
            pass
        case Close():
            pass
        case Disconnected():
            pass
        case _:
            assert_never(event)
