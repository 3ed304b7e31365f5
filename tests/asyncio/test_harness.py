"""The runner finds what a test leaves behind."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.asyncio import harness
from tests.asyncio.harness import HOST, NewLoop, run, until


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "AFTERWARDS", 0.1)


async def stay() -> None:
    await asyncio.Event().wait()


async def stay_connected() -> None:
    with socket.create_server((HOST, 0)) as listening:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, *listening.getsockname())
        try:
            await stay()
        finally:
            transport.abort()


def test_a_task(new_loop: NewLoop) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def forget() -> None:
        tasks.append(asyncio.create_task(stay(), name="forgotten"))

    with pytest.raises(AssertionError, match="forgotten"):
        run(forget(), new_loop)


def test_a_transport(new_loop: NewLoop) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def forget() -> None:
        tasks.append(asyncio.create_task(stay_connected()))

    with pytest.raises(AssertionError, match="socket"):
        run(forget(), new_loop)


def test_an_exception_that_nobody_retrieved(new_loop: NewLoop) -> None:
    async def fail() -> None:
        raise ValueError("overlooked")

    async def forget() -> None:
        task = asyncio.create_task(fail())
        await until(task.done)

    with pytest.raises(AssertionError, match="overlooked"):
        run(forget(), new_loop)


def test_a_test_that_hangs(new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LIMIT", 0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run(hang(), new_loop)


def test_an_assertion_that_fails(new_loop: NewLoop) -> None:
    async def fail() -> None:
        assert HOST == "elsewhere"

    with pytest.raises(AssertionError, match="elsewhere"):
        run(fail(), new_loop)


async def test_coroutine_functions_run_in_debug_mode() -> None:
    assert asyncio.get_running_loop().get_debug()
