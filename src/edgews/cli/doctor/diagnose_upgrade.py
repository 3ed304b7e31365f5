"""From the answer to the opening handshake to findings. No I/O. RFC 6455 §4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgews.banners import HTTP_2, TLS, describe, is_http, speaker
from edgews.cli.console import shown
from edgews.cli.doctor.diagnose_network import reason_row, slow, wants_tls
from edgews.cli.doctor.findings import Finding, Step, finding
from edgews.cli.doctor.observed import Answer, Door, End
from edgews.cli.doctor.tables import ADVICE
from edgews.errors import HandshakeError
from edgews.events import Response
from edgews.extensions import check_answer
from edgews.handshake import accept_key
from edgews.headers import lists_token

# Fields of a refusal that say what it wants.
_TOLD: Final = ("WWW-Authenticate", "Proxy-Authenticate", "Retry-After")
_REFUSALS: Final = (400, 401, 403)


def diagnose_answer(answer: Answer) -> list[Finding]:
    """Judge the answer to a request to open a connection."""
    response = answer.response
    if response is None:
        return [_no_response(answer)]
    if response.status != 101:
        return [_refused(response)]
    return [*_switched(answer, response), *slow(Step.UPGRADE, answer.seconds)]


def _no_response(answer: Answer) -> Finding:
    raw = answer.raw
    if answer.error and reason_row(answer.error) != "tls-failed":
        return finding(ADVICE[reason_row(answer.error)], f"OpenSSL says: {answer.error}", step=Step.UPGRADE)
    if not is_http(raw):
        name = speaker(raw)
        if name == TLS:
            return finding(ADVICE["tls-on-plain-port"], "a TLS alert came")
        if name == HTTP_2:
            return finding(ADVICE["http2-only"], "an HTTP/2 frame came", step=Step.UPGRADE)
        return finding(ADVICE["not-http"], describe(raw))
    if answer.fault:
        return finding(ADVICE["answer-malformed"], answer.fault)
    if answer.ending is None:
        part = f"{len(raw)} bytes" if raw else "nothing"
        return finding(ADVICE["answer-timeout"], f"{part} came within {answer.seconds:.1f} s")
    if answer.speaks_tls:
        return finding(ADVICE["tls-on-plain-port"], "a plain request gets no answer there, and TLS does")
    how = "was reset" if answer.ending.end is End.RESET else "ended"
    return finding(ADVICE["answer-cut"], f"the byte stream {how} after {len(raw)} bytes of an answer")


def _server(response: Response) -> str:
    return " ".join(response.headers.get(name) or "" for name in ("Server", "Via"))


def _refused(response: Response) -> Finding:
    server, status = _server(response), response.status
    who = f" by {shown(server.strip())}" if server.strip() else ""
    body = shown(response.body.decode("utf-8", "replace").strip()[:120])
    found = f"status {status}{who}" + (f": {body}" if body else "")
    if status == 400 and wants_tls(response.body):
        return finding(ADVICE["tls-on-plain-port"], found, server=server)
    location = response.headers.get("Location")
    if 300 <= status < 400 and location is not None:
        return finding(ADVICE["redirect"], f"status {status}, to {shown(location)}", server=server)
    versions = response.headers.get("Sec-WebSocket-Version")
    if versions is not None and not lists_token(response.headers.get_all("Sec-WebSocket-Version"), "13"):
        found = f"status {status}, Sec-WebSocket-Version: {shown(versions)}"
        return finding(ADVICE["version-unsupported"], found, server=server)
    told = [_field(response, name) for name in _TOLD if response.headers.has(name)]
    if told:
        found += f" ({', '.join(told)})"
    return finding(ADVICE.get(f"status-{status}", ADVICE["status-other"]), found, server=server)


def _switched(answer: Answer, response: Response) -> list[Finding]:
    headers, server = response.headers, _server(response)
    findings: list[Finding] = []

    def add(row: str, found: str) -> None:
        findings.append(finding(ADVICE[row], found, server=server))

    for field, token, row in (
        ("Upgrade", "websocket", "upgrade-missing"),
        ("Connection", "upgrade", "connection-missing"),
    ):
        if not lists_token(headers.get_all(field), token):
            add(row, f"101 with {_field(response, field)}")
    accept = headers.get("Sec-WebSocket-Accept")
    right = accept_key(answer.request.headers.get("Sec-WebSocket-Key") or "")
    if accept is None:
        add("accept-missing", "101 without Sec-WebSocket-Accept")
    elif accept != right:
        add("accept-wrong", f"{shown(accept)!r} came, {right!r} is right")
    for field in ("Content-Length", "Transfer-Encoding"):
        if headers.has(field):
            add("answer-with-body", f"101 with {_field(response, field)}")
    offered = answer.request.subprotocols
    chosen = headers.get("Sec-WebSocket-Protocol")
    if chosen is None and offered:
        add("subprotocol-not-chosen", f"offered: {', '.join(offered)}; chosen: none")
    elif chosen is not None and chosen not in offered:
        names = ", ".join(offered) or "none"
        add("subprotocol-not-offered", f"offered: {names}; chosen: {shown(chosen)}")
    try:
        _, agreement = check_answer(headers, answer.offers)
    except HandshakeError as error:
        add("extension-wrong", f"{shown(str(error))} ({_field(response, 'Sec-WebSocket-Extensions')})")
    else:
        # Of a connection that fails it says nothing.
        if agreement is None and answer.offers and not findings:
            add("extension-not-chosen", "permessage-deflate was offered and not chosen")
    return findings


def _field(response: Response, name: str) -> str:
    value = response.headers.get(name)
    return f"no {name}" if value is None else f"{name}: {shown(value)}"


def diagnose_doors(asked: str | None, status: int, doors: Sequence[Door], own: str) -> list[Finding]:
    """Judge how the Origin decides.

    Args:
        asked: the Origin of the main attempt.
        status: what it was answered with.
        doors: further attempts.
        own: the Origin of the server's own host.
    """
    others = {door.origin: door for door in doors}
    if status in _REFUSALS:
        open_for = [door.origin for door in doors if door.opened]
        if not open_for:
            return []
        told = f"{status} for {_origin(asked)}; open for {', '.join(map(_origin, open_for))}"
        return [finding(ADVICE["origin-required" if asked is None else "origin-refused"], told)]
    findings = []
    own_door = others.get(own)
    if own_door is not None and own_door.status in _REFUSALS:
        told = f"{own_door.status} for {own}; open for {_origin(asked)}"
        findings.append(finding(ADVICE["origin-own-refused"], told))
    findings += [
        finding(ADVICE["origin-open"], f"open for {door.origin}")
        for door in doors
        if door.opened and door.origin not in (None, own)
    ]
    return findings


def _origin(origin: str | None) -> str:
    return "no Origin" if origin is None else origin
