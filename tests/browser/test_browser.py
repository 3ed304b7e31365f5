"""Headless Chromium opens the page of a real `edgews echo`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, executable
from tests.cli.process import Echo, echo

pytestmark = pytest.mark.browser

LIMIT = 300_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[(), ("--deflate",)], ids=["plain", "deflate"])
def server(request: pytest.FixtureRequest) -> Iterator[Echo]:
    with echo("--max-size", str(LIMIT), *request.param) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Echo) -> Iterator[Page]:
    """The page, connected. Whatever it complains about is a failure."""
    complaints: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(server.http)
    expect(page.locator("#state")).to_have_text("open")
    yield page
    context.close()
    assert complaints == []


def newest(page: Page, kind: str) -> Locator:
    return page.locator(f"#log .{kind}").first


def test_compression_is_as_the_server_was_told(page: Page, server: Echo) -> None:
    args = server.process.args
    assert isinstance(args, list)
    expected = "compressed: permessage-deflate" if "--deflate" in args else "not compressed"
    expect(newest(page, "opened")).to_contain_text(expected)


def test_text(page: Page) -> None:
    page.get_by_label("Message").fill("grüß dich \U0001f44b")
    page.get_by_role("button", name="Send text").click()
    for kind in ("sent", "received"):
        line = newest(page, kind)
        expect(line.locator(".kind")).to_contain_text("text")
        expect(line.locator(".size")).to_have_text("16 B")
        expect(line.locator(".data")).to_have_text("grüß dich \U0001f44b")
        expect(line.locator("time")).not_to_be_empty()


def test_binary(page: Page) -> None:
    page.get_by_label("Message").fill("Aé")
    page.get_by_role("button", name="Send as binary").click()
    for kind in ("sent", "received"):
        line = newest(page, kind)
        expect(line.locator(".kind")).to_contain_text("binary")
        expect(line.locator(".data")).to_have_text("41 c3 a9")


def test_large_message(page: Page) -> None:
    page.get_by_role("button", name="Send a large message").click()
    expect(newest(page, "received").locator(".size")).to_have_text("150,000 B")


def test_message_too_large(page: Page) -> None:
    page.get_by_role("button", name="Send one too large").click()
    closed = newest(page, "closed")
    expect(closed).to_contain_text("1009")
    expect(closed).to_contain_text("a message too big to process")
    expect(closed.locator("dt")).to_have_text(["code", "meaning", "cause", "clean"])
    expect(page.locator("#state")).to_have_text("closed")
    expect(page.get_by_role("button", name="Send text")).to_be_disabled()
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#state")).to_have_text("open")


def test_clean_close(page: Page) -> None:
    page.get_by_role("button", name="Close").click()
    closed = newest(page, "closed")
    expect(closed).to_contain_text("1000")
    expect(closed).to_contain_text("normal closure")
    expect(closed).to_contain_text("yes: both sides said Close")
    expect(page.locator("#state")).to_have_text("closed")


@pytest.mark.parametrize(
    ("rule", "code", "meaning", "section"),
    [
        ("unmasked", 1002, "protocol error", "§5.1"),
        ("reserved-opcode", 1002, "protocol error", "§5.2"),
        ("not-utf8", 1007, "data that does not fit its type", "§8.1"),
        ("too-big", 1009, "a message too big to process", "§10.4"),
    ],
)
def test_wrong_frame(page: Page, rule: str, code: int, meaning: str, section: str) -> None:
    page.get_by_label("Wrong frame").select_option(rule)
    page.get_by_role("button", name="Send a wrong frame").click()
    report = newest(page, "wrong")
    for text in (str(code), meaning, section, f"failed with {code}"):
        expect(report).to_contain_text(text)
    # It was another connection.
    expect(page.locator("#state")).to_have_text("open")


def test_the_server_stops(browser: Browser) -> None:
    with echo() as server:
        page = browser.new_page()
        page.goto(server.http)
        expect(page.locator("#state")).to_have_text("open")
        server.process.terminate()
        expect(newest(page, "closed")).to_contain_text("1001")
        page.close()
        assert server.process.wait(20) == 0


def test_narrow_screen_needs_no_sideways_scrolling(browser: Browser, server: Echo) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 640}, bypass_csp=True)
    page.goto(server.http)
    expect(page.locator("#state")).to_have_text("open")
    page.get_by_role("button", name="Send a large message").click()
    page.get_by_role("button", name="Send a wrong frame").click()
    expect(newest(page, "wrong")).to_contain_text("1002")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()
