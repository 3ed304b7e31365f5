"""An echo server on blocking sockets, with a thread for each connection.

python examples/embedding/blocking.py [PORT]
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from time import monotonic

from edgews import Connection, Disconnected, Event, Request, ServerConnection, State, Transport

React = Callable[[Event], bytes]


def drive(sock: socket.socket, conn: Connection, react: React) -> None:
    """Keep a connection going until it is over; `react` returns what to write after an event."""
    ended = False
    while True:
        # What the engine sends by itself, then what its state means for the byte stream.
        write(sock, conn, conn.data_to_send())
        if conn.transport is Transport.CLOSE:
            break
        if conn.transport is Transport.HALF_CLOSE and not ended:
            ended = True
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
        # Wait for bytes or for a timer, whatever comes first.
        due, now = conn.next_timeout(), monotonic()
        if due is not None and due <= now:
            events = conn.handle_timeout(now)
        else:
            sock.settimeout(None if due is None else due - now)
            try:
                data = sock.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            events = conn.receive_data(data) if data else conn.receive_eof()
        for event in events:
            write(sock, conn, react(event))
    # The stream is gone for us, so it has ended.
    for event in conn.receive_eof():
        react(event)


def write(sock: socket.socket, conn: Connection, data: bytes) -> None:
    """Write all of it; nothing is read meanwhile, so a peer that does not read has to wait as well."""
    if data:
        sock.settimeout(conn.timeouts.ping_timeout)
        # A peer that takes nothing for so long, or is gone: reading will say so.
        try:
            sock.sendall(data)
        except OSError:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def serve(sock: socket.socket) -> None:
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

    with sock:
        drive(sock, conn, react)


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener, suppress(KeyboardInterrupt):
        print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        while True:
            Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
