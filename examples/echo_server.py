"""Send back every message that comes.

python examples/echo_server.py [PORT]
"""

from __future__ import annotations

import sys
from contextlib import suppress

from edgews.sync import WebSocket, serve


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


def main(port: int) -> None:
    with suppress(KeyboardInterrupt), serve(echo, "127.0.0.1", port) as server:
        print(f"ws://127.0.0.1:{server.address[1]}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
