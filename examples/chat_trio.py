"""A chat room: everyone gets what anyone says. `python examples/chat_trio.py [PORT]`."""

import sys
from contextlib import suppress

import trio

from edgews.trio import ConnectionClosed, WebSocket, serve


async def tell(ws: WebSocket, message: str | bytes) -> None:
    with suppress(ConnectionClosed):
        await ws.send(message)


async def main(port: int) -> None:
    async def chat(ws: WebSocket) -> None:
        async for message in ws:
            async with trio.open_nursery() as nursery:
                for other in server.connections:
                    nursery.start_soon(tell, other, message)

    server: serve
    async with serve(chat, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.listeners[0].socket.getsockname()[1]}/", flush=True)
        await server.serve_forever()


try:
    trio.run(main, int(sys.argv[1]) if sys.argv[1:] else 8765)
except* KeyboardInterrupt:
    pass
