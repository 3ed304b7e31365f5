import trio

from edgews.trio import WebSocket, serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    async with serve(echo, "127.0.0.1", 8765) as server:
        await server.serve_forever()


trio.run(main)
