"""Headless Chromium, whose WebSocket is used as a page uses it: orders go to a page as they are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.chromium import ARGUMENTS, executable

from .agent import orders

SCRIPT = Path(__file__).with_name("page.js").read_text()


class Chromium:
    def __init__(self, certificates: str) -> None:
        pass

    def main(self) -> None:
        asyncio.run(self._obey_all())

    async def _obey_all(self) -> None:
        async with async_playwright() as playwright, asyncio.TaskGroup() as group:
            browser = await playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
            # The authority of the certificates is none that a browser knows: it is let in, or not.
            pages = {trust: await self._page(browser, trust) for trust in (True, False)}
            async for line in orders():
                order = json.loads(line)
                page = pages[order.pop("trust", True)]
                group.create_task(page.evaluate("order => obey(order)", order))
            await browser.close()

    async def _page(self, browser: Browser, trust: bool) -> Page:
        context = await browser.new_context(ignore_https_errors=trust)
        page = await context.new_page()
        await page.expose_function("tell", lambda line: print(line, flush=True))
        await page.evaluate(SCRIPT)
        return page
