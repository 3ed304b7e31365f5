"""What a connection takes up; `python -m bench.compare.memory` prints it as JSON."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import edgews
from bench.traffic import KIB, REQUEST, TEXT, frame, text

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = b"\x01\x02\x03\x04"
CONNECTIONS = 2000
PAIRS = 400

AT_MOST = 1.5 * KIB


@dataclass(frozen=True)
class Measured:
    """Bytes for each connection.

    Attributes:
        traced: what Python allocated, by tracemalloc.
        resident: growth of the process's resident memory, in a run without tracemalloc; None where the
            operating system does not tell.
        at_most: the bound for `traced`, if there is one.
    """

    title: str
    traced: float
    resident: float | None
    at_most: float | None = None


def edgews_bare(role: edgews.Role) -> edgews.Connection:
    return edgews.Connection(role)


def edgews_server(
    compression: edgews.PerMessageDeflate | None = None, request: bytes = REQUEST
) -> edgews.Connection:
    connection = edgews.ServerConnection(compression=compression)
    for event in connection.receive_data(request):
        if isinstance(event, edgews.Request):
            connection.accept()
    connection.data_to_send()
    assert connection.state is edgews.State.OPEN
    return connection


def edgews_client() -> edgews.Connection:
    client = edgews.ClientConnection("ws://example.com/chat")
    server = edgews.ServerConnection()
    (event,) = server.receive_data(client.data_to_send())
    assert isinstance(event, edgews.Request)
    (accepted,) = client.receive_data(server.accept())
    assert isinstance(accepted, edgews.Accepted)
    assert client.state is edgews.State.OPEN
    return client


def edgews_used() -> edgews.Connection:
    connection = edgews_server()
    assert list(connection.receive_data(frame(TEXT, b"hello", key=KEY))) == ["hello"]
    connection.send_text("hello")
    return connection


OFFER = REQUEST.replace(
    b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
_AGREED = edgews.PerMessageDeflate(server_max_window_bits=12, client_max_window_bits=12)
_DEFLATE = (_AGREED, edgews.Agreement(False, False, 12, 12))
_MESSAGES = [text(3 * KIB, seed=seed) for seed in range(8)]
_sender = edgews.Connection(edgews.Role.CLIENT, deflate=_DEFLATE)
_FRAMES = [_sender.send_text(message) for message in _MESSAGES]


def edgews_deflating() -> edgews.Connection:
    """Both contexts used, with more data than fills the windows."""
    connection = edgews_server(_AGREED, OFFER)
    for message, data in zip(_MESSAGES, _FRAMES, strict=True):
        assert list(connection.receive_data(data)) == [message]
        assert len(connection.send_text(message)) < len(message) / 2
    return connection


def websockets_server() -> Any:
    from websockets.server import ServerProtocol

    protocol = ServerProtocol()
    protocol.receive_data(REQUEST)
    (request,) = protocol.events_received()
    protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]
    protocol.data_to_send()
    assert protocol.state.name == "OPEN"
    return protocol


def wsproto_server() -> Any:
    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection
    from wsproto.events import Request as WsprotoRequest

    connection = WSConnection(ConnectionType.SERVER)
    connection.receive_data(REQUEST)
    assert [type(event) for event in connection.events()] == [WsprotoRequest]
    connection.send(AcceptConnection())
    assert connection.state.name == "OPEN"
    return connection


KINDS: dict[str, tuple[Callable[[], Any], float | None, int]] = {
    "edgews `Connection(Role.SERVER)`": (lambda: edgews_bare(edgews.Role.SERVER), AT_MOST, CONNECTIONS),
    "edgews `Connection(Role.CLIENT)`": (lambda: edgews_bare(edgews.Role.CLIENT), AT_MOST, CONNECTIONS),
    "edgews `ServerConnection`, open": (edgews_server, AT_MOST, CONNECTIONS),
    "edgews `ClientConnection`, open": (edgews_client, AT_MOST, CONNECTIONS),
    "edgews `ServerConnection`, one message each way": (edgews_used, AT_MOST, CONNECTIONS),
    "edgews `ServerConnection`, deflate at 12 bits, both contexts used": (edgews_deflating, None, PAIRS),
    "websockets `ServerProtocol`, open": (websockets_server, None, CONNECTIONS),
    "wsproto `WSConnection`, open": (wsproto_server, None, CONNECTIONS),
}


def measure_all() -> list[Measured]:
    """Measure every kind, each figure in a process of its own."""
    measured: list[Measured] = []
    for title, (_, at_most, _) in KINDS.items():
        traced, resident = (_in_process(title, how) for how in ("traced", "resident"))
        assert traced is not None
        measured.append(Measured(title, traced, resident, at_most))
    return measured


def _in_process(title: str, how: str) -> float | None:
    command = [sys.executable, "-m", __spec__.name, how, title]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    answer: float | None = json.loads(done.stdout)
    return answer


def traced(make: Callable[[], Any], count: int) -> float:
    """Return the bytes that Python allocated for each of `count` objects, caches not counted."""
    kept: list[Any] = [None] * count
    make()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(count):
        kept[i] = make()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def resident(make: Callable[[], Any], count: int) -> float | None:
    """Return by how much the process's resident memory grew for each of `count` objects."""
    try:
        pages = open("/proc/self/statm")  # noqa: SIM115
    except OSError:
        return None
    kept: list[Any] = [None] * count
    # What the first ones leave behind, freed arenas and buffers, is not the others' doing.
    for _ in range(20):
        make()
    gc.collect()
    with pages:
        before = int(pages.read().split()[1])
        for i in range(count):
            kept[i] = make()
        gc.collect()
        pages.seek(0)
        after = int(pages.read().split()[1])
    return (after - before) * os.sysconf("SC_PAGE_SIZE") / count


def main() -> None:
    if len(sys.argv) == 3:
        make, _, count = KINDS[sys.argv[2]]
        print(json.dumps(traced(make, count) if sys.argv[1] == "traced" else resident(make, count)))
    else:
        print(json.dumps([asdict(measured) for measured in measure_all()], indent=2))


if __name__ == "__main__":
    main()
