"""A chat room: everyone gets what anyone says. `python examples/chat_asyncio.py [PORT]`."""

import asyncio
import sys
from contextlib import suppress

from edgews.asyncio import Server, WebSocket, broadcast, serve


async def main(port: int) -> None:
    async def chat(ws: WebSocket) -> None:
        async for message in ws:
            broadcast(server.connections, message)

    server: Server
    async with serve(chat, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        await server.serve_forever()


with suppress(KeyboardInterrupt):
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 8765))
