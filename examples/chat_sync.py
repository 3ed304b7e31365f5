"""A chat room: everyone gets what anyone says. `python examples/chat_sync.py [PORT]`."""

import sys
from contextlib import suppress

from edgews.sync import ConnectionClosed, WebSocket, serve

room: set[WebSocket] = set()


def chat(ws: WebSocket) -> None:
    room.add(ws)
    try:
        for message in ws:
            for other in list(room):
                with suppress(ConnectionClosed):
                    other.send(message)
    finally:
        room.remove(ws)


with serve(chat, "127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8765) as server:
    print(f"ws://127.0.0.1:{server.address[1]}/", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
