"""What an ASGI application sees and what its client gets, side by side with uvicorn's own class."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests import wire
from tests.compat.uvicorn.serving import LOOPS, OURS, THEIRS, App, Receive, Seen, Send, Serving, running
from tests.raw import Raw

pytestmark = pytest.mark.peers

ACCEPT = {"type": "websocket.accept"}
CONNECT = {"type": "websocket.connect"}
PLAIN = (b"content-type", b"text/plain")


class Switch:
    """An application that can be exchanged while the server runs."""

    app: App

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> Any:
        return await self.app(scope, receive, send)


class Sides(NamedTuple):
    """A server with our class and one with theirs."""

    ours: Serving
    theirs: Serving


@pytest.fixture(scope="module", params=[f"{loop} {http}" for loop in LOOPS for http in ("h11", "httptools")])
def sides(request: pytest.FixtureRequest) -> Iterator[Sides]:
    loop, http = request.param.split()
    with (
        running(Switch(), ws=OURS, loop=loop, http=http, ws_max_size=100) as ours,
        running(Switch(), ws=THEIRS, loop=loop, http=http, ws_max_size=100) as theirs,
    ):
        yield Sides(ours, theirs)


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """Let servers outlive a test here; each has to be idle after it."""


Client = Callable[[Raw], Any]


def play(served: Serving, app: App, client: Client, request: bytes) -> tuple[list[Any], Any]:
    """Let a client and an application meet; return what each of them saw."""
    seen = Seen(app)
    served.config.app.app = seen
    with Raw.connect(served.address) as raw:
        raw.send(request)
        raw.read_head()
        got = client(raw)
    log = [type(entry).__name__ if isinstance(entry, Exception) else entry for entry in seen.rest()]
    served.wait_idle()
    return log, got


# What clients do


def status(raw: Raw) -> int:
    return int(raw.head.split()[1])


def refused(raw: Raw) -> tuple[int, bytes]:
    """Return status and body, whatever the body is framed with."""
    body = raw.read_rest()
    if b"chunked" in raw.head.lower():
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
        body = whole
    return status(raw), body


def speaks(*frames: bytes) -> Client:
    """Send frames, each after the answer to the one before, and return the answers and what follows.

    Of a Close only the code counts: whether its reason is repeated is a matter of taste.
    """

    def client(raw: Raw) -> list[tuple[int, bytes] | None]:
        assert status(raw) == 101
        got = []
        for frame in frames:
            raw.send(frame)
            # Fragments get no answer before the last one.
            if frame[0] & 0x80:
                got.append(raw.read_frame())
        while not got or (got[-1] is not None and got[-1][0] != wire.CLOSE):
            got.append(raw.read_frame())
        if got[-1] is not None:
            if not any(frame[0] == 0x88 for frame in frames):
                raw.send(wire.frame(wire.CLOSE, got[-1][1]))
            got[-1] = wire.CLOSE, got[-1][1][:2]
        return got

    return client


TEXT = wire.frame(wire.TEXT, "hé".encode())
BINARY = wire.frame(wire.BINARY, b"\x00\xff")


# What applications do


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Echo until the end."""
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def says(*messages: dict[str, Any], ends: bool = True) -> App:
    """Return an application that receives once, and sends these messages, whatever becomes of them."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            try:
                await send(message)
            except RuntimeError:
                continue
        if ends:
            await receive()

    return app


async def fails(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await receive()
    raise ValueError("no")


async def returns(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    pass


def sent(**fields: Any) -> dict[str, Any]:
    return {"type": "websocket.send", **fields}


def closing(**fields: Any) -> dict[str, Any]:
    return {"type": "websocket.close", **fields}


def started(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, **more: bool) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, **more}


CASES: dict[str, tuple[App, Client]] = {
    "messages, and the client closes": (echo, speaks(TEXT, BINARY, wire.close(1000, b"bye"))),
    "the client closes with a code of its own": (echo, speaks(wire.close(4321, "ü".encode()))),
    "the client closes without a code": (echo, speaks(wire.close())),
    "an empty text and empty bytes": (
        echo,
        speaks(wire.frame(wire.TEXT), wire.frame(wire.BINARY), wire.close(1000)),
    ),
    "fragments with a Ping between": (
        echo,
        speaks(
            wire.frame(wire.TEXT, b"a", fin=False),
            wire.frame(wire.PING, b"p"),
            wire.frame(wire.CONTINUATION, b"b"),
            wire.close(1001),
        ),
    ),
    "the longest message": (echo, speaks(wire.frame(wire.BINARY, b"x" * 100), wire.close(1000))),
    "None for the other key": (
        says(ACCEPT, sent(bytes=None, text="a"), sent(bytes=b"b", text=None), closing()),
        speaks(),
    ),
    "both keys": (says(ACCEPT, sent(bytes=b"b", text="a"), closing()), speaks()),
    "the application closes": (says(ACCEPT, closing(), ends=False), speaks()),
    "the application closes with a code and a reason": (
        says(ACCEPT, closing(code=3000, reason="ä"), ends=False),
        speaks(),
    ),
    "no reason is None": (says(ACCEPT, closing(code=1001, reason=None), ends=False), speaks()),
    "accepting twice": (says(ACCEPT, ACCEPT, closing(), ends=False), speaks()),
    "sending before accepting": (says(sent(text="a"), ACCEPT, closing(), ends=False), speaks()),
    "sending after closing": (says(ACCEPT, closing(), sent(text="a"), closing(), ends=False), speaks()),
    "something unknown": (says({"type": "x"}, ACCEPT, {"type": "y"}, closing(), ends=False), speaks()),
    "closing instead of accepting": (says(closing(code=4000, reason="r")), refused),
    "accepting after closing": (says(closing(), ACCEPT, ends=False), refused),
    "an exception instead of accepting": (fails, refused),
    "neither accepting nor closing": (returns, refused),
    "receiving alone": (says(ends=False), refused),
    "a response": (says(started(401, PLAIN), body(b"who are you?")), refused),
    "a response with its length": (
        says(started(404, (b"content-length", b"4")), body(b"gone", more_body=False)),
        refused,
    ),
    "a response without a body": (says(started(429), body(b"")), refused),
    "a response in pieces": (
        says(started(200, PLAIN), body(b"a" * 5000, more_body=True), body(b"", more_body=True), body(b"b")),
        refused,
    ),
    "a response in pieces, the last one empty": (
        says(started(500), body(b"a", more_body=True), body(b"")),
        refused,
    ),
    "accepting in the middle of a response": (
        says(started(403), ACCEPT, body(b"a", more_body=True), closing(), body(b"b")),
        refused,
    ),
    "a status that is none": (says(started(600), started(99), closing()), refused),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_as_with_their_class(sides: Sides, case: str) -> None:
    app, client = CASES[case]
    ours, theirs = (play(served, app, client, wire.request()) for served in sides)
    assert ours[1] == theirs[1]
    # A response's end is told with a reason besides.
    for entry in ours[0]:
        if isinstance(entry, dict) and entry.get("code") == 1006:
            del entry["reason"]
    assert ours[0] == theirs[0]


VIOLATIONS = {
    "a reserved opcode": (wire.frame(0x3, b"a"), 1002),
    "no mask": (wire.frame(wire.TEXT, b"a", key=None), 1002),
    "no UTF-8": (wire.frame(wire.TEXT, b"\xff"), 1007),
    "too long": (wire.frame(wire.BINARY, b"a" * 101), 1009),
    "too long in pieces": (
        wire.frame(wire.BINARY, b"a" * 60, fin=False) + wire.frame(wire.CONTINUATION, b"a" * 60),
        1009,
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_the_application_learns_with_which_code_a_connection_was_failed(sides: Sides, violation: str) -> None:
    data, code = VIOLATIONS[violation]
    for served in sides:
        log, got = play(served, echo, speaks(TEXT, data), wire.request())
        assert got[0] == (wire.TEXT, "hé".encode())
        assert got[-1][0] == wire.CLOSE
        assert wire.close_code(got[-1][1]) == code
        assert (log[-1]["type"], log[-1]["code"]) == ("websocket.disconnect", code)


SCOPES = {
    "plain": wire.request(),
    "a query": wire.request(line="GET /a/b?c=d&e=%20 HTTP/1.1"),
    "an empty query": wire.request(line="GET /a? HTTP/1.1"),
    "percent signs": wire.request(line="GET /%7Euser/%C3%A9%2Fx%FF HTTP/1.1"),
    "subprotocols": wire.request({"Sec-WebSocket-Protocol": "chat, superchat"}),
    "fields": wire.request(extra=("X-Twice: 1", "X-Twice: 2", "Cookie: a=b; c=d", "X-Latin: \xe9")),
    "behind a proxy": wire.request(extra=("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")),
}


@pytest.mark.parametrize("case", SCOPES)
def test_the_scope_is_the_same(sides: Sides, case: str) -> None:
    scopes = []
    for served in sides:
        seen = Seen(returns)
        served.config.app.app = seen
        with Raw.connect(served.address) as raw:
            raw.send(SCOPES[case])
            raw.read_until_gone()
            own, peer = raw.sock.getsockname(), raw.sock.getpeername()
        seen.rest()
        scope = seen.scope
        assert scope.pop("server") == peer
        assert scope.pop("client") == (("203.0.113.7", 0) if "proxy" in case else own)
        scope["headers"] = list(scope["headers"])
        scopes.append(scope)
    assert scopes[0] == scopes[1]
    assert scopes[0]["headers"]
    assert scopes[0]["scheme"] == ("wss" if "proxy" in case else "ws")


def test_the_path_the_application_is_mounted_at() -> None:
    scopes = []
    for ws in (OURS, THEIRS):
        seen = Seen(returns)
        with running(seen, ws=ws, root_path="/mounted") as served, Raw.connect(served.address) as raw:
            raw.send(wire.request(line="GET /a%20b HTTP/1.1"))
            raw.read_until_gone()
            seen.rest()
        scopes.append([seen.scope[key] for key in ("root_path", "path", "raw_path")])
    assert scopes[0] == scopes[1]


def test_subprotocol_and_fields_of_the_answer(sides: Sides) -> None:
    accept = {**ACCEPT, "subprotocol": "b", "headers": [(b"x-own", b"\xe9"), (b"set-cookie", b"a=b")]}
    request = wire.request({"Sec-WebSocket-Protocol": "a, b"})

    def fields(raw: Raw) -> set[bytes]:
        lines = raw.head.split(b"\r\n")[1:]
        return {re.sub(rb"\A[^:]+", lambda name: name[0].lower(), line) for line in lines}

    ours, theirs = (play(served, says(accept, closing(), ends=False), fields, request)[1] for served in sides)
    for answer in (ours, theirs):
        assert {b"sec-websocket-protocol: b", b"x-own: \xe9", b"set-cookie: a=b"} < answer
        assert b"server: uvicorn" in answer
        assert any(line.startswith(b"date: ") for line in answer)
    without_date = [{line for line in answer if b"date: " not in line} for answer in (ours, theirs)]
    assert without_date[0] == without_date[1]


def test_log_lines_are_theirs(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    lines: list[list[str]] = []
    for served in sides:
        caplog.clear()
        for app in (echo, says(closing()), says(started(401), body(b""))):
            play(served, app, status, wire.request(line="GET /a%20b?c=d HTTP/1.1"))
        # `websockets` says more, and so do we, of the end.
        said = [line for line in caplog.messages if '"WebSocket' in line and "[closed" not in line]
        lines.append([re.sub(r":\d+ ", ": ", line) for line in said])
    assert lines[0] == lines[1]
    assert len(lines[0]) == 3
