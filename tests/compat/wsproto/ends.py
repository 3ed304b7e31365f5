"""Two ends of a connection on the facade, and short ways to use them."""

from __future__ import annotations

from edgews.compat.wsproto import WSConnection
from edgews.compat.wsproto.connection import Connection, ConnectionState, ConnectionType
from edgews.compat.wsproto.events import AcceptConnection, Event, Request
from edgews.compat.wsproto.extensions import Extension, PerMessageDeflate
from edgews.limits import Limits
from tests import wire
from tests.handshake_rows import EXTENSIONS, PROTOCOL

TYPES = (ConnectionType.CLIENT, ConnectionType.SERVER)


def check(condition: object, message: str) -> None:
    """Fail, also under `python -O`: pytest keeps the assertions of test modules alone."""
    if not condition:
        raise AssertionError(message)


def other(kind: ConnectionType) -> ConnectionType:
    """Return the opposite side."""
    return ConnectionType.SERVER if kind is ConnectionType.CLIENT else ConnectionType.CLIENT


def agreed(**options: bool | int) -> PerMessageDeflate:
    """Return an extension on which both sides have agreed."""
    extension = PerMessageDeflate(**options)  # type: ignore[arg-type]
    check(extension.accept(f"permessage-deflate; {extension.offer()}") is not None, "declined")
    return extension


def end(kind: ConnectionType, *, deflate: bool = False, limits: Limits | None = None) -> Connection:
    """Return one end of an open connection."""
    extensions: list[Extension] = [agreed()] if deflate else []
    return Connection(kind, extensions, limits=limits)


def receive(conn: Connection | WSConnection, data: bytes | None) -> list[Event]:
    """Take bytes, and return all their events."""
    conn.receive_data(data)
    return list(conn.events())


def opened(
    *, offered: list[Extension] | None = None, supported: list[Extension] | None = None
) -> tuple[WSConnection, WSConnection]:
    """Return a client and a server that have opened a connection with each other."""
    client, server = WSConnection(ConnectionType.CLIENT), WSConnection(ConnectionType.SERVER)
    request = Request(host="localhost", target="/", extensions=offered or [])
    (came,) = receive(server, client.send(request))
    check(isinstance(came, Request), repr(came))
    (answer,) = receive(client, server.send(AcceptConnection(extensions=supported or [])))
    check(isinstance(answer, AcceptConnection), repr(answer))
    check(client.state is server.state is ConnectionState.OPEN, "not open")
    return client, server


def waiting() -> WSConnection:
    """Return a server with a request to answer."""
    server = WSConnection(ConnectionType.SERVER)
    receive(server, wire.request({PROTOCOL: "a, b", EXTENSIONS: "x-plain; y=1, permessage-deflate"}))
    return server
