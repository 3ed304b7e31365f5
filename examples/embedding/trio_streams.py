"""An echo server on trio's streams.

python examples/embedding/trio_streams.py [PORT]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import suppress

import trio

from edgews import Connection, Disconnected, Event, Request, ServerConnection, State, Transport

React = Callable[[Event], bytes]


async def drive(stream: trio.SocketStream, conn: Connection, react: React) -> None:
    """Keep a connection going until it is over; `react` returns what to write after an event."""
    ended = False
    while True:
        # What the engine sends by itself, then what its state means for the byte stream.
        await write(stream, conn, conn.data_to_send())
        if conn.transport is Transport.CLOSE:
            break
        if conn.transport is Transport.HALF_CLOSE and not ended:
            ended = True
            try:
                await stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                break
        # Wait for bytes or for a timer, whatever comes first.
        due = conn.next_timeout()
        if due is not None and due <= trio.current_time():
            events = conn.handle_timeout(trio.current_time())
        else:
            data: bytes | None = None
            with trio.move_on_at(math.inf if due is None else due):
                try:
                    data = await stream.receive_some(65536)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    data = b""
            if data is None:
                continue
            events = conn.receive_data(data) if data else conn.receive_eof()
        for event in events:
            await write(stream, conn, react(event))
    # The stream is gone for us, so it has ended.
    for event in conn.receive_eof():
        react(event)


async def write(stream: trio.SocketStream, conn: Connection, data: bytes) -> None:
    """Write all of it; nothing is read meanwhile, so a peer that does not read has to wait as well."""
    if data:
        patience = conn.timeouts.ping_timeout
        with trio.move_on_after(math.inf if patience is None else patience) as scope:
            # If it breaks, reading will say so.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await stream.send_all(data)
        if scope.cancelled_caught:
            await trio.aclose_forcefully(stream)  # a peer that takes nothing for so long


async def serve(stream: trio.SocketStream) -> None:
    conn = ServerConnection()

    def react(event: Event) -> bytes:
        match event:
            case Request():
                return conn.accept()
            case str() | bytes() if conn.state is State.OPEN:
                return conn.send(event)
            case Disconnected():
                print(f"closed with {event.code}, {event.cause}", flush=True)
        return b""

    async with stream:
        await drive(stream, conn, react)


async def main(port: int) -> None:
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    print(f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/", flush=True)
    await trio.serve_listeners(serve, [listener])


if __name__ == "__main__":
    try:
        trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
    except* KeyboardInterrupt:
        pass
