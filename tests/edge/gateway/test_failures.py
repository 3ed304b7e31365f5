from __future__ import annotations

import socket
import ssl

import pytest

from edgews.edge.gateway.failures import answer_failure, connect_failure, request_failure
from edgews.errors import HandshakeError


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (TimeoutError(), 504, "connect timeout"),
        (ssl.SSLCertVerificationError(), 502, "origin certificate"),
        (ssl.SSLError(), 502, "origin TLS"),
        (socket.gaierror(), 502, "origin unknown"),
        (ConnectionRefusedError(), 502, "origin refused"),
        (FileNotFoundError(), 502, "origin missing"),
        (OSError(), 502, "origin unreachable"),
    ],
)
def test_why_there_is_no_connection(error, status, cause):
    failure = connect_failure(error)
    assert (failure.status, failure.cause) == (status, cause)
    assert failure.text.startswith(("The origin", "TLS"))


def test_an_answer_that_is_none():
    assert answer_failure("it lies").text == "The origin's answer is not acceptable: it lies"


def test_a_request_that_is_none():
    failure = request_failure(HandshakeError("it has no end", status=413))
    assert (failure.status, failure.cause) == (413, "it has no end")
    assert failure.text == "The request is not acceptable: it has no end"
