"""Compression that is agreed with the client and with the origin, each for itself.

RFC 7692 §5.
"""

from __future__ import annotations

from typing import NamedTuple

from edgews.events import Request, Response
from edgews.extensions import FIELD, PerMessageDeflate, choose, offer
from edgews.handshake import Deflate, check_response
from edgews.headers import Headers


class Agreed(NamedTuple):
    """What came of an opening handshake.

    Attributes:
        response: the origin's, with what the client is told of compression in place of the origin's word.
        client, origin: what was agreed with each.
    """

    response: Response
    client: Deflate | None
    origin: Deflate | None


def offer_own(asked: Request, wish: PerMessageDeflate | None) -> Request:
    """Return the request with an offer of ours in place of the client's; None offers nothing."""
    fields = _without(asked.headers)
    if wish is not None:
        fields.append((FIELD, offer([wish])))
    return Request(asked.method, asked.target, Headers.of(fields))


def agree(
    request: Request,
    asked: Request,
    response: Response,
    *,
    client: PerMessageDeflate | None,
    origin: PerMessageDeflate | None,
) -> Agreed:
    """Make sure that a 101 opens the connection that was asked for, and answer the client's offer.

    Args:
        request: the client's.
        asked: what the origin was asked.
        response: the origin's answer.
        client: our wish for the client's connection, None for none.
        origin: what the origin was offered.

    Raises:
        HandshakeError: it does not.

    RFC 6455 §4.1; RFC 7692 §5.1, §7.1.
    """
    with_origin = check_response(asked, response, [] if origin is None else [origin])[1]
    answer, agreement = choose(request.headers, client)
    fields = _without(response.headers)
    with_client = None
    if answer is not None and agreement is not None and client is not None:
        fields.append((FIELD, answer))
        with_client = client, agreement
    return Agreed(Response(response.status, Headers.of(fields), response.body), with_client, with_origin)


def _without(headers: Headers) -> list[tuple[str, str]]:
    return [field for field in headers if field[0].lower() != FIELD.lower()]
