"""The kernels in C and their twins in Python: the same story for the same bytes."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Connection, Delivery, PreparedMessage, Role, backend, buffers
from edgews.backend import Backend
from tests.engines import ROLES, make
from tests.wire import frames

from .traffic import Item, any_traffic, connection, cut, deliveries, encode, messages, roles, run

pytestmark = pytest.mark.extension

KERNELS = [name for name in backend.__all__ if name not in ("BACKEND", "Backend")]


@contextlib.contextmanager
def kernels(name: Backend) -> Iterator[None]:
    """Put the kernels of one backend into every module that has imported any."""
    wanted = importlib.import_module(f"edgews.backend_{name}")
    places = [
        (module, kernel)
        for path, module in list(sys.modules.items())
        if path.startswith("edgews") and "backend_" not in path
        for kernel in KERNELS
        if hasattr(module, kernel)
    ]
    before: list[tuple[Any, str, Any]] = [
        (module, kernel, getattr(module, kernel)) for module, kernel in places
    ]
    # Blocks of memory that wait to be used again are pinned for the kernels that they were made with.
    before.append((buffers, "_spare", buffers._spare))
    try:
        for module, kernel in places:
            setattr(module, kernel, getattr(wanted, kernel))
        buffers._spare = []
        yield
    finally:
        for module, kernel, function in before:
            setattr(module, kernel, function)


def test_the_kernels_are_really_exchanged() -> None:
    from edgews import incoming, outgoing

    for name in ("c", "python"):
        with kernels(name):
            wanted = importlib.import_module(f"edgews.backend_{name}")
            assert incoming.read_run is wanted.read_run
            assert outgoing.build_masked is wanted.build_masked


@given(
    role=roles,
    delivery=deliveries,
    traffic=st.booleans().flatmap(lambda on: st.tuples(st.just(on), any_traffic(on))),
    flips=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), max_size=2),
    sizes=st.lists(st.integers(1, 3000), max_size=4),
)
def test_the_same_bytes_give_the_same_outcome(
    role: Role,
    delivery: Delivery,
    traffic: tuple[bool, list[Item]],
    flips: list[tuple[int, int]],
    sizes: list[int],
) -> None:
    compressed, items = traffic
    data = bytearray(encode(role, items))
    for at, change in flips:
        if data:
            data[at % len(data)] ^= change
    reads = cut(bytes(data), sizes)
    outcomes = []
    for name in ("c", "python"):
        with kernels(name):
            outcome = run(connection(role, compressed, delivery), reads)
            error = outcome.end.cause.error
            outcome.end.cause.error = None
            outcomes.append((outcome, type(error), str(error)))
    assert outcomes[0] == outcomes[1]


plain_runs = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 1, 2, 0, 9]),
        st.binary(max_size=20)
        | st.text(max_size=20).map(str.encode)
        | st.sampled_from([bytes(126), bytes(65_536)]),
    ),
    max_size=30,
)


@given(
    masked=st.booleans(),
    parts=plain_runs,
    front=st.integers(0, 5),
    cut_off=st.integers(0, 12),
    limit=st.sampled_from([0, 5, 20, 126, 1 << 20, sys.maxsize]),
)
def test_runs(masked: bool, parts: list[tuple[int, bytes]], front: int, cut_off: int, limit: int) -> None:
    from edgews import backend_c, backend_python
    from tests.backends import scanned
    from tests.wire import KEY, frame

    data = b"\x81" * front + b"".join(
        frame(op, payload, key=KEY if masked else None) for op, payload in parts
    )
    data = data[: max(front, len(data) - cut_off)]
    # One call may stop early, at the end of its scratch, so whole runs are compared.
    for start in {front, min(front + 1, len(data))}:
        stories = []
        for twin in (backend_c, backend_python):
            found: list[str | bytes] = []
            at = start
            while True:
                run_, after = twin.read_run(data, at, limit, masked)
                found += run_
                if not run_:
                    break
                at = after
            stories.append((found, at))
        assert stories[0] == stories[1]
        stream = (data, start, limit, masked)
        assert scanned(backend_c, *stream) == scanned(backend_python, *stream)


def send_all(conn: Connection, story: list[str | bytes]) -> list[bytes]:
    written = []
    for message in story:
        written.append(conn.send(message))
        written.append(conn.send_prepared(PreparedMessage(message)))
        written.append(conn.send_fragment(message, final=True))
        written.append(b"".join(conn.send_parts(message)))
    return [conn.send_ping(b"x"), *written, conn.send_close(1000, "bye")]


@pytest.mark.parametrize("role", ROLES)
@given(story=st.lists(messages, max_size=6), deflate=st.booleans())
def test_the_same_messages_give_the_same_frames(role: Role, story: list[str | bytes], deflate: bool) -> None:
    """But for the masking keys, which are never the same twice."""
    written = []
    for name in ("c", "python"):
        with kernels(name):
            written.append([frames(data) for data in send_all(make(role, deflate=deflate), story)])
    assert written[0] == written[1]
