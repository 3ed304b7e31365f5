"""A chat room: everyone gets what anyone says. `python examples/chat_trio.py [PORT]`."""

import sys

import trio

from edgews.trio import WebSocket, broadcast, serve


async def main(port: int) -> None:
    async def chat(ws: WebSocket) -> None:
        async for message in ws:
            broadcast(server.connections, message)

    server: serve
    async with serve(chat, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.listeners[0].socket.getsockname()[1]}/", flush=True)
        await server.serve_forever()


try:
    trio.run(main, int(sys.argv[1]) if sys.argv[1:] else 8765)
except* KeyboardInterrupt:
    pass
