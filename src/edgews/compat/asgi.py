"""The conversation of an ASGI application with one connection, whichever server it runs under.

A connection of `edgews.asyncio` whose handler is the application. What the application may say depends on
what it has said before: that is the table at the end.

ASGI, "WebSocket" (specification version 2.4) and the extension "WebSocket Denial Response".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from edgews.asyncio.websocket import TURN, Owner, WebSocket
from edgews.errors import StateError
from edgews.events import Request
from edgews.frames import CloseCode
from edgews.outcomes import ConnectionClosed
from edgews.server import ServerConnection

SPEC_VERSION: Final = "2.4"

Message = MutableMapping[str, Any]

# What the application does not say itself of a response that it makes: the engine frames it.
_FRAMING: Final = frozenset({"connection", "content-length", "transfer-encoding"})


class ASGIWebSocket(WebSocket):
    """A connection that an ASGI application receives from and sends to; a server derives from it.

    Attributes:
        gone_error: what `send` raises once the client has gone; applications know it as an OSError.
        log: where exceptions of the application go.
    """

    __slots__ = ("_may", "_refusal", "_told")

    gone_error: ClassVar[type[OSError]]
    log: ClassVar[logging.Logger]

    def __init__(self, conn: ServerConnection, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        super().__init__(conn, loop, owner)
        # What the application may say now.
        self._may = _ASKED
        # Whether it has had its `websocket.connect`.
        self._told = False
        # Status and fields of a response whose body is still to come.
        self._refusal: tuple[int, list[tuple[str, str]]] | None = None

    # What a server brings

    def _added_fields(self) -> Iterable[tuple[bytes, bytes]]:
        """Return the fields that the server adds to every response."""
        raise NotImplementedError

    def _note(self, what: str, *values: object) -> None:
        """Write down what became of the request, as a format and its values."""
        raise NotImplementedError

    # From the beginning to the end

    async def _run(self, app: Any, scope: Any) -> None:
        """Run the application, and say afterwards what it has not said."""
        try:
            result = await app(scope, self._receive, self._send)
        except self.gone_error:
            self._leave(CloseCode.NORMAL_CLOSURE)
        except asyncio.CancelledError:
            # The server waits no longer for the application.
            self._leave(CloseCode.SERVICE_RESTART)
            raise
        except BaseException:
            self.log.exception("Exception in ASGI application\n")
            self._leave(CloseCode.INTERNAL_ERROR)
        else:
            if self._may is _ASKED:
                self.log.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                self.log.error("ASGI callable should return None, but returned '%s'.", result)
            self._leave(CloseCode.NORMAL_CLOSURE)

    def _leave(self, code: int) -> None:
        """The application has ended."""
        if self._may is _ASKED or self._refusal is not None:
            self._refuse(500, "Internal Server Error")
        elif self._may is _REFUSING:
            # So that the client sees that something is missing.
            self._abort()
        else:
            self._start_close(code)

    def _shut(self) -> None:
        """The server ends: close with 1012, or answer a request that still waits with 503."""
        if self._may is _ASKED:
            # What the application says now comes too late, which is not its fault.
            self._refuse(503, "the server restarts\n")
        else:
            self._start_close(CloseCode.SERVICE_RESTART)

    # What it hears

    async def _receive(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        try:
            message = await anext(self)
        except (StopAsyncIteration, ConnectionClosed):
            return self._disconnect()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    def _disconnect(self) -> Message:
        """Return the end as ASGI tells it: where we failed the connection, with the code that we sent."""
        closed = self.closed
        assert closed is not None
        code, reason = closed.code, closed.reason
        if code == CloseCode.ABNORMAL_CLOSURE:
            code = getattr(closed.cause.error, "code", code)
            reason = closed.cause.detail
        return {"type": "websocket.disconnect", "code": code, "reason": reason}

    # What it says

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        transport = self._transport
        if transport is None or transport.is_closing():
            raise self.gone_error
        speak = self._may.get(kind)
        if speak is None:
            raise RuntimeError(self._unexpected(kind))
        try:
            speak(self, message)
        except StateError:
            raise self.gone_error from None
        self._sent += 1
        if self._drained is not None or self._sent % TURN == 0:
            await self._make_room()

    def _unexpected(self, kind: str) -> str:
        wanted = " or ".join(f"'{name}'" for name in self._may)
        if wanted:
            return f"Expected ASGI message {wanted}, but got '{kind}'."
        return f"Unexpected ASGI message '{kind}', after the connection was closed or refused."

    def _say_accept(self, message: Message) -> None:
        if not self._accept(message.get("subprotocol"), self._fields(message)):
            raise self.gone_error
        self._may = _OPEN
        self._note("[accepted]")

    def _say_message(self, message: Message) -> None:
        data = message.get("bytes")
        if data is not None:
            self._put(self._conn.send_bytes(data))
            return
        text = message.get("text")
        if text is None:
            raise RuntimeError("a 'websocket.send' has neither 'bytes' nor 'text'")
        self._put(self._conn.send_text(text))

    def _say_close(self, message: Message) -> None:
        code = message.get("code", CloseCode.NORMAL_CLOSURE)
        data = self._conn.send_close(code, message.get("reason") or "")
        self._may = _ENDED
        self._put(data)
        self._session.leave()
        self._advance()

    def _say_forbidden(self, message: Message) -> None:
        self._refuse(403)
        self._may = _ENDED
        self._note("403")

    def _say_response(self, message: Message) -> None:
        status = message["status"]
        if status not in range(200, 600):
            raise RuntimeError(f"a response cannot have the status {status}")
        self._refusal = status, self._fields(message, _FRAMING)
        self._may = _REFUSING
        self._note("%d", status)

    def _say_body(self, message: Message) -> None:
        body, final = message.get("body", b""), not message.get("more_body", False)
        conn = self._conn
        assert isinstance(conn, ServerConnection)
        if self._refusal is not None:
            status, fields = self._refusal
            # What comes in one piece goes out with its length.
            data = conn.reject(status, headers=fields, body=body, final=final)
            self._refusal = None
        else:
            data = conn.send_body(body, final=final)
        if final:
            self._may = _ENDED
        self._put(data)
        self._advance()

    def _refuse(self, status: int, body: str = "") -> None:
        """Answer with a response of our own, if the client is still there."""
        assert isinstance(self._conn, ServerConnection)
        self._refusal = None
        try:
            data = self._conn.reject(status, headers=self._fields({}), body=body)
        except StateError:
            return
        self._put(data)
        self._advance()

    def _fields(self, message: Message, without: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
        """Return the fields of a response: the application's, and those that the server adds to them."""
        own = [field for field in _decoded(message.get("headers") or ()) if field[0].lower() not in without]
        names = {name.lower() for name, _ in own}
        added = _decoded(self._added_fields())
        return [*(field for field in added if field[0].lower() not in names), *own]


def _decoded(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields]


def request_scope(request: Request, root_path: str) -> dict[str, Any]:
    """Return what a scope says of the request; paths begin with where the application is mounted."""
    return {
        "type": "websocket",
        "http_version": request.http_version,
        "root_path": root_path,
        "path": root_path + unquote(request.path),
        "raw_path": (root_path + request.path).encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
        ],
        "subprotocols": request.subprotocols,
        "extensions": {"websocket.http.response": {}},
    }


# What the application may say when, and what it comes to.
_Sayings = dict[str, Callable[[ASGIWebSocket, Message], None]]
_ASKED: Final[_Sayings] = {
    "websocket.accept": ASGIWebSocket._say_accept,
    "websocket.close": ASGIWebSocket._say_forbidden,
    "websocket.http.response.start": ASGIWebSocket._say_response,
}
_REFUSING: Final[_Sayings] = {"websocket.http.response.body": ASGIWebSocket._say_body}
_OPEN: Final[_Sayings] = {
    "websocket.send": ASGIWebSocket._say_message,
    "websocket.close": ASGIWebSocket._say_close,
}
_ENDED: Final[_Sayings] = {}
