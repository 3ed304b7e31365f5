"""Why an origin could not be had, and what the client is told."""

from __future__ import annotations

import socket
import ssl

from edgews.edge.policy.decisions import Failure
from edgews.errors import HandshakeError

CONNECT_TIMEOUT = Failure(504, "connect timeout", "The origin did not accept the connection in time")
ANSWER_TIMEOUT = Failure(504, "answer timeout", "The origin did not answer the request in time")
UNREACHABLE = Failure(502, "origin unreachable", "The origin cannot be reached")
DRAINING = Failure(503, "draining", "The gateway is shutting down")
FAULT = Failure(500, "fault of the gateway", "The gateway met an unexpected condition")
NO_ROUTE = Failure(404, "no route", "No route leads there")
BODY_TIMEOUT = Failure(408, "body timeout", "The body of the request did not come in time")
STALLED = Failure(504, "answer stalled", "The rest of the answer did not pass in time")
TOO_MANY = Failure(
    503, "too many connections", "The gateway has too many connections", (("Retry-After", "5"),)
)
CROWDED = Failure(503, "crowded out", "Too many connections wait for their requests", (("Retry-After", "5"),))
# Nobody gets this one; it is for the log.
HUNG_UP = Failure(499, "the client hung up", "The client has gone")
OPEN_TIMEOUT = Failure(408, "open timeout", "The request did not come in time")


def connect_failure(error: Exception) -> Failure:
    """Return what to answer when no connection to an origin came about."""
    match error:
        case TimeoutError():
            return CONNECT_TIMEOUT
        case ssl.SSLCertVerificationError():
            return Failure(502, "origin certificate", "The origin's certificate is not acceptable")
        case ssl.SSLError() | ssl.CertificateError():
            return Failure(502, "origin TLS", "TLS with the origin failed")
        case socket.gaierror():
            return Failure(502, "origin unknown", "The origin's name is not known")
        case ConnectionRefusedError():
            return Failure(502, "origin refused", "The origin refused the connection")
        case FileNotFoundError():
            return Failure(502, "origin missing", "The origin's socket does not exist")
        case _:
            return UNREACHABLE


def request_failure(error: HandshakeError) -> Failure:
    """Return what to answer when a request may not be passed on."""
    return Failure(error.status, str(error), f"The request is not acceptable: {error}")


def answer_failure(fault: str) -> Failure:
    """Return what to answer when the origin's answer is none that may be passed on."""
    return Failure(502, "origin answer", f"The origin's answer is not acceptable: {fault}")
