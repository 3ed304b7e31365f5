"""What becomes of a request on its way to the origin, and of the answer on its way back.

Hop-by-hop fields go, by name and by what Connection lists; identity fields are the gateway's to say; Origin,
Cookie and the fields of the handshake stay, so subprotocol and compression are negotiated end to end.

RFC 9110 §7.6; RFC 6455 §4.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.extensions import FIELD as EXTENSIONS
from edgews.extensions import NAME, PerMessageDeflate, read_offers
from edgews.frames import parse_header
from edgews.handshake import UPGRADE_FIELDS, check_request, check_response
from edgews.headers import Headers, HeadersLike, parse_extensions, split_list

from .headers import IDENTITY

# RFC 9110 §7.6.1, and what older software sends.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Who lists one of these in Connection wants the origin not to see what it decides by.
_END_TO_END: Final = frozenset({"authorization", "cookie", "host", "origin"})
_END_TO_END_PREFIX: Final = "sec-"

_CLIENT_BITS: Final = "client_max_window_bits"

_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check_upgrade(request: Request, behind: bytes) -> None:
    """Make sure that a request opens a WebSocket connection and can be routed.

    Args:
        behind: what came with the request, which has to be frames.

    Raises:
        HandshakeError: it does not; the error has the status to answer with.
    """
    check_request(request)
    check_path(request.path)
    try:
        parse_header(behind, masked=True, deflate=request.headers.has(EXTENSIONS), limit=None)
    except Exception:
        raise HandshakeError("what follows the request is not a frame") from None


def check_path(path: str) -> None:
    """Make sure that no server reads a path as one of another route.

    Raises:
        HandshakeError: a segment `.` or `..`, with or without parameters, an empty one that is not the last,
            or a separator, NUL or percent sign that is encoded or stands alone.

    RFC 3986 §3.3, §6.2.2.
    """
    if _ESCAPE.search(path):
        raise HandshakeError("the path has a percent sign that encodes nothing")
    segments = path.split("/")[1:]
    for segment in segments:
        plain = unquote_to_bytes(segment)
        if plain.partition(b";")[0] in (b".", b".."):
            raise HandshakeError("the path has a dot segment")
        if any(octet in b"/\\%\0" for octet in plain):
            raise HandshakeError("the path has an encoded separator")
    if "" in segments[:-1]:
        raise HandshakeError("the path has an empty segment")


def origin_request(request: Request, *, client: str, secure: bool, ray: str, prefix: str) -> Request:
    """Return the request that the origin gets.

    Args:
        client: the client's address.
        secure: whether it came through TLS.
        ray: what the log calls the request.
        prefix: of the fields that have address and ray, such as `X-Edgews-`.
    """
    own = prefix.lower()
    # Some servers read an underscore as a hyphen.
    fields = [
        (name, value)
        for name, value in _end_to_end(request.headers)
        if (plain := name.lower().replace("_", "-")) not in IDENTITY and not plain.startswith(own)
    ]
    offers = request.headers.get(EXTENSIONS)
    if offers is not None:
        # An extension that the scanner does not know could give any bit a meaning.
        known = [offer for offer in parse_extensions(offers) if offer[0] == NAME]
        fields = [field for field in fields if field[0].lower() != EXTENSIONS.lower()]
        if known:
            fields.append((EXTENSIONS, ", ".join(map(_format, known))))
    fields += UPGRADE_FIELDS
    if client:
        fields += (("X-Forwarded-For", client), (f"{prefix}Client-IP", client))
    fields += (
        ("X-Forwarded-Proto", "https" if secure else "http"),
        ("X-Forwarded-Host", request.headers.get("Host") or ""),
        (f"{prefix}Ray", ray),
    )
    return Request(request.method, request.target, Headers.of(fields))


def _format(extension: tuple[str, list[tuple[str, str | None]]]) -> str:
    name, parameters = extension
    return "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in parameters)])


def _end_to_end(headers: Headers) -> list[tuple[str, str]]:
    """Return the fields that are not for one hop alone. RFC 9110 §7.6.1."""
    listed = {token.lower() for value in headers.get_all("Connection") for token in split_list(value)}
    return [
        (name, value)
        for name, value in headers
        if (plain := name.lower()) not in HOP_BY_HOP
        and (plain not in listed or plain in _END_TO_END or plain.startswith(_END_TO_END_PREFIX))
    ]


def check_switch(asked: Request, response: Response) -> bool:
    """Make sure that a 101 opens the connection that the origin was asked for.

    Returns:
        Whether permessage-deflate was agreed.

    Raises:
        HandshakeError: it does not.

    RFC 6455 §4.1; RFC 7692 §7.1.
    """
    wishes: list[PerMessageDeflate] = read_offers(asked.headers)
    deflate = check_response(asked, response, wishes)[1] is not None
    # A client that does not say that it knows this parameter must not be sent it: RFC 7692 §7.1.2.2.
    if _CLIENT_BITS in (response.headers.get(EXTENSIONS) or "") and _CLIENT_BITS not in (
        asked.headers.get(EXTENSIONS) or ""
    ):
        raise HandshakeError(f"{_CLIENT_BITS} was not offered", header=EXTENSIONS)
    return deflate


def client_response(response: Response, extra: HeadersLike = ()) -> Response:
    """Return the answer that the client gets: the origin's, without what was for one hop."""
    fields = [field for field in _end_to_end(response.headers) if field[0].lower() != "content-length"]
    fields += Headers(extra)
    if response.status == 101:
        fields += UPGRADE_FIELDS
    else:
        if response.status not in (204, 304):
            fields.append(("Content-Length", str(len(response.body))))
        fields.append(("Connection", "close"))
    return Response(response.status, Headers.of(fields), response.body)


def own_response(status: int, text: str, headers: HeadersLike = ()) -> Response:
    """Return an answer of the gateway's own: one sentence."""
    body = f"{text}.\n".encode()
    fields = [
        *Headers(headers),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    return Response(status, Headers.of(fields), body)
