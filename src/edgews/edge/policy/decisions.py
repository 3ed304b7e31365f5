"""What is answered to a request that goes nowhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Failure:
    """An answer of the gateway's own.

    Attributes:
        status: 400-599.
        cause: one or a few words for the log.
        text: one sentence for the client, without its full stop.
        headers: further fields, such as Retry-After.
        body: what to send in place of the sentence, as it is.
    """

    status: int
    cause: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
