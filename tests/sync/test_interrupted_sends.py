"""Ctrl-C at every point of a send: whatever the peer gets is a stream of whole frames, or is cut off."""

from __future__ import annotations

import queue
import random
import socket
import threading

import pytest

from edgews import CauseKind, Disconnected, PerMessageDeflate
from edgews.sync import ConnectionClosed, WebSocket, connect
from edgews.sync.pump import INTERRUPTED
from tests.raw import TIMEOUT
from tests.sync.harness import HOST, client_context, running, server_context
from tests.sync.signals import Interruption

# More than the socket takes at once, so that the rest is written in parts and by the connection's thread.
BIG = random.Random(1).randbytes(300_000)
SMALL_BUFFER = 65_536


class Ends:
    """A handler that hands over what each connection brought, and how it ended."""

    def __init__(self) -> None:
        self.found: queue.Queue[tuple[list[str | bytes], Disconnected | None]] = queue.Queue()

    def __call__(self, ws: WebSocket) -> None:
        messages: list[str | bytes] = []
        try:
            messages.extend(ws)
        except ConnectionClosed:
            pass
        finally:
            self.found.put((messages, ws.closed))


@pytest.mark.parametrize("compression", [None, PerMessageDeflate()], ids=["plain", "deflate"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_no_byte_is_lost_or_sent_twice(secure: bool, compression: PerMessageDeflate | None) -> None:
    ends = Ends()
    outcomes = set()
    context = client_context() if secure else None
    with running(ends, ssl=server_context() if secure else None, compression=compression) as server:

        def interrupted(point: int) -> bool:
            sock = socket.create_connection(server.address)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
            ws = connect(
                f"{'wss' if secure else 'ws'}://{HOST}/",
                sock=sock,
                ssl=context,
                server_hostname=HOST if secure else None,
                compression=compression,
            )
            ws.send("before")
            interruption = Interruption(point)
            came = interruption(lambda: ws.send(BIG))
            outcome = "goes on"
            try:
                ws.send("behind")
            except ConnectionClosed:
                outcome = "ended"
            ws.close()
            messages, closed = ends.found.get(timeout=TIMEOUT)
            assert closed is not None
            # Nothing that was not sent, and nothing that is no frame.
            whole = ["before", BIG, "behind"]
            if outcome == "ended":
                assert came
                assert ws.closed is not None
                assert ws.closed.cause.kind is CauseKind.FAILED
                assert ws.closed.cause.detail == INTERRUPTED
                assert messages == whole[: len(messages)]
                assert closed.cause.kind is CauseKind.PEER_VANISHED
            else:
                assert messages == whole or (came and messages == ["before", "behind"])
                assert closed.clean
            assert ws._writers == 0
            outcomes.add(outcome)
            return came

        point = 0
        while interrupted(point):
            point += 1
    # It came behind the calls that encode, and behind those that write.
    assert point > 20
    assert outcomes == {"ended", "goes on"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgews-client")]
