"""What the admin address asks of one gateway in this process, or of several in others.

Questions and answers are plain values that JSON knows, so they go from process to process:

    report                      what was counted; see `Tally.report`
    connections   View          open connections, as somebody wants to see them
    close         ray, code,    whether it was there, and is ended now
                  reason
    trace         ray           what became of a request, None if it is unknown or forgotten
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

from edgews.edge.analytics.listing import View
from edgews.edge.analytics.reports import merge
from edgews.frames import encode_close

# What nobody answers.
NOBODY: Final = "no process of the gateway answers"


class Answering(Protocol):
    """Who is asked."""

    async def answer(self, question: str, values: dict[str, Any]) -> Any:
        """Answer a question."""


class NobodyAnswers(Exception):
    """There is no process that could answer."""


class Asked:
    """The questions as methods.

    Args:
        reload: reads the configuration again, and returns what is wrong with it.
    """

    def __init__(self, answering: Answering, reload: Callable[[], Awaitable[list[str]]]) -> None:
        self._answering = answering
        self.reload = reload

    async def report(self) -> dict[str, Any]:
        """Return what was counted.

        Raises:
            NobodyAnswers: there is no process that could answer.
        """
        found: dict[str, Any] = await self._answering.answer("report", {})
        return found

    async def connections(self, view: View) -> list[dict[str, Any]]:
        """Return open connections, as somebody wants to see them."""
        found: list[dict[str, Any]] = await self._answering.answer("connections", asdict(view))
        return found

    async def close(self, ray: str, code: int, reason: str) -> bool:
        """End a connection; say whether it was there.

        Raises:
            InvalidValueError: a code or reason that may not be sent.
        """
        encode_close(code, reason)
        return bool(await self._answering.answer("close", {"ray": ray, "code": code, "reason": reason}))

    async def trace(self, ray: str) -> dict[str, Any] | None:
        """Return what became of a request, None if it is unknown or forgotten."""
        found: dict[str, Any] | None = await self._answering.answer("trace", {"ray": ray})
        return found


def joined(question: str, values: dict[str, Any], answers: Sequence[Any]) -> Any:
    """Return the answer of several processes as one.

    Raises:
        NobodyAnswers: there is none.
    """
    if question == "report":
        if not answers:
            raise NobodyAnswers(NOBODY)
        return merge(answers)
    if question == "connections":
        return View(**values).arrange(row for rows in answers for row in rows)
    return next(filter(None, answers), None)
