"""How long to wait before the next attempt to connect. RFC 6455 §7.2.3."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from random import SystemRandom
from typing import Final

from .arguments import check_callable, check_seconds
from .events import Response

# So many digits are enough for anyone, and cost nothing to read.
_SECONDS: Final = re.compile(r"[0-9]{1,10}")


@dataclass(slots=True, frozen=True, kw_only=True)
class Backoff:
    """Exponential backoff with full jitter: any time between nothing and a bound that doubles.

    All clients of a server that starts anew lose their connections together; this is what keeps them from
    coming back together.

    Attributes:
        base: the bound before the second attempt (seconds). 1 s is short for one client, and long enough for
            a server to take thousands of them one by one.
        cap: what the bound grows to. With 60 s a client is back half a minute after the server, on average.
        longest: the longest wait that a server may ask for with Retry-After. An hour, so that a wrong clock
            or a typing error does not keep a client away for ever.
        steady: how long a connection must have lasted for the bound to begin at `base` again. 10 s, so that a
            server that opens connections and drops them at once is not called all the time.
        random: gives numbers from 0 up to 1. The system's source, as copies of a process must not agree.
    """

    base: float = 1.0
    cap: float = 60.0
    longest: float = 3600.0
    steady: float = 10.0
    random: Callable[[], float] = SystemRandom().random

    def __post_init__(self) -> None:
        for name in ("base", "cap", "longest", "steady"):
            check_seconds(name, getattr(self, name))
        check_callable("random", self.random, optional=False)

    def delay(self, attempts: int, asked: float | None = None) -> float:
        """Return how many seconds to wait after so many attempts in a row, 1 or more.

        Args:
            attempts: how many.
            asked: what the server asks for in seconds; the wait is longer than that, by as much jitter as
                there would be otherwise, for it tells everyone the same.
        """
        # Any larger exponent is beyond every cap.
        bound = min(self.cap, self.base * 2.0 ** min(attempts - 1, 512))
        jitter = self.random() * bound
        return jitter if asked is None else min(asked, self.longest) + jitter


DEFAULT_BACKOFF: Final = Backoff()


def retry_after(response: Response, wall: float) -> float | None:
    """Return for how many seconds a server does not want to be asked again, None if it does not say.

    Args:
        response: its refusal.
        wall: the time as `time.time` gives it, for the server may name a date.

    RFC 9110 §10.2.3.
    """
    values = response.headers.get_all("Retry-After")
    if len(values) != 1:
        return None
    (value,) = values
    if _SECONDS.fullmatch(value):
        return float(value)
    # It costs more to import than all of this, and is seldom needed.
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - wall)
    except (ValueError, OverflowError):
        return None
