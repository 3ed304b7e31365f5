"""Extensions in the opening handshake; `test_hooks` has what they do to frames."""

from __future__ import annotations

from typing import Any

import pytest

from edgews.compat.wsproto import WSConnection
from edgews.compat.wsproto.connection import CLIENT, SERVER, Connection
from edgews.compat.wsproto.events import AcceptConnection, Request, TextMessage
from edgews.compat.wsproto.extensions import Extension, PerMessageDeflate
from edgews.compat.wsproto.frame_protocol import Opcode, RsvBits
from edgews.compat.wsproto.handshake import client_extensions_handshake, server_extensions_handshake
from edgews.compat.wsproto.utilities import LocalProtocolError, RemoteProtocolError, split_comma_header
from tests import wire
from tests.handshake_rows import EXTENSIONS

from .ends import opened, receive, waiting


class Plain(Extension):
    """Negotiates, and does nothing to frames."""

    name = "x-plain"

    def __init__(self, answer: Any = "y=1") -> None:
        self.answer = answer
        self.final: str | None = None

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool | str:
        return True if self.answer is True else "y=1"

    def accept(self, offer: str) -> Any:
        return self.answer

    def finalize(self, offer: str) -> None:
        self.final = offer


def test_an_extension_of_someone_else() -> None:
    offered = Plain()
    client, server = opened(offered=[offered], supported=[Plain()])
    assert offered.final == "x-plain; y=1"
    assert receive(client, server.send(TextMessage("x"))) == [TextMessage("x")]


def test_the_hooks_of_the_base_do_nothing() -> None:
    extension = Plain()
    bits = RsvBits(False, True, False)
    assert extension.frame_inbound_header(None, Opcode.TEXT, bits, 3) == RsvBits(False, False, False)
    assert extension.frame_inbound_payload_data(None, b"x") == b"x"
    assert extension.frame_inbound_complete(None, True) is None
    assert extension.frame_outbound(None, Opcode.TEXT, bits, b"x", True) == (bits, b"x")


def test_an_answer_that_would_split_the_head() -> None:
    server = waiting()
    with pytest.raises(LocalProtocolError, match="control character"):
        server.send(AcceptConnection(extensions=[Plain("y\r\nSet-Cookie: z")]))
    assert server.send(AcceptConnection())


@pytest.mark.parametrize(
    ("answer", "field"), [(True, b"x-plain"), (False, None), (None, None), ("", b"x-plain")]
)
def test_answers_of_an_extension(answer: Any, field: bytes | None) -> None:
    assert server_extensions_handshake(["x-other", "x-plain; y=1"], [Plain(answer)]) == field


def test_an_answer_that_nobody_asked_for() -> None:
    assert client_extensions_handshake([], [Plain()]) == []
    with pytest.raises(RemoteProtocolError, match="unrecognized extension y"):
        client_extensions_handshake(["y; x"], [Plain()])


OFFERS = [
    ("permessage-deflate", b"permessage-deflate"),
    ("permessage-deflate; client_max_window_bits=8", b"permessage-deflate; client_max_window_bits=8"),
    ("permessage-deflate; server_max_window_bits=99", None),
    ("permessage-deflate; server_max_window_bits=08", None),
    ("permessage-deflate; server_max_window_bits=+9", None),
    ("permessage-deflate; server_max_window_bits=abc", None),
    ("permessage-deflate; server_max_window_bits", None),
    ("permessage-deflate; client_no_context_takeover=1", None),
    ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
    ("permessage-deflate; x", None),
    ("permessage-deflate; \xe9", None),
    ('permessage-deflate; x="', None),
    (
        "permessage-deflate; x, permessage-deflate; server_no_context_takeover, permessage-deflate",
        b"permessage-deflate; server_no_context_takeover",
    ),
]


@pytest.mark.parametrize(("offer", "answer"), OFFERS)
def test_offers_of_permessage_deflate(offer: str, answer: bytes | None) -> None:
    """Declined or accepted as RFC 7692 says, and never an exception."""
    extension = PerMessageDeflate()
    requested = split_comma_header(offer.encode("latin-1"))
    assert server_extensions_handshake(requested, [extension]) == answer
    assert extension.enabled() is (answer is not None)
    assert (extension.deflate is None) is (answer is None)


def test_a_server_keeps_its_own_wish() -> None:
    """Unlike in wsproto, what a client offers does not widen what the server is ready to keep."""
    extension = PerMessageDeflate(client_max_window_bits=10, server_max_window_bits=9)
    assert extension.accept("permessage-deflate; client_max_window_bits=15") == (
        "server_max_window_bits=9; client_max_window_bits=10"
    )
    assert (extension.client_max_window_bits, extension.server_max_window_bits) == (10, 9)


def test_window_bits_out_of_range() -> None:
    for bits in (7, 16):
        with pytest.raises(ValueError, match="they go from 8 to 15"):
            PerMessageDeflate(client_max_window_bits=bits)


def test_what_was_not_agreed_does_nothing() -> None:
    """Hypercorn hands its extension on whether the client wanted it or not."""
    conn = Connection(SERVER, [PerMessageDeflate()])
    (frame,) = wire.frames(conn.send(TextMessage("x" * 1000)))
    assert (frame.rsv, frame.payload) == (0, b"x" * 1000)


def test_no_offer() -> None:
    class Silent(Plain):
        def offer(self) -> bool | str:
            return False

    data = WSConnection(CLIENT).send(Request("localhost", "/", extensions=[Silent()]))
    assert EXTENSIONS.encode() not in data
    data = WSConnection(CLIENT).send(Request("localhost", "/", extensions=[Silent(), Plain(True), Plain()]))
    assert b"\r\nSec-WebSocket-Extensions: x-plain, x-plain; y=1\r\n" in data


def test_no_answer_is_no_agreement() -> None:
    extension = PerMessageDeflate()
    extension.finalize("")
    assert not extension.enabled()


@pytest.mark.parametrize("bits", [8, 9, 15])
@pytest.mark.parametrize("takeover", [True, False])
def test_compressed_both_ways(bits: int, takeover: bool) -> None:
    options: Any = {
        "client_no_context_takeover": not takeover,
        "client_max_window_bits": bits,
        "server_no_context_takeover": not takeover,
        "server_max_window_bits": bits,
    }
    client, server = opened(offered=[PerMessageDeflate(**options)], supported=[PerMessageDeflate()])
    text = "compressed " * 100
    for sender, receiver in ((client, server), (server, client)):
        first, second = (sender.send(TextMessage(text)) for _ in range(2))
        assert max(len(first), len(second)) < 100
        assert receive(receiver, first + second) == [TextMessage(text)] * 2


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        (b"", []),
        (b"a,, b ,", ["a", "b"]),
        (b'x; y="1,2", z', ['x; y="1,2"', "z"]),
        (b'"a\\",b", "open, c', ['"a\\",b"', '"open, c']),
        (b"\xe9", ["\xe9"]),
        (b'"\\', ['"\\']),
    ],
)
def test_lists(value: bytes, elements: list[str]) -> None:
    assert split_comma_header(value) == elements
