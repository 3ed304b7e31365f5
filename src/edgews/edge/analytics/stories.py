"""What became of a request, and why, in sentences for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgews.frames import close_code_meaning

# The cause of a refusal that the origin decided.
BY_ORIGIN: Final = "refused by the origin"

# The status of a refusal -> what it means and what to do.
_REFUSALS: Final = {
    0: "The client closed its stream while the origin had not answered. One of them was slow, or impatient.",
    400: "The request is not a correct opening handshake; the client has to change.",
    401: "The client has to show who it is.",
    403: "A rule, or the origin, does not let this client in.",
    404: "No route of the configuration has this host and path.",
    405: "An opening handshake is a GET request.",
    408: "The request did not come in time: the client, or the way to it, is too slow.",
    426: "A plain HTTP request came where a WebSocket was expected. If the client did ask for one, something "
    "in front of the gateway has removed the field Upgrade.",
    429: "The client asks too often; Retry-After in the answer says when it may come again.",
    431: "The head of the request is larger than max_header_size; often cookies are the reason.",
    500: "A fault of the gateway's own; its standard error has more.",
    502: "The origin could not be reached, or its answer was not correct: does it run, and listen there?",
    503: "The gateway takes no more connections: a limit is reached, or it is shutting down.",
    504: "The origin was too slow. Give it more time with connect_timeout or answer_timeout.",
}
_BY_THE_ORIGIN: Final = "The origin itself gave this answer; its own log says why."

# Why a connection ended -> what it means and what to do.
_ENDS: Final = {
    "close": "A Close frame ended it, which is the regular way.",
    "lost": "A stream that ends without a Close is what a crash, a lost network, a laptop that falls asleep "
    "or the timeout of another proxy look like.",
    "violation": "What was sent is not allowed by RFC 6455, or is larger than the limits of the route.",
    "ping timeout": "Nothing came for ping_interval, nor within ping_timeout after a Ping: the peer is gone, "
    "or does nothing for so long.",
    "idle timeout": "No message came for the idle_timeout of the route.",
    "max age": "The connection reached the max_age of the route.",
    "drain": "The gateway was shutting down. Clients are to connect again.",
    "limit": "There were too many connections or messages for a limit of the configuration.",
    "rule": "A rule of the configuration ended it.",
    "operator": "Somebody ended it at the admin address.",
    "dropped": "The gateway dropped it, as its time was over.",
    "worker died": "The process of the gateway that held it has died; its standard error has more.",
    "gateway": "The gateway ended it.",
}


def tell(record: Mapping[str, Any]) -> list[str]:
    """Return what happened to a request, a sentence for each step.

    Args:
        record: as the access log has it, or of a connection that is open.
    """
    client = record["client"] or "A client of a Unix socket"
    if not record["target"]:
        steps = [f"{client} connected, and sent no request that could be read."]
    else:
        steps = [f"{client} asked for {record['host'] or 'no host'}{record['target']}."]
    if record["route"]:
        steps.append(f"The route {record['route']} took it.")
    steps += [f"{_sentence(note)}." for note in record.get("notes", ()) if note]
    if record["origin"]:
        steps.append(f"The origin {record['origin']} was asked.")
    steps += {"refused": _refused, "end": _ended, "open": _open}.get(record["event"], _opening)(record)
    return steps


def _sentence(note: str) -> str:
    """Begin a note like a sentence, but for those that begin with the name of a rule or an origin."""
    return f"T{note[1:]}" if note.startswith("the rule ") else note


def _refused(record: Mapping[str, Any]) -> list[str]:
    status, cause, header = record["status"], record["cause"], record["header"]
    steps = [f"It was answered with {status} after {seconds(record['duration'])}: {cause}."] if status else []
    if header:
        steps.append(f"The header field at fault is {header}.")
    advice = _BY_THE_ORIGIN if cause == BY_ORIGIN else _REFUSALS.get(status)
    return [*steps, advice] if advice else steps


def _ended(record: Mapping[str, Any]) -> list[str]:
    code = record["code"]
    return [
        f"It was open for {seconds(record['duration'])}. {_carried(record)}",
        f"The {record['by']} ended it: {record['cause']}. The code is {code}, {close_code_meaning(code)}.",
        _ENDS[record["why"]],
    ]


def _open(record: Mapping[str, Any]) -> list[str]:
    steps = [f"It has been open for {seconds(record['age'])}. {_carried(record)}"]
    if record["ping"] is not None:
        steps.append(f"The client's last Pong took {seconds(record['ping'])}.")
    return steps


def _opening(record: Mapping[str, Any]) -> list[str]:
    return [f"It has been waiting for an answer for {seconds(record['duration'])}."]


def _carried(record: Mapping[str, Any]) -> str:
    def side(way: str) -> str:
        number = record[f"messages_{way}"]
        return f"{number} message{'' if number == 1 else 's'} ({record[f'bytes_{way}']} bytes)"

    return f"{side('up')} came from the client, {side('down')} from the origin."


def seconds(value: float) -> str:
    """Write a time as people do: 3 ms, 1.5 s, 12 min, 3 h."""
    if value < 0.0995:
        return f"{value * 1000:.3g} ms"
    if value < 99.5:
        return f"{value:.3g} s"
    if value < 99.5 * 60:
        return f"{value / 60:.0f} min"
    if value < 48 * 3600:
        return f"{value / 3600:.0f} h"
    return f"{value / 86400:.0f} days"
