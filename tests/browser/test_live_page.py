"""Headless Chromium opens the live page of a gateway that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import wire
from tests.browser.chromium import ARGUMENTS, executable
from tests.edge.admin.serving import TOKEN, Admin, admin
from tests.edge.harness import Origin, Running, running, tunnel
from tests.raw import Raw

pytestmark = pytest.mark.browser

# Longer than a loaded machine needs for anything (milliseconds).
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def gateway(origin: Origin) -> Iterator[Running]:
    with running(origin.uri, ping_interval="off") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def served(gateway: Running) -> Iterator[Admin]:
    with admin(gateway) as served:
        yield served


class Complaints(list[str]):
    """What a page complains about: errors of its own, and what its policy has kept from happening."""

    def __init__(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda message: self.append(message.text) if message.type == "error" else None)


@pytest.fixture
def page(browser: Browser, served: Admin) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints = Complaints(page)
    page.goto(served.url)
    expect(page.locator("#state")).to_have_text("live")
    yield page
    context.close()
    assert complaints == []


def test_connections_are_shown_filtered_sorted_and_closed(
    page: Page, gateway: Running, origin: Origin
) -> None:
    with tunnel(gateway, origin) as (client, server), tunnel(gateway, origin) as (other, other_server):
        client.send(wire.frame(wire.TEXT, b"x" * 500))
        assert server.read_frame() is not None
        rows = page.locator("#table tbody tr")
        expect(rows).to_have_count(2)
        expect(page.locator("#shown")).to_have_text("2")
        page.get_by_role("button", name="Bytes").click()
        expect(page.locator("th[aria-sort=descending]")).to_have_text("Bytes")
        expect(rows.first).to_contain_text("508 B")
        page.get_by_role("button", name="Bytes").click()
        expect(rows.last).to_contain_text("508 B")

        ray = rows.last.locator(".mono").first.inner_text()
        page.keyboard.press("/")
        expect(page.get_by_label("Filter")).to_be_focused()
        page.keyboard.type(ray)
        expect(rows).to_have_count(1)
        expect(page.locator("#shown")).to_have_text("1 of 2")

        # By keyboard alone: to the row, into it, and out again.
        rows.first.get_by_role("button").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("The route test took it.")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)

        rows.first.click()
        page.locator("#code").select_option("1013")
        page.locator("#reason").fill("come <b>later</b>")
        page.get_by_role("button", name="Close connection").click()
        expect(page.locator("#verdict")).to_contain_text("on its way")
        assert wire.close_code((server.read_frame() or (0, b""))[1]) == 1001
        server.send(wire.close(1001))
        assert client.read_frame() == (wire.CLOSE, (1013).to_bytes(2, "big") + b"come <b>later</b>")
        client.send(wire.close(1013, key=wire.KEY))
        server.close()
        client.read_rest()
        expect(page.locator("#story")).to_contain_text("Somebody ended it at the admin address.")
        expect(page.locator("#facts")).to_contain_text("come <b>later</b>")
        # What was told stays where it is, to be marked and copied, and the page goes on.
        page.evaluate("document.querySelector('#story li').dataset.mark = 'here'")
        before = page.locator("#about").inner_text()
        expect(page.locator("#about")).not_to_have_text(before)
        expect(page.locator("#story li").first).to_have_attribute("data-mark", "here")
        page.keyboard.press("Escape")
        # Its row is gone.
        expect(page.locator("#connections")).to_be_focused()
        expect(page.locator("#closes")).to_contain_text("1013")
        expect(page.locator("#closes")).to_contain_text("try again later")
        other.close()
        other_server.close()


def test_refusals_name_the_header_and_texts_stay_texts(page: Page, gateway: Running) -> None:
    with Raw.connect(gateway.address) as raw:
        raw.send(b"GET /<img/src=x/onerror=alert(1)> HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n")
        raw.read_head()
        raw.read_rest()
    with Raw.connect(gateway.address) as raw:
        raw.send(wire.request({"Sec-WebSocket-Version": "8"}))
        raw.read_head()
        raw.read_rest()
    expect(page.locator("#refusals")).to_contain_text("Sec-WebSocket-Version")
    page.locator("#refused button", has_text="Sec-WebSocket-Version").first.click()
    expect(page.locator("#story")).to_contain_text("The header field at fault is Sec-WebSocket-Version.")
    expect(page.locator("main img, main script")).to_have_count(0)


@pytest.mark.parametrize(
    ("scheme", "width", "ground"),
    [
        ("light", 1280, "rgb(244, 245, 248)"),
        ("dark", 1280, "rgb(11, 14, 20)"),
        ("dark", 360, "rgb(11, 14, 20)"),
    ],
)
def test_light_dark_and_narrow(
    browser: Browser,
    served: Admin,
    gateway: Running,
    origin: Origin,
    scheme: Literal["light", "dark"],
    width: int,
    ground: str,
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints = Complaints(page)
    with tunnel(gateway, origin) as (client, server):
        page.goto(served.url)
        expect(page.locator("#table tbody tr")).not_to_have_count(0)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
        # Nothing stands out at the side.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        client.close()
        server.close()
    context.close()
    assert complaints == []


def test_the_page_asks_for_the_token_and_comes_back_by_itself(
    browser: Browser, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEWS_TEST_TOKEN", TOKEN)
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with admin(gateway, token_env="EDGEWS_TEST_TOKEN") as first:
        page.goto(first.url)
        expect(page.locator("#state")).to_have_text("locked")
        # Whoever types has the field before them.
        expect(page.locator("#token")).to_be_focused()
        page.keyboard.type("something else")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.locator("#token").fill(TOKEN)
        page.get_by_role("button", name="Let me in").click()
        expect(page.locator("#state")).to_have_text("live")
        # No script gets at the cookie.
        assert page.evaluate("document.cookie") == ""
        page.reload()
        expect(page.locator("#state")).to_have_text("live")
        page.evaluate(
            "window.said = [];"
            "const state = document.getElementById('state');"
            "new MutationObserver(() => said.push(state.textContent))"
            ".observe(state, {childList: true, characterData: true, subtree: true})"
        )
        with page.expect_event("websocket"):
            first.end_feeds(gateway)
        expect(page.locator("#state")).to_have_text("live")
        assert any(re.match(r"no connection,again in \d+ s", text) for text in page.evaluate("said"))
    context.close()
