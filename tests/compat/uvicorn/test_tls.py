"""The same over TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.compat.uvicorn.clients import KINDS
from tests.compat.uvicorn.serving import LOOPS, Receive, Seen, Send, running
from tests.sync.harness import AUTHORITY, HOST, client_context

pytestmark = [pytest.mark.peers, pytest.mark.parametrize("loop", LOOPS)]

ACCEPT = {"type": "websocket.accept"}


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    certificate: trustme.LeafCert = AUTHORITY.issue_cert(HOST)
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    certificate.private_key_pem.write_to_path(key)
    certificate.cert_chain_pems[0].write_to_path(chain)
    return {"ssl_keyfile": str(key), "ssl_certfile": str(chain)}


@pytest.mark.parametrize("kind", KINDS)
def test_tls(loop: str, kind: str, tls: dict[str, str]) -> None:
    async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    async def main(uri: str) -> None:
        async with KINDS[kind].open(uri, tls=client_context()) as client:
            for message in ("hello", b"\x00", "x" * 200_000):
                await client.send(message)
                assert await client.recv() == message
            await client.close(4000, "bye")
            assert (await client.ended())[0] == 4000
        async with KINDS[kind].open(uri, tls=client_context()) as client:
            client.drop()

    seen = Seen(echo)
    with running(seen, loop=loop, **tls) as served:
        asyncio.run(main(served.uri()))
        assert seen.rest()[-1] == {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
        assert seen.rest()[-1]["code"] == 1006
    assert seen.scope["scheme"] == "wss"
