"""The feed of the live page, over a WebSocket: reports every second, and what the page asks for."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from edgews import __version__
from edgews.asyncio import ConnectionClosed, WebSocket
from edgews.edge.analytics.listing import View
from edgews.edge.analytics.metrics import HISTOGRAMS
from edgews.edge.analytics.pressure import Pressure
from edgews.edge.analytics.reports import since
from edgews.edge.analytics.stories import tell
from edgews.errors import InvalidValueError
from edgews.frames import CLOSE_CODE_MEANINGS

from .answers import Asked, NobodyAnswers

# How often to tell what is new (seconds), and how much longer for each open connection: all are looked at.
INTERVAL: Final = 1.0
COST: Final = 0.00005


class Feed:
    """One live page."""

    def __init__(self, ws: WebSocket, asked: Asked) -> None:
        self._ws = ws
        self._asked = asked
        self._view = View()
        self._hurry = asyncio.Event()
        # The last second and the time of the report before.
        self._seconds = self._records = float("-inf")
        self._pressure = Pressure()

    async def run(self) -> None:
        """Tell and answer until the page goes."""
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell())
            try:
                async for message in self._ws:
                    await self._answer(message)
            except ConnectionClosed:
                pass
            telling.cancel()

    async def _tell(self) -> None:
        try:
            await self._send(
                {
                    "type": "hello",
                    "version": __version__,
                    "meanings": {int(code): meaning for code, meaning in CLOSE_CODE_MEANINGS.items()},
                    "bounds": HISTOGRAMS["ping_seconds"].bounds,
                }
            )
            while True:
                count = await self._update()
                self._hurry.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(INTERVAL, count * COST)):
                        await self._hurry.wait()
        except ConnectionClosed:
            # Whoever receives finds out as well.
            pass

    async def _update(self) -> int:
        """Tell what is new; return how many connections are open."""
        try:
            report = await self._asked.report()
            rows = await self._asked.connections(self._view)
        except NobodyAnswers:
            # All processes are being replaced.
            return 0
        new = since(report, self._seconds, self._records) | {"limiters": self._pressure.look(report)}
        self._seconds, self._records = report["series"]["end"], report["time"]
        await self._send({"type": "update", "report": new, "connections": rows})
        return sum(number for _, number in report["gauges"]["connections_open"])

    async def _send(self, value: dict[str, Any]) -> None:
        await self._ws.send(json.dumps(value, separators=(",", ":")))

    async def _answer(self, message: str | bytes) -> None:
        try:
            wish = json.loads(message)
        except (ValueError, RecursionError):
            wish = None
        match wish:
            case {"do": "view"}:
                self._view = View.of(wish)
                self._hurry.set()
            case {"do": "close", "ray": str(ray), "code": int(code), "reason": str(reason)}:
                try:
                    done = await self._asked.close(ray, code, reason)
                except InvalidValueError as error:
                    await self._send({"type": "closed", "ray": ray, "done": False, "why": str(error)})
                else:
                    why = "" if done else "it is not open any more"
                    await self._send({"type": "closed", "ray": ray, "done": done, "why": why})
                    self._hurry.set()
            case {"do": "trace", "ray": str(ray)}:
                found = await self._asked.trace(ray)
                if found is not None:
                    found = found | {"story": tell(found)}
                await self._send({"type": "trace", "ray": ray, "trace": found})
            case {"do": "reload"}:
                await self._send({"type": "reloaded", "faults": await self._asked.reload()})
            case _:
                await self._send({"type": "error", "why": "no such wish"})
