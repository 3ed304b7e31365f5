"""A chat room: everyone gets what anyone says. `python examples/chat_sync.py [PORT]`."""

import sys
from contextlib import suppress

from edgews.sync import WebSocket, broadcast, serve


def chat(ws: WebSocket) -> None:
    for message in ws:
        broadcast(server.connections, message)


with serve(chat, "127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 8765) as server:
    print(f"ws://127.0.0.1:{server.address[1]}/", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
