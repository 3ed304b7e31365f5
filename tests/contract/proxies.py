"""Real proxies beside a scenario, in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import tiny_proxy

from tests.raw import TIMEOUT, check
from tests.sync.harness import HOST

HANDLERS = {
    "http": tiny_proxy.HttpProxyHandler,
    "socks4": tiny_proxy.Socks4ProxyHandler,
    "socks4a": tiny_proxy.Socks4ProxyHandler,
    "socks5": tiny_proxy.Socks5ProxyHandler,
    "socks5h": tiny_proxy.Socks5ProxyHandler,
}


@dataclass
class RunningProxy:
    """A proxy that listens; `uri` has its credentials, `used` counts the connections that it has taken."""

    scheme: str
    userinfo: str
    port: int = 0
    used: int = 0
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def uri(self) -> str:
        return f"{self.scheme}://{self.userinfo}{HOST}:{self.port}"


@contextlib.contextmanager
def proxy(scheme: str, **credentials: str) -> Iterator[RunningProxy]:
    userinfo = ":".join(credentials.values())
    running = RunningProxy(scheme, f"{userinfo}@" if userinfo else "")
    handler = HANDLERS[scheme](**credentials)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def handle(stream: Any) -> None:
        running.used += 1
        await handler.handle(stream)

    async def serve() -> None:
        async with await anyio.create_tcp_listener(local_host=HOST, local_port=0) as listener:
            running.port = listener.extra(anyio.abc.SocketAttribute.local_port)
            task = asyncio.ensure_future(listener.serve(handle))
            running.ready.set()
            await stop.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    check(running.ready.wait(TIMEOUT), "the proxy does not listen")
    try:
        yield running
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(TIMEOUT)
        check(not thread.is_alive(), "the proxy has not ended")
