"""What is counted: a table that the tally, the exposition for Prometheus and the commands share.

No label has a value that a client chooses. Routes, rules and origins come from the configuration; all
other values stand in tables such as these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgews.frames import CLOSE_CODE_MEANINGS

# Directions, as the log has them: from the client to the origin, and back.
UP: Final = "up"
DOWN: Final = "down"

# What a rate limiter says.
ALLOWED: Final = "allowed"
REFUSED: Final = "refused"

# What stands for everything else.
OTHER: Final = "other"


@dataclass(slots=True, frozen=True)
class Metric:
    """Something that is counted.

    Attributes:
        help: one line for a person.
        labels: what it is divided by.
        bounds: of a histogram's buckets, in seconds, without the last, which has none.
    """

    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG: Final = (0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 24 * 3600.0)

COUNTERS: Final = {
    "connections_opened": Metric("Connections that were opened.", ("route",)),
    "connections_abandoned": Metric("Clients that left without a whole request."),
    "connections_dropped": Metric(
        "Connections dropped before they were open: what was awaited of them, and why.", ("awaited", "reason")
    ),
    "connections_ended": Metric(
        "Connections that have ended: who ended them, why, and with which close code.",
        ("route", "by", "why", "code"),
    ),
    "upgrades_refused": Metric(
        "Requests that opened nothing: the answer, the reason, and the header field at fault.",
        ("route", "status", "reason", "header"),
    ),
    "plain_requests": Metric("Plain HTTP requests that were passed on.", ("route", "status")),
    "messages": Metric("Messages that passed whole.", ("route", "direction", "type")),
    "bytes": Metric("Bytes of frames that came.", ("route", "direction")),
    "rule_matches": Metric("Matches of rules.", ("rule", "action")),
    "limiter_decisions": Metric("Requests and messages that a rate limiter judged.", ("limiter", "decision")),
    "log_lines_lost": Metric("Lines that the access log did not take, as on a full disk."),
    "origin_failures": Metric("Failed attempts to reach an origin.", ("origin", "reason")),
}
GAUGES: Final = {
    "connections_open": Metric("Connections that are open.", ("route",)),
    "connections_opening": Metric("Clients whose connection is not open yet."),
    "limiter_limited": Metric("Keys that a rate limiter refuses at the moment.", ("limiter",)),
    "limiter_keys": Metric("Keys in the table of a rate limiter.", ("limiter",)),
    "limiter_max_keys": Metric("Keys that its table has room for.", ("limiter",)),
}
# What all processes have together, and each of them tells.
WHOLE: Final = frozenset({"limiter_keys", "limiter_max_keys"})
# Kinds of limits on connections that have no request yet: of all of them, and of one client.
OPENING: Final = "opening"
OPENING_OF_CLIENT: Final = "opening of a client"
# What each process counts for itself.
APART: Final = frozenset({OPENING, OPENING_OF_CLIENT})
# What has one limit for each name that clients choose: too many to have labels.
OF_CLIENTS: Final = ("client", "host", OPENING_OF_CLIENT)
HISTOGRAMS: Final = {
    "opening_seconds": Metric("Time from the client's connection to the answer 101.", ("route",), _QUICK),
    "connection_seconds": Metric("How long connections that have ended were open.", ("route",), _LONG),
    "ping_seconds": Metric("Time from a Ping of the gateway to its Pong.", ("side",), _QUICK),
}

# The header fields that a refusal may name.
HEADERS: Final = frozenset(
    {
        "Authorization",
        "Connection",
        "Content-Length",
        "Cookie",
        "Host",
        "Origin",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "Transfer-Encoding",
        "Upgrade",
    }
)
_REGISTERED: Final = frozenset(map(int, CLOSE_CODE_MEANINGS))


def code_label(code: int) -> str:
    """Return the label of a close code: its own if it is registered, that of its range otherwise.

    RFC 6455 §7.4.
    """
    if code in _REGISTERED:
        return str(code)
    if 3000 <= code <= 3999:
        return "3xxx"
    if 4000 <= code <= 4999:
        return "4xxx"
    return OTHER


def header_label(header: str | None) -> str:
    """Return the label of the header field at fault; empty if there is none."""
    if not header:
        return ""
    return header if header in HEADERS else OTHER
