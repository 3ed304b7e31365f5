"""Send a text and a binary message to an echo server, and print what comes back.

python examples/echo_client.py [URI]
"""

from __future__ import annotations

import sys

from edgews.sync import connect


def main(uri: str) -> None:
    with connect(uri) as ws:
        for message in ("Hello, wörld!", b"\x00\x01\x02"):
            ws.send(message)
            print("received:", repr(ws.recv(timeout=5)))
        print(f"a Ping and its Pong took {ws.ping() * 1000:.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8765/")
