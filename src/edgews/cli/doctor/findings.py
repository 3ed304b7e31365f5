"""What the doctor can find: its words, before any table of them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Step(Enum):
    """What is done to a server, in order."""

    URI = "uri"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    UPGRADE = "upgrade"
    PING = "ping"
    MESSAGE = "message"
    IDLE = "idle"
    CLOSE = "close"
    ORIGIN = "origin"


class Level(Enum):
    """How bad it is; an error decides the exit code."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Change:
    """Something to change.

    Attributes:
        text: what to do.
        product: in whose configuration; empty if that does not matter.
    """

    text: str
    product: str = ""

    def __str__(self) -> str:
        return f"{self.product}: {self.text}" if self.product else self.text


@dataclass(frozen=True, slots=True)
class Advice:
    """A row of the tables.

    Attributes:
        id: stable, for programs.
        step: where it shows.
        title: what is wrong, in a few words.
        meaning: why it is so, most of the time.
        changes: what to do about it.
        level: how bad it is.
        browser: what the close event of a browser shows; 0 if the connection goes on, or the server's code.
    """

    id: str
    step: Step
    title: str
    meaning: str
    changes: tuple[Change, ...]
    level: Level = Level.ERROR
    browser: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that holds for this server, with what was observed.

    Attributes:
        advice: the row.
        found: what was observed, in one sentence.
        changes: those of the row, the server's own product first.
        step: where it showed.
        browser: as in the row, or the code that came.
    """

    advice: Advice
    found: str
    changes: tuple[Change, ...]
    step: Step
    browser: int


# What stands in a Server or Via field -> the name that the tables use.
PRODUCTS: Final = {
    "apache": "Apache",
    "awselb": "AWS load balancer",
    "caddy": "Caddy",
    "cloudflare": "Cloudflare",
    "envoy": "Envoy",
    "haproxy": "HAProxy",
    "nginx": "nginx",
    "openresty": "nginx",
}


def finding(
    advice: Advice, found: str, *, server: str = "", step: Step | None = None, browser: int | None = None
) -> Finding:
    """Return the finding of a row.

    Args:
        advice: the row.
        found: what was observed, in one sentence.
        server: the Server and Via fields of the answer, to know whose configuration comes first.
        step: where it showed, if not where the row says.
        browser: the code that came, if not what the row says.
    """
    known = {product for token, product in PRODUCTS.items() if token in server.lower()}
    changes = sorted(advice.changes, key=lambda change: change.product not in known)
    return Finding(
        advice,
        found,
        tuple(changes),
        advice.step if step is None else step,
        advice.browser if browser is None else browser,
    )


def worst(findings: Sequence[Finding]) -> Level | None:
    """Return the highest level, None if nothing was found."""
    levels = {found.advice.level for found in findings}
    return next((level for level in (Level.ERROR, Level.WARNING, Level.NOTE) if level in levels), None)
