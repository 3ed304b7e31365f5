"""Compare `edgews.compat.wsproto` with wsproto: `python -m bench.facade`.

Both do the same in one process, round by round in turn; the table gives medians, and their ratio.
"""

from __future__ import annotations

import importlib
import statistics
import timeit
from collections.abc import Callable
from typing import Any

from bench.traffic import TEXT, frame, text

ROUNDS = 31
# How often a round does it.
NUMBER = 2000
SIZE = 125
KEY = b"\x37\xfa\x21\x3d"

LIBRARIES = ("edgews.compat.wsproto", "wsproto")
Work = Callable[[], object]


def connection(library: str, kind: str) -> tuple[Any, Any]:
    """Return an open connection of one library, and its events."""
    module = importlib.import_module(f"{library}.connection")
    return module.Connection(module.ConnectionType[kind]), importlib.import_module(f"{library}.events")


def receive(library: str, frames: int) -> Work:
    conn, events = connection(library, "SERVER")
    message = text(SIZE)
    read = frame(TEXT, message.encode(), key=KEY) * frames

    def work() -> None:
        conn.receive_data(read)
        for _ in conn.events():
            pass

    conn.receive_data(read)
    assert list(conn.events()) == [events.TextMessage(message)] * frames
    return work


def receive_in_halves(library: str) -> Work:
    conn, _ = connection(library, "SERVER")
    message = text(SIZE)
    read = frame(TEXT, message.encode(), key=KEY)
    halves = read[:64], read[64:]

    def work() -> str:
        whole = ""
        for half in halves:
            conn.receive_data(half)
            for event in conn.events():
                whole += event.data
        return whole

    assert work() == message
    return work


def send(library: str, kind: str) -> Work:
    conn, events = connection(library, kind)
    message = text(SIZE)

    def work() -> bytes:
        data: bytes = conn.send(events.TextMessage(message))
        return data

    assert len(work()) == SIZE + (6 if kind == "CLIENT" else 2)
    return work


ROWS: dict[str, Callable[[str], Work]] = {
    f"receive a masked text of {SIZE} B": lambda library: receive(library, 1),
    "the same in two reads": receive_in_halves,
    "the same, 64 in one read": lambda library: receive(library, 64),
    f"send a text of {SIZE} B, server": lambda library: send(library, "SERVER"),
    f"send a text of {SIZE} B, client": lambda library: send(library, "CLIENT"),
}


def main() -> None:
    print(f"{'':36}{'facade':>11}{'wsproto':>11}   ratio")
    for title, make in ROWS.items():
        number = NUMBER // 64 if "64" in title else NUMBER
        timers = [timeit.Timer(make(library)) for library in LIBRARIES]
        rounds = [[timer.timeit(number) / number for timer in timers] for _ in range(ROUNDS)]
        facade, wsproto = (statistics.median(each) * 1e6 for each in zip(*rounds, strict=True))
        print(f"{title:36}{facade:8.2f} us{wsproto:8.2f} us{facade / wsproto:8.2f}", flush=True)


if __name__ == "__main__":
    main()
