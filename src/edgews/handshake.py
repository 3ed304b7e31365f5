"""The rules of the opening handshake as pure functions: a request or a response in, a verdict out.

They serve HTTP/1.1 (RFC 6455 §4) and extended CONNECT over HTTP/2 and HTTP/3 (RFC 8441, RFC 9220) alike;
who parsed the bytes does not matter.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Collection, Sequence
from hashlib import sha1

from .arguments import check_int, check_names, check_text
from .errors import HandshakeError, InvalidValueError
from .events import Request, Response
from .extensions import FIELD as EXTENSIONS
from .extensions import Agreement, PerMessageDeflate, check_answer, choose, offer
from .headers import Headers, HeadersLike, field_fault, is_token, lists_token
from .messages import EITHER, as_bytes
from .uri import URI

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = "13"
# 16 bytes in base64: 22 characters and two pads.
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_DIGITS = re.compile(r"[0-9]+")
# Path and query, without a fragment: RFC 6455 §3.
_TARGET = re.compile(r"/[!-\"$-~]*")
_HOST_FORBIDDEN = re.compile(r"[\s/?#@\\]")

UPGRADE_FIELDS = (("Upgrade", "websocket"), ("Connection", "Upgrade"))

# What the functions below write themselves; an application that wrote them too would contradict them.
_OWN_FIELDS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)

Deflate = tuple[PerMessageDeflate, Agreement]


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key.

    RFC 6455 §4.2.2 (5.4).
    """
    return base64.b64encode(sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


# Server


def check_request(request: Request, origins: Sequence[str | None] | None = None) -> None:
    """Make sure that a request opens a WebSocket connection.

    Args:
        origins: the origins that are let in, such as `https://example.com`; None in it stands for a
            request without an Origin field, None instead of it lets everyone in.

    Raises:
        HandshakeError: it does not; the error has the status to answer with and the header at fault.

    RFC 6455 §4.2.1, §10.2; RFC 8441 §5.
    """
    fields = request.headers.by_name()
    if request.protocol is None:
        _check_upgrade(request, fields)
    else:
        _check_connect(request)
    if _one(fields, "Sec-WebSocket-Version", _DIGITS) != _VERSION:
        raise HandshakeError(
            f"Sec-WebSocket-Version must be {_VERSION}",
            status=426,
            header="Sec-WebSocket-Version",
            headers=(("Sec-WebSocket-Version", _VERSION), *_upgrade_fields(request)),
        )
    if "sec-websocket-protocol" in fields:
        offered = request.subprotocols
        if len(set(offered)) < len(offered) or not all(map(is_token, offered)):
            raise HandshakeError(
                "Sec-WebSocket-Protocol must be a list of different tokens", header="Sec-WebSocket-Protocol"
            )
    if "sec-websocket-extensions" in fields:
        choose(request.headers, None)
    _check_origin(fields.get("origin", []), origins)


def _check_upgrade(request: Request, fields: dict[str, list[str]]) -> None:
    if request.http_version != "1.1":
        raise HandshakeError("the opening handshake needs HTTP/1.1", status=505)
    if request.method != "GET":
        raise HandshakeError("the opening handshake needs GET", status=405, headers=(("Allow", "GET"),))
    check_target(request)
    if _HOST_FORBIDDEN.search(_one(fields, "Host")):
        raise HandshakeError("Host is malformed", header="Host")
    if not lists_token(fields.get("upgrade", ()), "websocket"):
        raise HandshakeError(
            "Upgrade must list websocket", status=426, header="Upgrade", headers=UPGRADE_FIELDS
        )
    if not lists_token(fields.get("connection", ()), "upgrade"):
        raise HandshakeError("Connection must list Upgrade", header="Connection")
    coded = "transfer-encoding" in fields
    if coded or any(size.strip("0") for size in fields.get("content-length", ())):
        field = "Transfer-Encoding" if coded else "Content-Length"
        raise HandshakeError("the opening handshake has no body", header=field)
    _one(fields, "Sec-WebSocket-Key", _KEY)


def check_target(request: Request) -> None:
    """Make sure that the target is a path and, maybe, a query.

    Raises:
        HandshakeError: it is a whole URI, an asterisk, or has a fragment.

    RFC 9112 §3.2.1.
    """
    if not request.target.startswith("/") or "#" in request.target:
        raise HandshakeError("the request target must be a path")


def _check_connect(request: Request) -> None:
    if request.method != "CONNECT":
        raise HandshakeError(
            ":protocol needs the method CONNECT",
            status=405,
            header=":protocol",
            headers=(("Allow", "CONNECT"),),
        )
    if request.protocol != "websocket":
        raise HandshakeError(":protocol must be websocket", status=501, header=":protocol")
    if not request.target.startswith("/"):
        raise HandshakeError(":path must be a path", header=":path")


def _upgrade_fields(request: Request) -> tuple[tuple[str, str], ...]:
    # HTTP/2 and HTTP/3 have neither field: RFC 9113 §8.2.2.
    return UPGRADE_FIELDS if request.protocol is None else ()


def _one(fields: dict[str, list[str]], name: str, pattern: re.Pattern[str] | None = None) -> str:
    """Return the value of a field that must be there once."""
    values = fields.get(name.lower())
    if not values:
        raise HandshakeError(f"{name} is missing", header=name)
    if len(values) > 1:
        raise HandshakeError(f"{name} is there more than once", header=name)
    if not values[0]:
        raise HandshakeError(f"{name} is empty", header=name)
    if pattern is not None and not pattern.fullmatch(values[0]):
        raise HandshakeError(f"{name} is malformed", header=name)
    return values[0]


def _check_origin(values: list[str], origins: Sequence[str | None] | None) -> None:
    if len(values) > 1:
        raise HandshakeError("Origin is there more than once", header="Origin")
    if origins is None:
        return
    origin = values[0] if values else None
    allowed = {entry.lower() for entry in origins if entry is not None}
    if (None not in origins) if origin is None else (origin.lower() not in allowed):
        raise HandshakeError(f"Origin {origin or '(none)'} is not allowed", status=403, header="Origin")


def check_subprotocols(names: Collection[str]) -> None:
    """Make sure that names of subprotocols can be sent.

    Raises:
        InvalidValueError: one is no token, or there twice.

    RFC 6455 §4.1 (10.).
    """
    if len(set(names)) < len(names) or not all(map(is_token, names)):
        raise InvalidValueError("subprotocols must be different tokens")


def choose_subprotocol(request: Request, supported: Sequence[str]) -> str | None:
    """Return the first subprotocol that the client offers and the server supports, None if there is none.

    The client's order counts. RFC 6455 §1.9, §4.2.2 (4.).
    """
    return next((name for name in request.subprotocols if name in supported), None) if supported else None


def accept_response(
    request: Request,
    *,
    subprotocol: str | None = None,
    headers: HeadersLike = (),
    compression: PerMessageDeflate | None = None,
) -> tuple[Response, Deflate | None]:
    """Answer a request that passed `check_request`.

    Args:
        subprotocol: one of those that the client offered, or None.
        headers: further fields.
        compression: the wish for permessage-deflate, None for none.

    Returns:
        The response, 101 or, to an extended CONNECT, 200; and what was agreed for compression.

    Raises:
        InvalidValueError: a subprotocol that was not offered, or a field that may not be sent.

    RFC 6455 §4.2.2; RFC 8441 §5.
    """
    if subprotocol is not None and subprotocol not in request.subprotocols:
        raise InvalidValueError(f"subprotocol {subprotocol!r} was not offered by the client")
    fields: list[tuple[str, str]] = []
    if request.protocol is None:
        fields += UPGRADE_FIELDS
        fields.append(("Sec-WebSocket-Accept", accept_key(request.headers.get("Sec-WebSocket-Key") or "")))
    if subprotocol is not None:
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    deflate: Deflate | None = None
    if compression is not None:
        answer, agreement = choose(request.headers, compression)
        if answer is not None and agreement is not None:
            fields.append((EXTENSIONS, answer))
            deflate = compression, agreement
    if headers:
        fields += check_fields(headers)
    return Response(101 if request.protocol is None else 200, Headers.of(fields)), deflate


def reject_response(
    request: Request,
    status: int,
    headers: HeadersLike = (),
    body: str | bytes = b"",
    *,
    chunked: bool = False,
) -> Response:
    """Answer a request with something else than a WebSocket connection, an HTML page for example.

    Args:
        status: 200-599, to an extended CONNECT 300-599.
        headers: further fields; without a Content-Type, a body is `text/plain` in UTF-8.
        chunked: say that the body, of which `body` is only the beginning, comes in chunks.

    Raises:
        InvalidValueError: a status or field that may not be sent, or chunks where there can be none.

    RFC 6455 §4.2.2; RFC 9110 §15; RFC 9112 §7.1.
    """
    check_int("status", status)
    if status not in range(200, 600):
        raise InvalidValueError(f"status {status} cannot answer; use 200-599")
    if request.protocol is not None and status < 300:
        raise InvalidValueError(f"status {status} accepts an extended CONNECT instead of rejecting it")
    octets = encode_body(body, "body")
    if status in (204, 304) and (octets or chunked):
        raise InvalidValueError(f"a response with status {status} has no body")
    if chunked and (request.http_version != "1.1" or request.method == "HEAD"):
        raise InvalidValueError("only HTTP/1.1 has chunks, and an answer to HEAD has no body")
    fields = list(check_fields(headers))
    if (octets or chunked) and not Headers(fields).has("Content-Type"):
        fields.append(("Content-Type", "text/plain; charset=utf-8"))
    if chunked:
        fields.append(("Transfer-Encoding", "chunked"))
    elif status not in (204, 304):
        fields.append(("Content-Length", str(len(octets))))
    if request.protocol is None:
        fields.append(("Connection", "close"))
    return Response(status, Headers(fields), b"" if request.method == "HEAD" else octets)


def encode_body(body: str | bytes, name: str) -> bytes:
    """Return the octets of a body, or a piece of one; a `str` is sent in UTF-8.

    Raises:
        TypeError: it is none; `name` is what the error calls it.
    """
    return body.encode("utf-8", "replace") if isinstance(body, str) else as_bytes(body, name, EITHER)


def refusal(request: Request, error: HandshakeError) -> Response:
    """Return the answer to a request that failed `check_request`.

    RFC 6455 §4.2.2, §4.4.
    """
    response = reject_response(request, error.status, body=f"{error}.\n")
    keep = [field for field in response.headers if error.status != 426 or field[0] != "Connection"]
    extra = [(name, f"{value}, close" if name == "Connection" else value) for name, value in error.headers]
    return Response(response.status, Headers([*extra, *keep]), response.body)


# Client


def new_handshake_key() -> str:
    """Return a fresh Sec-WebSocket-Key: 16 random bytes in base64. RFC 6455 §4.1 (7.)."""
    return base64.b64encode(os.urandom(16)).decode()


def build_request(
    uri: URI,
    *,
    key: str | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] = (),
    headers: HeadersLike = (),
    compression: Sequence[PerMessageDeflate] = (),
    extended_connect: bool = False,
) -> Request:
    """Build the request that opens a connection.

    Args:
        key: the Sec-WebSocket-Key, None for a fresh one.
        origin: the Origin field.
        subprotocols: offered, the preferred one first.
        headers: further fields.
        compression: offers of permessage-deflate, the preferred one first.
        extended_connect: build the request of RFC 8441 instead of the one of HTTP/1.1.

    Raises:
        InvalidValueError: a target, subprotocol or field that may not be sent.

    RFC 6455 §4.1; RFC 8441 §5.
    """
    check_text("origin", origin)
    check_names("subprotocols", subprotocols)
    check_subprotocols(subprotocols)
    if not _TARGET.fullmatch(uri.target):
        raise InvalidValueError("the request target must be a path of visible ASCII characters")
    fields = [("Host", uri.host_header)]
    if not extended_connect:
        fields += [*UPGRADE_FIELDS, ("Sec-WebSocket-Key", key or new_handshake_key())]
    fields.append(("Sec-WebSocket-Version", _VERSION))
    if origin is not None:
        fields.append(("Origin", origin))
    if subprotocols:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    if compression:
        fields.append((EXTENSIONS, offer(compression)))
    for name, value in fields:
        fault = field_fault(name, value)
        if fault is not None:
            raise InvalidValueError(fault)
    fields += check_fields(headers)
    if extended_connect:
        return Request("CONNECT", uri.target, Headers(fields[1:]), "2", "websocket")
    return Request("GET", uri.target, Headers(fields))


def check_response(
    request: Request, response: Response, compression: Sequence[PerMessageDeflate] = ()
) -> tuple[str | None, Deflate | None]:
    """Make sure that a response opens the connection that the request asked for.

    Returns:
        The subprotocol, and what was agreed for compression.

    Raises:
        HandshakeError: it does not; the error has the response's status and the header at fault.

    RFC 6455 §4.1, §4.2.2; RFC 8441 §5.
    """
    fields = response.headers.by_name()
    expected = 101 if request.protocol is None else 200
    if response.status != expected:
        raise HandshakeError(f"the server answered {response.status}, not {expected}", status=response.status)
    if request.protocol is None:
        _check_switch(request, fields)
    chosen = fields.get("sec-websocket-protocol", [])
    if len(chosen) > 1:
        raise HandshakeError(
            "the server chose more than one subprotocol",
            status=response.status,
            header="Sec-WebSocket-Protocol",
        )
    if chosen and chosen[0] not in request.subprotocols:
        raise HandshakeError(
            f"the server chose the subprotocol {chosen[0]}, which was not offered",
            status=response.status,
            header="Sec-WebSocket-Protocol",
        )
    try:
        wish, agreement = check_answer(response.headers, compression)
    except HandshakeError as error:
        error.status = response.status
        raise
    return (chosen[0] if chosen else None), None if wish is None or agreement is None else (wish, agreement)


def _check_switch(request: Request, fields: dict[str, list[str]]) -> None:
    for name, token in (("Upgrade", "websocket"), ("Connection", "upgrade")):
        if not lists_token(fields.get(name.lower(), ()), token):
            raise HandshakeError(f"{name} of the answer must list {token}", status=101, header=name)
    for name in ("Content-Length", "Transfer-Encoding"):
        if name.lower() in fields:
            raise HandshakeError("an answer of 101 has no body", status=101, header=name)
    accepts = fields.get("sec-websocket-accept")
    if accepts != [accept_key(request.headers.get("Sec-WebSocket-Key") or "")]:
        problem = "is missing" if not accepts else "does not match the key"
        raise HandshakeError(f"Sec-WebSocket-Accept {problem}", status=101, header="Sec-WebSocket-Accept")


# Both


def check_fields(headers: HeadersLike) -> Headers:
    """Return the fields that an application supplies, after making sure that they may be sent.

    Raises:
        InvalidValueError: a name or value that may not stand in HTTP, or a field of the handshake itself.
    """
    fields = Headers(headers)
    for name, value in fields:
        fault = field_fault(name, value)
        if fault is None and name.lower() in _OWN_FIELDS:
            fault = f"header {name} is written by the handshake itself"
        if fault is not None:
            raise InvalidValueError(fault)
    return fields
