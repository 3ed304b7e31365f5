"""What may be asked of a connection is what its session and its engine know."""

from __future__ import annotations

from edgews import ClientConnection, Role
from edgews.status import Status

from . import wire
from .engines import both_roles, peer_close, peer_frame, whole
from .test_session import Owner, opened, server


class Asked(Status):
    """An adapter's class without anything but what is asked."""

    def __init__(self, owner: Owner) -> None:
        self._session = owner.session
        self._conn = owner.session.conn


@both_roles
def test_an_open_connection(role: Role) -> None:
    near, far = opened(role)
    status = Asked(near)
    assert status.closed is None
    assert status.latency is None
    assert status.subprotocol is None
    if role is Role.SERVER:
        assert status.response is None
        assert Asked(far).response is not None
        assert Asked(far).request.target == status.request.target == "/chat"
    else:
        assert status.response is not None
        assert status.response.status == 101


@both_roles
def test_the_counters(role: Role) -> None:
    near, _ = opened(role)
    status = Asked(near)
    before = status.stats
    read = whole(role, "text") + whole(role, b"binary") + peer_frame(role, wire.PING)
    near.session.receive_data(read)
    near.receive()
    out = near.session.conn.send("answer") + near.session.send_ping(b"mine") + near.session.data_to_send()
    near.session.receive_data(peer_frame(role, wire.PONG, b"mine"))
    after = status.stats
    assert before.messages_received == before.messages_sent == 0
    assert (after.messages_received, after.messages_sent) == (2, 1)
    assert (after.pings_received, after.pongs_sent) == (1, 1)
    assert (after.pings_sent, after.pongs_received) == (1, 1)
    assert after.bytes_sent - before.bytes_sent == len(out)
    pong = len(peer_frame(role, wire.PONG, b"mine"))
    assert after.bytes_received - before.bytes_received == len(read) + pong
    near.session.handle_timeout(501.0)
    assert status.latency == near.session.conn.latency


@both_roles
def test_the_end(role: Role) -> None:
    near, _ = opened(role)
    near.session.receive_data(peer_close(role, 4000))
    near.session.receive_eof()
    status = Asked(near)
    assert status.closed is not None
    assert status.closed.code == 4000


@both_roles
def test_a_line_for_a_log(role: Role) -> None:
    near, far = opened(role)
    status = Asked(near)
    assert repr(status) == f"<Asked: {role.value} of /chat, open>"
    near.session.receive_data(peer_close(role, 4000))
    near.session.receive_eof()
    assert repr(status) == f"<Asked: {role.value} of /chat, closed with 4000>"
    far.session.conn.send_close()
    assert repr(Asked(far)).endswith(" of /chat, closing>")


def test_a_line_for_a_log_has_no_secret_and_no_end_of_its_own() -> None:
    assert repr(Asked(server())) == "<Asked: server, connecting>"
    asking = Owner(ClientConnection("ws://user:secret@example.com/room?token=secret"))
    assert repr(Asked(asking)) == "<Asked: client of /room, connecting>"
    long = Owner(ClientConnection("ws://example.com/" + "x" * 5000))
    assert repr(Asked(long)) == f"<Asked: client of /{'x' * 59}..., connecting>"
