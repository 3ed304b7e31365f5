"""Ctrl-C at every point at which a message is taken: it is there, or the connection says why it ended."""

from __future__ import annotations

import pytest

from edgews import CauseKind
from edgews.sync import ConnectionClosed, WebSocket, connect
from edgews.sync.pump import INTERRUPTED
from tests.raw import TIMEOUT
from tests.sync.harness import running, until, uri
from tests.sync.signals import Interruption

MESSAGES = ["0", "1", "2"]


@pytest.mark.parametrize("there", [True, False], ids=["there", "to-come"])
def test_at_most_one_message_is_lost(there: bool) -> None:
    def handler(ws: WebSocket) -> None:
        for _ in ws:
            for message in MESSAGES:
                ws.send(message)

    outcomes = set()
    with running(handler) as server:

        def interrupted(point: int) -> bool:
            with connect(uri(server)) as ws:
                ws.send("go")
                if there:
                    until(lambda: len(ws._session._inbox) == len(MESSAGES))
                found: list[str | bytes] = []
                came = Interruption(point)(lambda: found.append(ws.recv(TIMEOUT)))
                end = None
                try:
                    while not found or found[-1] != MESSAGES[-1]:
                        found.append(ws.recv(TIMEOUT))
                except ConnectionClosed as error:
                    end = error.disconnected
                if end is None:
                    outcomes.add("goes on")
                    assert found == MESSAGES or (came and found == MESSAGES[1:])
                else:
                    outcomes.add("ended")
                    assert came
                    assert (end.cause.kind, end.cause.detail) == (CauseKind.FAILED, INTERRUPTED)
                    assert found == MESSAGES[: len(found)]
                assert ws._receivers == 0
                return came

        point = 0
        while interrupted(point):
            point += 1
    assert point > 5
    if there:
        # Else the points are others each time.
        assert outcomes == {"ended", "goes on"}
