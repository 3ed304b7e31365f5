"""Redirects, between real servers."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest

from edgews import Headers, Request, Response, Timeouts
from edgews.outcomes import InvalidHandshake
from tests.contract.drivers import PATIENCE, Driver, Serving
from tests.contract.peers import raw_server
from tests.raw import Raw
from tests.sync.harness import HOST, client_context, server_context


def leading(
    places: dict[str, str], seen: list[Request] | None = None
) -> Callable[[Request], Response | None]:
    """Return what redirects from paths to places, and accepts all others."""

    def process(request: Request) -> Response | None:
        if seen is not None:
            seen.append(request)
        place = places.get(request.path)
        return None if place is None else Response(302, Headers({"Location": place}), b"elsewhere")

    return process


async def refused(d: Driver, uri: str, **options: Any) -> InvalidHandshake:
    with pytest.raises(InvalidHandshake) as caught:
        async with d.connecting(uri, **options):
            raise AssertionError("it is open")
    return caught.value


async def test_nobody_follows_unasked(d: Driver) -> None:
    async with d.serving(d.echo, process_request=leading({"/": "/there"})) as server:
        error = await refused(d, server.uri())
    assert error.response is not None
    assert (error.response.status, error.response.body) == (302, b"elsewhere")


async def test_as_far_as_one_is_asked_to(d: Driver) -> None:
    process = leading({"/": "/a", "/a": "b/c?x=1", "/b/c": "http:/d"})
    async with d.serving(d.echo, process_request=process) as server:
        async with d.connecting(server.uri(), redirects=3) as ws:
            await d.send(ws, "x")
            assert await d.recv(ws, PATIENCE) == "x"
            assert ws.request.target == "/d"
        assert "too many" in str(await refused(d, server.uri(), redirects=2))


async def test_a_circle_is_seen(d: Driver) -> None:
    async with d.serving(d.echo, process_request=leading({"/": "/a", "/a": "/"})) as server:
        assert "circle" in str(await refused(d, server.uri(), redirects=1000))


async def test_no_secret_reaches_another_server(d: Driver) -> None:
    seen: list[Request] = []
    secrets = {"headers": {"X-Api-Key": "secret", "User-Agent": "me"}, "cookies": {"a": "secret"}}

    async with d.serving(d.echo, process_request=leading({}, seen)) as other:
        process = leading({"/": "/here", "/here": other.uri(scheme="http")}, seen)
        async with d.serving(d.echo, process_request=process) as server:
            uri = server.uri().replace("//", "//me:secret@")
            async with d.connecting(uri, redirects=2, subprotocols=["p"], **secrets) as ws:
                assert ws.remote_address[:2] == tuple(other.address)
    first, second, third = seen
    assert [bool(seen.headers.get("X-Api-Key")) for seen in (first, second, third)] == [True, True, False]
    assert first.headers.get("Cookie") == second.headers.get("Cookie") == "a=secret"
    assert first.headers.get("Authorization") == second.headers.get("Authorization") == "Basic bWU6c2VjcmV0"
    assert not any("secret" in value or "c2VjcmV0" in value for _, value in third.headers)
    assert third.headers.get("User-Agent") == "me"
    assert third.subprotocols == ["p"]


class TestTls:
    async def serving(self, d: Driver, where: Serving | str) -> Any:
        place = where if isinstance(where, str) else where.uri(scheme="https")
        return d.serving(d.echo, process_request=leading({"/": place}), ssl=server_context())

    async def test_to_it(self, d: Driver) -> None:
        async with (
            d.serving(d.echo, ssl=server_context()) as safe,
            d.serving(d.echo, process_request=leading({"/": safe.uri(scheme="https")})) as server,
            d.connecting(server.uri(), redirects=1, ssl=client_context()) as ws,
        ):
            assert ws.remote_address[:2] == tuple(safe.address)

    async def test_never_away_from_it(self, d: Driver) -> None:
        async with d.serving(d.echo) as plain, await self.serving(d, plain.uri(scheme="http")) as server:
            error = await refused(d, server.uri(scheme="wss"), redirects=1, ssl=client_context())
            assert "from wss:// to ws://" in str(error)

    async def test_another_server_has_another_name(self, d: Driver) -> None:
        """What the caller said of the first one's certificate is not true of the second."""
        async with d.serving(d.echo, ssl=server_context()) as other:
            place = f"https://localhost:{other.address[1]}/"
            async with await self.serving(d, place) as server:
                with pytest.raises(ssl.SSLCertVerificationError):
                    async with d.connecting(
                        server.uri(scheme="wss"), redirects=1, ssl=client_context(), server_hostname=HOST
                    ):
                        raise AssertionError("a certificate of another name was taken")


async def test_one_byte_stream_leads_nowhere(d: Driver) -> None:
    async with d.serving(d.echo, process_request=leading({"/": "/there"})) as server:
        error = await refused(d, server.uri(), redirects=5, **await d.over(server.address))
        assert error.response is not None
        assert error.response.status == 302


async def test_the_time_is_one_for_all(d: Driver) -> None:
    async with (
        raw_server(d, Raw.read_until_gone) as silent,
        d.serving(d.echo, process_request=leading({"/": silent})) as server,
    ):
        with pytest.raises(TimeoutError):
            # Long enough to reach the second server.
            async with d.connecting(server.uri(), redirects=1, timeouts=Timeouts(open=1.0)):
                raise AssertionError("it is open")
