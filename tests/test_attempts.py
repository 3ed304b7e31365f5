"""Which failures are tried again, after how long, and who is told."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import Cause, CauseKind, Headers, InvalidValueError, Response, Side
from edgews.attempts import LASTING_5XX, PASSING_4XX, Attempt, Attempts, passing, passing_status
from edgews.backoff import Backoff
from edgews.outcomes import InvalidHandshake, MissingExtraError, ProxyError

HALF = Backoff(random=lambda: 0.5)


def refused(status: int, **fields: str) -> InvalidHandshake:
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    cause = Cause(CauseKind.HANDSHAKE_REFUSED, Side.PEER, str(status))
    return InvalidHandshake(cause, Response(status, headers))


def failed(kind: CauseKind) -> InvalidHandshake:
    return InvalidHandshake(Cause(kind, Side.PEER, ""), None)


# Which


@pytest.mark.parametrize("status", [s.value for s in HTTPStatus if s.value >= 200] + [430, 499, 520, 599])
def test_a_refusal(status: int) -> None:
    """The rule and its exceptions, status by status."""
    passes = status in {408, 425, 429} or (status >= 500 and status not in {501, 505, 511})
    assert passing_status(status) == passes
    assert passing(refused(status)) == passes


def test_exceptions_are_where_they_belong_and_have_reasons() -> None:
    assert all(400 <= status < 500 for status in PASSING_4XX)
    assert all(500 <= status < 600 for status in LASTING_5XX)
    assert all([*PASSING_4XX.values(), *LASTING_5XX.values()])


@pytest.mark.parametrize("kind", CauseKind)
def test_a_handshake_without_an_answer(kind: CauseKind) -> None:
    assert passing(failed(kind)) == (kind is CauseKind.PEER_VANISHED)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (OSError(101, "network is unreachable"), True),
        (ssl.SSLEOFError(), True),
        (ssl.SSLError(1, "handshake failure"), True),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), False),
        (ProxyError("out of order"), True),
        (ProxyError("407", lasting=True), False),
        (MissingExtraError("pip install"), False),
        (InvalidValueError("no URI"), False),
        (RuntimeError("a defect"), False),
    ],
)
def test_other_failures(error: Exception, passes: bool) -> None:
    assert passing(error) == passes


# After how long


def test_each_failure_doubles_the_bound() -> None:
    attempts = Attempts(HALF, None)
    delays = [attempts.failed(TimeoutError(), 0.0) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("status", [429, 503, 500])
def test_the_servers_wish_comes_on_top(status: int) -> None:
    attempts = Attempts(HALF, None)
    assert attempts.failed(refused(status, Retry_After="7"), 0.0) == 7.5
    assert attempts.failed(refused(status, Retry_After="Thu, 01 Jan 1970 00:01:40 GMT"), 90.0) == 11
    assert attempts.failed(refused(status, Retry_After="soon"), 0.0) == 2
    assert attempts.failed(refused(status, Retry_After="999999"), 0.0) == 3604


def test_it_does_not_make_a_lasting_refusal_pass() -> None:
    error = refused(403, Retry_After="1")
    with pytest.raises(InvalidHandshake) as caught:
        Attempts(HALF, None).failed(error, 0.0)
    assert caught.value is error


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=20), st.floats(0, 100))
def test_a_connection_that_lasted_ends_the_row(lives: list[float | None], steady: float) -> None:
    """None is a failure, a number the seconds that a connection lasted."""
    attempts = Attempts(Backoff(steady=steady, cap=1e9, random=lambda: 1.0), None)
    now = 1000.0
    row = 0
    for life in lives:
        if life is None:
            delay = attempts.failed(ConnectionResetError(), now)
        else:
            attempts.opened(now)
            end = now + life
            if end - now >= steady:
                row = 0
            now = end
            delay = attempts.ended(now)
        row += 1
        assert delay == 2.0 ** (row - 1)
        now += delay


# Who is told


def test_the_hook_sees_each_wait() -> None:
    seen: list[Attempt] = []
    attempts = Attempts(HALF, seen.append)
    error, busy = TimeoutError(), refused(503, Retry_After="3")
    attempts.failed(error, 0.0)
    attempts.failed(busy, 0.0)
    attempts.opened(0.0)
    attempts.ended(1.0)
    attempts.opened(2.0)
    attempts.ended(100.0)
    assert seen == [
        Attempt(1, error, 0.5),
        Attempt(2, busy, 4.0),
        Attempt(3, None, 2.0),
        Attempt(1, None, 0.5),
    ]


def test_it_is_not_told_of_what_is_final() -> None:
    seen: list[Any] = []
    with pytest.raises(InvalidHandshake):
        Attempts(HALF, seen.append).failed(refused(404), 0.0)
    assert seen == []


def test_what_it_raises_ends_it_all() -> None:
    def enough(attempt: Attempt) -> None:
        raise KeyError(attempt.number)

    attempts = Attempts(HALF, enough)
    with pytest.raises(KeyError):
        attempts.failed(TimeoutError(), 0.0)
    with pytest.raises(KeyError):
        attempts.ended(0.0)
