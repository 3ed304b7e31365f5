"""What adapters raise, for ends that a real client comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews import (
    Cause,
    CauseKind,
    ClientConnection,
    Disconnected,
    EdgewsError,
    ProtocolError,
    Response,
    ServerConnection,
    Side,
    Timeouts,
)
from edgews.outcomes import (
    ConnectionClosed,
    InvalidHandshake,
    MissingExtraError,
    ProxyError,
    parted,
    refusal,
)

from . import wire
from .engines import NO_TIMERS
from .handshakes import accept, opened_server, serve, switch
from .test_session import Owner, client


def ended(owner: Owner) -> tuple[Disconnected, Response | None]:
    """End the server's stream; return how the connection ended, and the answer."""
    owner.session.receive_eof()
    assert owner.session.closed is not None
    return owner.session.closed, owner.session.response


def asking() -> tuple[Owner, ClientConnection, bytes]:
    owner = client()
    assert isinstance(owner.session.conn, ClientConnection)
    return owner, owner.session.conn, owner.session.data_to_send()


def test_an_end_can_be_raised_and_says_how_it_came() -> None:
    server = opened_server()
    assert list(server.receive_data(wire.close(3001, b"enough")))
    (closed,) = server.receive_eof()
    assert isinstance(closed, Disconnected)
    error = ConnectionClosed(closed)
    assert error.disconnected is closed
    assert str(error) == "closed with 3001, closed: the peer closed with 3001 (enough)"


def test_an_end_without_a_close_says_why() -> None:
    (closed,) = opened_server().receive_eof()
    assert isinstance(closed, Disconnected)
    assert str(ConnectionClosed(closed)) == (
        "closed with 1006, peer vanished: the byte stream ended without a Close frame"
    )


@pytest.mark.parametrize("kind", [ConnectionClosed, InvalidHandshake])
def test_an_outcome_is_nobodys_mistake(kind: type[Exception]) -> None:
    """It can be told from what the caller does wrong, and from what the engine reports."""
    assert issubclass(kind, EdgewsError)
    assert not issubclass(kind, (ProtocolError, OSError))


def test_a_refusal_has_the_answer_of_the_server() -> None:
    owner, _, request = asking()
    server = ServerConnection(timeouts=NO_TIMERS)
    _, answer = serve(server, [request], lambda server, _: server.reject(403, body="members only"))
    owner.session.receive_data(answer)
    closed, response = ended(owner)
    error = refusal(closed, response)
    assert isinstance(error, InvalidHandshake)
    assert error.response is response
    assert response is not None
    assert (response.status, response.body) == (403, b"members only")
    assert error.cause is closed.cause
    assert error.cause.kind is CauseKind.HANDSHAKE_REFUSED
    assert str(error) == str(closed.cause)
    assert "403" in str(error)


@pytest.mark.parametrize(
    ("change", "header"),
    [({"Upgrade": "h2c"}, "Upgrade"), ({"Sec-WebSocket-Accept": "x"}, "Sec-WebSocket-Accept")],
)
def test_an_answer_that_may_not_be_accepted_is_not_handed_on(
    change: dict[str, str | None], header: str
) -> None:
    owner, conn, _ = asking()
    owner.session.receive_data(switch(conn, change))
    error = refusal(*ended(owner))
    assert isinstance(error, InvalidHandshake)
    assert error.response is None
    assert error.cause.kind is CauseKind.HANDSHAKE_FAILED
    assert error.cause.header == header


def test_no_answer_at_all() -> None:
    owner, _, _ = asking()
    error = refusal(*ended(owner))
    assert isinstance(error, InvalidHandshake)
    assert error.response is None
    assert error.cause.kind is CauseKind.HANDSHAKE_FAILED
    assert "ended the byte stream" in str(error)


def test_no_answer_in_time_is_a_timeout() -> None:
    """As for everything else that takes too long: OSError and InvalidHandshake mean that something came."""
    owner = client(timeouts=Timeouts(open=3.0))
    owner.advance(4.0)
    assert owner.session.closed is not None
    error = refusal(owner.session.closed, owner.session.response)
    assert type(error) is TimeoutError
    assert str(error) == "the opening handshake took too long"


@pytest.mark.parametrize("kind", CauseKind)
def test_only_the_time_of_the_handshake_is_a_timeout(kind: CauseKind) -> None:
    closed = Disconnected(1006, "", False, Cause(kind, Side.LOCAL, "some reason"))
    error = refusal(closed, None)
    if kind is CauseKind.OPEN_TIMEOUT:
        assert type(error) is TimeoutError
        assert str(error) == "some reason"
    else:
        assert isinstance(error, InvalidHandshake)
        assert error.cause is closed.cause


def test_a_server_that_accepts_leads_to_none_of_them() -> None:
    owner, _, request = asking()
    _, answer = serve(ServerConnection(timeouts=NO_TIMERS), [request], accept)
    owner.session.receive_data(answer)
    assert owner.session.opened
    assert owner.session.closed is None


@pytest.mark.parametrize("lasting", [True, False])
def test_a_proxys_failure_is_one_of_the_connection(lasting: bool) -> None:
    """Who catches OSError for a server that cannot be reached has caught this, too."""
    error = ProxyError("the proxy refuses", lasting=lasting)
    assert isinstance(error, EdgewsError)
    assert isinstance(error, OSError)
    assert str(error) == "the proxy refuses"
    assert error.lasting == lasting
    assert not ProxyError("x").lasting


def test_a_missing_extra_is_a_missing_import() -> None:
    error = MissingExtraError("pip install edgews[proxy]")
    assert isinstance(error, EdgewsError)
    assert isinstance(error, ImportError)
    assert "edgews[proxy]" in str(error)


class TestParted:
    """What nurseries and task groups put together is taken apart again."""

    @staticmethod
    def leaves(error: BaseException | None) -> list[BaseException]:
        if isinstance(error, BaseExceptionGroup):
            return [leaf for inner in error.exceptions for leaf in TestParted.leaves(inner)]
        return [] if error is None else [error]

    @given(
        st.recursive(
            st.sampled_from([KeyError, LookupError, OSError, KeyboardInterrupt]).map(lambda kind: kind()),
            lambda inner: st.lists(inner, min_size=1, max_size=4).map(
                lambda some: BaseExceptionGroup("", some)
            ),
            max_leaves=10,
        )
    )
    def test_loses_nothing(self, error: BaseException) -> None:
        of_it, rest = parted(error, LookupError)
        expected = self.leaves(error)
        assert self.leaves(of_it) == [leaf for leaf in expected if isinstance(leaf, LookupError)]
        assert self.leaves(rest) == [leaf for leaf in expected if not isinstance(leaf, LookupError)]

    def test_keeps_one_that_is_alone_as_it_is(self) -> None:
        error = KeyError()
        assert parted(error, LookupError) == (error, None)
        assert parted(error, OSError) == (None, error)
