"""wsproto itself as oracle of the opening handshake: the same valid bytes give the same events."""

from __future__ import annotations

import importlib
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgews.compat.wsproto as facade
from edgews.compat.wsproto.utilities import generate_accept_token
from tests import wire
from tests.properties.traffic import cut

pytestmark = pytest.mark.peers

sizes_of_reads = st.lists(st.integers(1, 300), max_size=4)

tokens = st.text("abcXYZ019-_.!", min_size=1, max_size=8)
names = tokens.map(lambda token: f"x-{token}")
values = st.text('abc XYZ;=,"/:\xe9', max_size=20).map(str.strip)
extra_fields = st.lists(st.tuples(names, values), max_size=4)
subprotocols = st.lists(tokens, unique=True, max_size=3)
offers = st.lists(
    st.sampled_from(["permessage-deflate", "permessage-deflate; client_max_window_bits", "x-other; a=1; b"]),
    max_size=3,
)
hosts = st.sampled_from(["example.com", "example.com:8000", "[::1]:8000", "127.0.0.1", "b\xfccher.example"])
targets = st.text("abc/?=&%20-~", max_size=20).map(lambda text: f"/{text}")


def original() -> ModuleType:
    return importlib.import_module("wsproto")


def plain(value: Any) -> Any:
    """Return an event as a value that does not belong to either library."""
    if is_dataclass(value):
        return type(value).__name__, *(plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, list):
        return [plain(element) for element in value]
    return repr(value) if hasattr(value, "offer") else value


def make(library: ModuleType, kind: str) -> Any:
    return library.WSConnection(library.ConnectionType[kind])


def received(conn: Any, data: bytes, sizes: list[int]) -> list[Any]:
    found: list[Any] = []
    for read in cut(data, sizes):
        conn.receive_data(read)
        found += [plain(event) for event in conn.events()]
    return [*found, conn.state.name]


def fields_of(data: bytes, role: type[h11.Sentinel]) -> list[Any]:
    """Read a head; fields in any order."""
    parser = h11.Connection(role)
    if role is h11.CLIENT:
        parser.send(h11.Request(method="GET", target="/", headers=[("Host", "x"), ("Upgrade", "websocket")]))
    parser.receive_data(data)
    event = parser.next_event()
    assert isinstance(event, h11.Request | h11.InformationalResponse | h11.Response)
    target = getattr(event, "target", None) or getattr(event, "status_code", None)
    return [target, sorted((n, v) for n, v in event.headers if n != b"sec-websocket-key")]


@given(
    host=hosts, target=targets, extra=extra_fields, wanted=subprotocols, offered=offers, sizes=sizes_of_reads
)
def test_a_server_sees_the_same_request(
    host: str,
    target: str,
    extra: list[tuple[str, str]],
    wanted: list[str],
    offered: list[str],
    sizes: list[int],
) -> None:
    changes: dict[str, str | None] = {"Host": host.encode("idna").decode() if not host.isascii() else host}
    if wanted:
        changes["Sec-WebSocket-Protocol"] = ", ".join(wanted)
    if offered:
        changes["Sec-WebSocket-Extensions"] = ", ".join(offered)
    lines = tuple(f"{name}: {value}" for name, value in extra)
    data = wire.request(changes, line=f"GET {target} HTTP/1.1", extra=lines)

    def run(library: ModuleType) -> list[Any]:
        return received(make(library, "SERVER"), data, sizes)

    assert run(facade) == run(original())


@given(extra=extra_fields, wanted=subprotocols, deflate=st.booleans())
def test_a_server_gives_the_same_answer(
    extra: list[tuple[str, str]], wanted: list[str], deflate: bool
) -> None:
    changes: dict[str, str | None] = {"Sec-WebSocket-Protocol": ", ".join(wanted)} if wanted else {}
    changes["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits"
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra]

    def run(library: ModuleType) -> list[Any]:
        conn = make(library, "SERVER")
        conn.receive_data(wire.request(changes))
        answer = conn.send(
            library.events.AcceptConnection(
                subprotocol=wanted[-1] if wanted else None,
                extra_headers=headers,
                extensions=[library.extensions.PerMessageDeflate()] if deflate else [],
            )
        )
        return [*fields_of(answer, h11.CLIENT), conn.state.name]

    assert run(facade) == run(original())


@given(host=hosts, target=targets, extra=extra_fields, wanted=subprotocols, deflate=st.booleans())
def test_a_client_sends_the_same_request(
    host: str, target: str, extra: list[tuple[str, str]], wanted: list[str], deflate: bool
) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra]

    def run(library: ModuleType) -> list[Any]:
        request = library.events.Request(
            host=host,
            target=target,
            extra_headers=headers,
            subprotocols=wanted,
            extensions=[library.extensions.PerMessageDeflate()] if deflate else [],
        )
        return fields_of(make(library, "CLIENT").send(request), h11.SERVER)

    assert run(facade) == run(original())


@given(
    extra=extra_fields,
    wanted=subprotocols,
    agreed=st.sampled_from([None, "permessage-deflate", "permessage-deflate; server_no_context_takeover"]),
    message=st.text(max_size=20),
    sizes=sizes_of_reads,
)
def test_a_client_sees_the_same_answer(
    extra: list[tuple[str, str]], wanted: list[str], agreed: str | None, message: str, sizes: list[int]
) -> None:
    def run(library: ModuleType) -> list[Any]:
        conn = make(library, "CLIENT")
        offered = [library.extensions.PerMessageDeflate()]
        request = conn.send(
            library.events.Request(host="x", target="/", subprotocols=wanted, extensions=offered)
        )
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(request)
        event = parser.next_event()
        assert isinstance(event, h11.Request)
        key = dict(event.headers.raw_items())[b"Sec-WebSocket-Key"]
        lines = ["HTTP/1.1 101 ", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {generate_accept_token(key).decode()}"]
        lines += [f"Sec-WebSocket-Protocol: {wanted[0]}"] if wanted else []
        lines += [f"Sec-WebSocket-Extensions: {agreed}"] if agreed else []
        lines += [f"{name}: {value}" for name, value in extra]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        frame = wire.frame(wire.TEXT, message.encode(), key=None)
        return received(conn, head + frame, [len(head), len(frame)] if sizes else [])

    assert run(facade) == run(original())


def joined(events: list[Any]) -> list[Any]:
    """Put the pieces of a body together."""
    body = b"".join(event[1] for event in events if event[0] == "RejectData")
    return [*(event for event in events if event[0] != "RejectData"), body, events[-2]]


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    extra=extra_fields,
    body=st.binary(max_size=300),
    chunked=st.booleans(),
    sizes=sizes_of_reads,
)
def test_a_client_sees_the_same_refusal(
    status: int, extra: list[tuple[str, str]], body: bytes, chunked: bool, sizes: list[int]
) -> None:
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in extra)]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        sent = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        sent += b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
        sent = body
    data = "\r\n".join([*lines, "", ""]).encode("latin-1") + sent

    def run(library: ModuleType) -> list[Any]:
        conn = make(library, "CLIENT")
        conn.send(library.events.Request(host="x", target="/"))
        return joined(received(conn, data, sizes))

    assert run(facade) == run(original())


@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    extra=extra_fields,
    body=st.lists(st.binary(max_size=50), max_size=3),
)
def test_a_server_refuses_with_the_same_bytes(
    status: int, extra: list[tuple[str, str]], body: list[bytes]
) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in extra]

    def run(library: ModuleType) -> list[Any]:
        conn = make(library, "SERVER")
        conn.receive_data(wire.request())
        events = library.events
        data = conn.send(events.RejectConnection(status_code=status, headers=headers, has_body=bool(body)))
        for number, piece in enumerate(body):
            data += conn.send(events.RejectData(data=piece, body_finished=number == len(body) - 1))
        return [data.lower(), conn.state.name]

    assert run(facade) == run(original())
