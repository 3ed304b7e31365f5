"""An echo server on asyncio's streams.

python examples/embedding/asyncio_streams.py [PORT]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

from edgews import Connection, Disconnected, Event, Request, ServerConnection, State, Transport

React = Callable[[Event], bytes]


async def drive(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, conn: Connection, react: React
) -> None:
    """Keep a connection going until it is over; `react` returns what to write after an event."""
    loop = asyncio.get_running_loop()
    ended = False
    if not writer.can_write_eof():  # TLS
        conn.cannot_half_close()
    while True:
        # What the engine sends by itself, then what its state means for the byte stream.
        await write(writer, conn, conn.data_to_send())
        if conn.transport is Transport.CLOSE:
            break
        if conn.transport is Transport.HALF_CLOSE and not ended:
            ended = True
            writer.write_eof()
        # Wait for bytes or for a timer, whatever comes first.
        due = conn.next_timeout()
        if due is not None and due <= loop.time():
            events = conn.handle_timeout(loop.time())
        else:
            try:
                async with asyncio.timeout_at(due):
                    data = await reader.read(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            events = conn.receive_data(data) if data else conn.receive_eof()
        for event in events:
            await write(writer, conn, react(event))
    # The stream is gone for us, so it has ended.
    for event in conn.receive_eof():
        react(event)


async def write(writer: asyncio.StreamWriter, conn: Connection, data: bytes) -> None:
    """Write, and wait until little waits; nothing is read meanwhile, so the peer has to wait as well."""
    if not data:
        return
    writer.write(data)
    try:
        async with asyncio.timeout(conn.timeouts.ping_timeout):
            await writer.drain()
    except ConnectionError:
        pass  # reading will say so
    except TimeoutError:
        writer.transport.abort()  # a peer that takes nothing for so long


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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

    try:
        await drive(reader, writer, conn, react)
    finally:
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
