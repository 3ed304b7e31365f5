"""Connecting again and again: which failures may pass, how long to wait, and who is told.

Like all below the adapters this does no I/O and reads no clock: an adapter tells what came of an attempt, and
is told how long to wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .arguments import check, check_callable
from .backoff import Backoff, retry_after
from .events import CauseKind, Response
from .outcomes import InvalidHandshake, ProxyError

# Refusals of the client's fault that pass by themselves, against the rule for 4xx. RFC 9110 §15.5, RFC 8470,
# RFC 6585.
PASSING_4XX: Final = {
    408: "the request took too long to arrive",
    425: "too early: the request may be a repetition",
    429: "too many requests",
}
# Failures of the server that stay, against the rule for 5xx. RFC 9110 §15.6, RFC 6585.
LASTING_5XX: Final = {
    501: "not implemented: the server does not know how",
    505: "the version of HTTP is not supported",
    511: "the network wants someone to log in first",
}


@dataclass(slots=True, frozen=True)
class Attempt:
    """An attempt to connect that has come to its end, and the wait for the next one.

    Attributes:
        number: how many there were in a row without a connection that lasted, this one included.
        error: why there was no connection; None if there was one and it has ended.
        delay: how many seconds the next one is away.
    """

    number: int
    error: Exception | None
    delay: float


def passing_status(status: int) -> bool:
    """Say whether a refusal may be none the next time.

    A 4xx says that the request is at fault, and it would be the same again. The same holds for a page where a
    WebSocket server should be, and for a redirect that is not followed.
    """
    if status < 500:
        return status in PASSING_4XX
    return status not in LASTING_5XX


def passing(error: Exception) -> bool:
    """Say whether a failure of `connect` may be none the next time."""
    match error:
        case InvalidHandshake(response=None, cause=cause):
            return cause.kind is CauseKind.PEER_VANISHED
        case InvalidHandshake(response=Response(status=status)):
            return passing_status(status)
        case ProxyError(lasting=lasting):
            return not lasting
        case OSError():
            # `ssl.SSLCertVerificationError`, which may not be named here, is the one that is a ValueError
            # too: a certificate stays what it is. Everything else is the network's, time-outs included.
            return not isinstance(error, ValueError)
        case _:
            return False


def check_attempts(backoff: object, on_attempt: object) -> None:
    """Make sure that the arguments of `Attempts` are what they must be.

    Raises:
        TypeError: one is not.
    """
    check("backoff", backoff, Backoff, "a Backoff")
    check_callable("on_attempt", on_attempt)


class Attempts:
    """The attempts of one `reconnect`.

    Args:
        backoff: how long to wait.
        on_attempt: called before each wait; what it raises ends it all.
    """

    def __init__(self, backoff: Backoff, on_attempt: Callable[[Attempt], object] | None) -> None:
        check_attempts(backoff, on_attempt)
        self._backoff = backoff
        self._on_attempt = on_attempt
        self._number = 0
        self._opened = 0.0

    def opened(self, now: float) -> None:
        """Take that there is a connection."""
        self._opened = now

    def ended(self, now: float) -> float:
        """Take that the connection is over; return how many seconds to wait."""
        if now - self._opened >= self._backoff.steady:
            self._number = 0
        return self._next(None, None)

    def failed(self, error: Exception, wall: float) -> float:
        """Take that there is none; return how many seconds to wait.

        Args:
            error: why.
            wall: the time as `time.time` gives it.

        Raises:
            Exception: `error`, if it would be the same the next time.
        """
        if not passing(error):
            raise error
        response = error.response if isinstance(error, InvalidHandshake) else None
        return self._next(error, None if response is None else retry_after(response, wall))

    def _next(self, error: Exception | None, asked: float | None) -> float:
        self._number += 1
        delay = self._backoff.delay(self._number, asked)
        if self._on_attempt is not None:
            self._on_attempt(Attempt(self._number, error, delay))
        return delay
