import trio

from edgews.trio import connect


async def main() -> None:
    async with connect("ws://127.0.0.1:8765/") as ws:
        await ws.send("hello")
        print(await ws.recv())
        print(f"{await ws.ping() * 1000:.1f} ms there and back")


trio.run(main)
