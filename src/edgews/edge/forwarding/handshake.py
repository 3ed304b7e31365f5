"""What becomes of a request for a WebSocket on its way to the origin, and of the answer on its way back.

Subprotocol and compression are negotiated end to end; `headers` has what passes of the other fields.

RFC 6455 §4.
"""

from __future__ import annotations

from typing import Final

from edgews.edge.policy.decisions import Failure
from edgews.edge.policy.normalize import Target, is_host
from edgews.errors import HandshakeError
from edgews.events import Request, Response
from edgews.extensions import FIELD as EXTENSIONS
from edgews.extensions import NAME, PerMessageDeflate, read_offers
from edgews.frames import parse_header
from edgews.handshake import UPGRADE_FIELDS, check_request, check_response
from edgews.headers import Headers, HeadersLike, parse_extensions

from .headers import Forwarded, Identity, to_client

_CLIENT_BITS: Final = "client_max_window_bits"


def check_host(request: Request) -> None:
    """Make sure that routes and rules see the host that the origin sees.

    Raises:
        HandshakeError: servers may read different names into it.

    RFC 9112 §3.2.
    """
    host = request.headers.get("Host")
    if host is not None and not is_host(host):
        raise HandshakeError("Host is malformed", header="Host")


def check_upgrade(request: Request, behind: bytes) -> None:
    """Make sure that a request opens a WebSocket connection.

    Args:
        behind: what came with the request, which has to be frames.

    Raises:
        HandshakeError: it does not; the error has the status to answer with.
    """
    check_request(request)
    check_host(request)
    try:
        parse_header(behind, masked=True, deflate=request.headers.has(EXTENSIONS), limit=None)
    except Exception:
        raise HandshakeError("what follows the request is not a frame") from None


def origin_request(request: Request, target: Target, forwarded: Forwarded) -> Request:
    """Return the request for a WebSocket that the origin gets: its target, and the fields for it.

    RFC 6455 §9.1.
    """
    fields = list(forwarded.headers)
    offers = forwarded.headers.get(EXTENSIONS)
    if offers is not None:
        # An extension that the scanner does not know could give any bit a meaning.
        known = [offer for offer in parse_extensions(offers) if offer[0] == NAME]
        fields = [field for field in fields if field[0].lower() != EXTENSIONS.lower()]
        if known:
            fields.append((EXTENSIONS, ", ".join(map(_format, known))))
    return Request(request.method, str(target), Headers.of((*fields, *UPGRADE_FIELDS)))


def _format(extension: tuple[str, list[tuple[str, str | None]]]) -> str:
    name, parameters = extension
    return "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in parameters)])


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


def client_response(response: Response, ray: str, *, identity: Identity) -> Response:
    """Return the 101 that the client gets: the origin's, without what was for one hop."""
    return Response(101, to_client(response.headers, ray, identity=identity, upgrade=True))


def own_response(failure: Failure, headers: HeadersLike = ()) -> Response:
    """Return an answer of the gateway's own."""
    body = f"{failure.text}.\n" if failure.body is None else failure.body
    data = body.encode()
    fields = [
        *failure.headers,
        *Headers(headers),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(data))),
        ("Connection", "close"),
    ]
    return Response(failure.status, Headers.of(fields), data)
