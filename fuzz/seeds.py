"""Where the search begins: handshakes and frames that are right, and some that are nearly so."""

from __future__ import annotations

import zlib

from tests import wire

from .targets import CLIENT, CLOCK, DEFLATE, ECHO, FRAGMENTS, PASSIVE, REJECT, RIGHT_ACCEPT, STREAM

# Settings worth to begin with; the mutations find the others.
_OPTIONS = (0, DEFLATE, ECHO, STREAM, FRAGMENTS, CLOCK, REJECT, DEFLATE | PASSIVE, DEFLATE | ECHO | FRAGMENTS)
# At once, byte by byte, uneven.
_SIZES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\2\x10\x01")


def _squeeze(message: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-12)
    return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _traffic(key: bytes | None) -> list[bytes]:
    def frame(opcode: int, payload: bytes = b"", **how: bool | int) -> bytes:
        return wire.frame(opcode, payload, key=key, **how)  # type: ignore[arg-type]

    text = "a\xe9\u20ac\U0001f600".encode()
    squeezed = _squeeze(b"hello " * 30)
    return [
        frame(wire.TEXT, text) + frame(wire.BINARY, b"\xff" * 130) + frame(wire.TEXT),
        frame(wire.TEXT, text[:4], fin=False)
        + frame(wire.PING, b"x")
        + frame(wire.CONTINUATION, text[4:])
        + frame(wire.BINARY, b"\0" * 600, fin=False)
        + frame(wire.CONTINUATION, b"", fin=False)
        + frame(wire.CONTINUATION, b"\1"),
        frame(wire.TEXT, squeezed, rsv=4) + frame(wire.BINARY, squeezed, rsv=4),
        frame(wire.TEXT, squeezed[:3], rsv=4, fin=False) + frame(wire.CONTINUATION, squeezed[3:]),
        frame(wire.BINARY, _squeeze(bytes(5000)), rsv=4),
        frame(wire.PING, b"a") + frame(wire.PING, b"b" * 125) + frame(wire.PONG) + frame(wire.TEXT, b"x"),
        frame(wire.TEXT, b"bye") + wire.close(1000, b"done", key=key) + frame(wire.TEXT, b"late"),
        wire.close(key=key),
        frame(wire.TEXT, b"x" * 1999) + frame(wire.TEXT, b"x" * 2001),
        frame(wire.TEXT, b"x" * 20, form=16) + frame(wire.TEXT, b"x", form=64),
        frame(wire.TEXT, text[:5]),
    ]


def _requests() -> list[bytes]:
    offer = "permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits=9"
    return [
        wire.request(),
        wire.request({"Connection": "keep-alive, Upgrade", "Sec-WebSocket-Extensions": offer}),
        wire.request({"Sec-WebSocket-Protocol": "chat, other", "Origin": "https://example.com"}),
        wire.request({"Sec-WebSocket-Version": "8"}),
        b"GET /page?x=y HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"HEAD * HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]


def _responses() -> list[bytes]:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += b"Sec-WebSocket-Accept: " + RIGHT_ACCEPT + b"\r\n"
    return [
        head + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"Sec-WebSocket-Protocol: chat\r\n\r\n",
        head + b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nwhy?!",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\n\r\nuntil the end",
    ]


def _with_settings(streams: list[bytes], fixed: int = 0) -> list[bytes]:
    return [
        bytes([options | fixed]) + _SIZES[i % len(_SIZES)] + stream
        for i, options in enumerate(_OPTIONS)
        for stream in streams
    ]


def seeds() -> dict[str, list[bytes]]:
    """Return the first inputs of each target."""
    masked, unmasked = _traffic(wire.KEY), _traffic(None)
    requests, responses = _requests(), _responses()
    return {
        "frames": _with_settings(masked) + _with_settings(unmasked, CLIENT),
        "server": _with_settings(requests + [requests[1] + stream for stream in masked]),
        "client": _with_settings(responses + [responses[2] + stream for stream in unmasked]),
        "http": _with_settings(requests) + _with_settings(responses, CLIENT),
    }


# Pieces of the language that no random byte finds.
WORDS = [
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b": ", b" ", b"\t", b",", b";", b"=", b'"', b"\\", b"\0", b"\xff"),
    *(
        b"GET ",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b" 101 ",
        b" 200 ",
        b"Host",
        b"Upgrade",
        b"Connection",
        b"websocket",
    ),
    *(b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Accept"),
    *(b"Sec-WebSocket-Extensions", b"permessage-deflate", b"client_max_window_bits", b"Origin", RIGHT_ACCEPT),
    *(b"Content-Length", b"Transfer-Encoding", b"chunked", b"100-continue", b"keep-alive", b"null", b"13"),
    *(
        b"\x81\x80",
        b"\x81\xfe\x00\x7e",
        b"\x82\xff",
        b"\x88\x80",
        b"\x89\x80",
        b"\xc1\x80",
        b"\x01\x80",
        b"\x80\x80",
    ),
    *(b"\x81\x00", b"\x81\x7e\x00\x7e", b"\x88\x02\x03\xe8", b"\x89\x00", b"\xc1\x00", b"\x00\x00", wire.KEY),
    *(b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xe2\x82\xac", b"\x00\x00\xff\xff", b"\x03\x00"),
]
