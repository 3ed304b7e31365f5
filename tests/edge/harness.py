"""A gateway in a thread of its own, and an origin that does exactly what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import trustme

from edgews.edge.config.file import check_values
from edgews.edge.gateway.accesslog import AccessLog
from edgews.edge.gateway.server import Gateway
from tests import wire
from tests.raw import TIMEOUT, Raw, check

SWITCH = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {wire.ACCEPT}\r\n"
)


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        check(time.monotonic() < end, f"it did not come about that {what}")
        time.sleep(0.002)


class Running:
    """A gateway that runs."""

    def __init__(self, values: dict[str, Any], uvloop: bool = False) -> None:
        self._values = values
        self._log = io.StringIO()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.trouble: list[dict[str, Any]] = []
        self._factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
        if uvloop:
            import uvloop as uv

            self._factory = uv.new_event_loop
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait(TIMEOUT)
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._factory) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda loop, context: self.trouble.append(context))
        self._stop = asyncio.Event()
        try:
            self.gateway = Gateway(check_values(self._values, "", "test"), log=AccessLog(self._log))
            await self.gateway.start()
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await self.gateway.drain(0)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.gateway.addresses[0].partition("://")[2].rpartition(":")
        return host, int(port)

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(TIMEOUT)

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return what the access log has."""
        found = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [record for record in found if event in (None, record["event"])]

    def last(self, event: str) -> dict[str, Any]:
        """Wait for the first record of a kind, and return the last one."""
        eventually(lambda: self.records(event), f"{event} is logged")
        return self.records(event)[-1]

    def is_empty(self) -> bool:
        """Say whether nothing is left of any connection."""
        origins = [origin for route in self.gateway.routes for origin in route.pool.origins]
        return not self.gateway.connections and not any(origin.active for origin in origins)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT)
        check(not self._thread.is_alive(), "the gateway does not end")
        check(self.is_empty(), "something is left of a connection")
        check(not self.trouble, f"exceptions in callbacks: {self.trouble}")


@contextlib.contextmanager
def running(*origins: str, uvloop: bool = False, top: Any = None, **route: Any) -> Iterator[Running]:
    """Run a gateway with one route."""
    values = {
        "listen": [{"address": "127.0.0.1:0"}],
        "route": [{"name": "test", "origins": list(origins), **route}],
        **(top or {}),
    }
    gateway = Running(values, uvloop)
    try:
        yield gateway
    finally:
        gateway.stop()


class Origin:
    """A listening socket; the test plays the server behind it."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.sock.settimeout(TIMEOUT)
        self.uri = f"ws://127.0.0.1:{self.sock.getsockname()[1]}"

    def accept(self) -> Raw:
        """Return the gateway's next connection, behind its request."""
        raw = Raw(self.sock.accept()[0])
        raw.read_head()
        return raw

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def switch(*fields: str) -> bytes:
    """Return the answer that opens the connection of `wire.request`."""
    return (SWITCH + "".join(f"{field}\r\n" for field in fields) + "\r\n").encode()


@contextlib.contextmanager
def tunnel(gateway: Running, origin: Origin, *, offer: str | None = None) -> Iterator[tuple[Raw, Raw]]:
    """Open a connection through the gateway; return its two ends."""
    with Raw.connect(gateway.address) as client:
        client.send(wire.request({"Sec-WebSocket-Extensions": offer}))
        with origin.accept() as server:
            server.send(switch(*([f"Sec-WebSocket-Extensions: {offer}"] if offer else [])))
            head = client.read_head()
            check(head.startswith(b"HTTP/1.1 101"), f"answered with {head!r}")
            yield client, server


class Authority:
    """Certificates for 127.0.0.1, and who trusts them."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.trust = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.trust)
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.issue()

    def issue(self) -> None:
        """Put a new certificate in place of the one before."""
        made = self.ca.issue_cert("127.0.0.1")
        self.key.write_bytes(made.private_key_pem.bytes())
        self.certificate.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))

    def listen(self, address: str = "127.0.0.1:0") -> dict[str, str]:
        return {"address": address, "certificate": str(self.certificate), "key": str(self.key)}

    def connect(self, address) -> Raw:
        context = ssl.create_default_context(cafile=self.trust)
        context.set_alpn_protocols(["h2", "http/1.1"])
        sock = socket.create_connection(address, TIMEOUT)
        return Raw(context.wrap_socket(sock, server_hostname="127.0.0.1"))

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context
