"""Many threads on one connection."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from edgews.sync import ConnectionClosed, WebSocket
from tests.raw import TIMEOUT
from tests.sync.harness import Link, echo


@contextlib.contextmanager
def beside(*works: Callable[[], object]) -> Iterator[None]:
    """Run each in a thread; their errors are raised at the end."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(TIMEOUT)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []


def test_messages_of_many_threads_stay_whole(link: Link) -> None:
    """Long and short, in pieces and not, with Pings between them; nothing is mixed, lost, or out of order."""

    def send(number: int) -> None:
        for turn in range(20):
            text = f"{number}/{turn} " + "x" * (number * 7919 % 20_000)
            ws.send([text[:10], text[10:]] if turn % 3 == 0 else text)

    def ping() -> None:
        for _ in range(20):
            assert ws.ping(TIMEOUT) > 0

    received: list[str | bytes] = []

    def receive() -> None:
        received.extend(ws.recv(TIMEOUT) for _ in range(160))

    senders = [lambda number=number: send(number) for number in range(8)]
    with link.open(echo) as ws, beside(*senders, receive, ping, ping):
        pass
    heads = [str(message).split(" ")[0].split("/") for message in received]
    for number in range(8):
        assert [turn for name, turn in heads if name == str(number)] == [str(turn) for turn in range(20)]
        size = number * 7919 % 20_000
        assert {str(m)[-size:] for m in received if str(m).startswith(f"{number}/") and size} <= {"x" * size}


def test_messages_of_the_peer_go_to_one_thread_each(link: Link) -> None:
    def talk(ws: WebSocket) -> None:
        for number in range(400):
            ws.send(str(number))

    taken: Counter[str | bytes] = Counter()
    lock = threading.Lock()

    def receive() -> None:
        for message in ws:
            with lock:
                taken[message] += 1

    with link.open(talk) as ws, beside(*[receive] * 8):
        pass
    assert taken == Counter(str(number) for number in range(400))


def test_every_thread_is_told_the_end(link: Link) -> None:
    """Senders, receivers, who pings and who waits, whatever each of them was doing."""
    told: Counter[str] = Counter()
    lock = threading.Lock()

    def until_told(name: str, call: Callable[[], object]) -> None:
        try:
            while True:
                call()
        except ConnectionClosed as error:
            with lock:
                told[f"{name} {error.disconnected.code}"] += 1

    calls: dict[str, Callable[[], object]] = {
        "send": lambda: ws.send("x" * 1000),
        "pieces": lambda: ws.send(["x"] * 3),
        "recv": lambda: ws.recv(TIMEOUT),
        "ping": lambda: ws.ping(TIMEOUT),
    }
    works = [
        lambda name=name, call=call: until_told(name, call) for name, call in calls.items() for _ in range(3)
    ]
    with link.open(echo) as ws, beside(*works, lambda: ws.wait_closed(TIMEOUT)):
        ws.ping(TIMEOUT)
        with beside(*[lambda: ws.close(4000)] * 3):
            pass
    assert told == Counter({f"{name} 4000": 3 for name in calls})
