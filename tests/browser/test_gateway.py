"""Headless Chromium opens a page, and a WebSocket from it, through the gateway; another page watches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, executable
from tests.cli.process import echo
from tests.edge.admin.serving import admin
from tests.edge.harness import running

pytestmark = pytest.mark.browser

# Longer than a loaded machine needs for anything (milliseconds).
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

POLICIES = {
    "rule": [
        {
            "name": "attempts",
            "expression": "http.request.uri.path == '/' && 'sec-websocket-key' in http.request.headers",
            "action": "rate_limit",
            "limiter": "attempts",
        },
        {
            "name": "no secrets",
            "on": "message",
            "expression": "message.text.contains('secret')",
            "action": "close",
            "code": 4001,
            "reason": "not here",
        },
    ],
    # Two, and no other one while the test runs.
    "limiter": {"attempts": {"requests_per_period": 2, "period": 1_000_000}},
}


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


def test_a_page_talks_through_the_gateway_and_the_live_page_tells(browser: Browser) -> None:
    with echo() as origin, running(origin.ws.rstrip("/"), top=POLICIES) as gateway, admin(gateway) as served:
        host, port = gateway.address
        page, live = (browser.new_context().new_page() for _ in range(2))
        for one in (page, live):
            one.set_default_timeout(PATIENCE)
        live.goto(served.url)
        expect(live.locator("#limiters")).to_contain_text("nobody limited")

        # The page comes by plain HTTP from the origin, and says where it connects to: to the gateway.
        answer = page.goto(f"http://{host}:{port}/")
        assert answer is not None
        assert answer.status == 200
        expect(page.locator("#state")).to_have_text("open")
        log = page.locator("#log")
        page.get_by_label("Message").fill("grüß dich")
        page.get_by_role("button", name="Send text").click()
        expect(log.locator(".received").first.locator(".data")).to_have_text("grüß dich")
        page.get_by_role("button", name="Send as binary").click()
        expect(log.locator(".received").first.locator(".kind")).to_contain_text("binary")
        row = live.locator("#table tbody tr")
        expect(row).to_have_count(1)
        expect(row).to_contain_text(f"{host}:{port}")

        page.get_by_label("Message").fill("a secret")
        page.get_by_role("button", name="Send text").click()
        closed = log.locator(".closed")
        expect(closed.first).to_contain_text("4001")
        expect(closed.first).to_contain_text("not here")
        expect(closed.first).to_contain_text("yes: both sides said Close")
        expect(live.locator("#closes")).to_contain_text("rule 1")
        expect(live.locator("#rules")).to_contain_text("no secrets")

        page.get_by_role("button", name="Connect").click()
        expect(page.locator("#state")).to_have_text("open")
        page.get_by_role("button", name="Close").click()
        expect(closed.first).to_contain_text("1000")
        expect(page.locator("#state")).to_have_text("closed")
        # A browser tells a page nothing of the answer 429, but that there was no connection.
        page.get_by_role("button", name="Connect").click()
        expect(closed).to_have_count(3)
        expect(closed.first).to_contain_text("1006")
        expect(live.locator("#refusals")).to_contain_text("rate limit attempts")
        expect(live.locator("#limiters .pill")).to_have_text("limiting")
        expect(live.locator("#limiters")).to_contain_text("1 limited now")
        expect(live.locator("#limiters")).to_contain_text("refused, 1 in all")
        page.close()
