"""Listening sockets: planned, kept, shared out, and given up."""

from __future__ import annotations

import asyncio
import socket

import pytest

from edgews.edge.gateway.sockets import Sockets, answers, bind_unix, name_of, share


def plan(sockets: Sockets, *addresses: str, count: int = 1):
    return asyncio.run(sockets.plan(addresses, count))


@pytest.fixture
def sockets():
    held = Sockets()
    yield held
    held.close()


def test_each_process_has_a_socket_with_the_same_port(sockets):
    sockets.keep(plan(sockets, "127.0.0.1:0", count=3))
    first = list(sockets.held["127.0.0.1:0"])
    assert len({sock.getsockname() for sock in first}) == 1
    assert [len(share(sockets.held, at, 3)["127.0.0.1:0"]) for at in range(3)] == [1, 1, 1]
    # More processes get more sockets; fewer share what is there, and none is closed.
    sockets.keep(plan(sockets, "127.0.0.1:0", count=4))
    assert sockets.held["127.0.0.1:0"][:3] == first
    sockets.keep(plan(sockets, "127.0.0.1:0", count=2))
    assert len(sockets.held["127.0.0.1:0"]) == 4
    assert [len(share(sockets.held, at, 2)["127.0.0.1:0"]) for at in range(2)] == [2, 2]
    assert all(sock.fileno() >= 0 for sock in first)


def test_a_plan_that_is_given_up_leaves_nothing(sockets, tmp_path):
    sockets.keep(plan(sockets, "127.0.0.1:0"))
    (kept,) = sockets.held["127.0.0.1:0"]
    planned = plan(sockets, "127.0.0.1:0", f"unix:{tmp_path}/x", count=2)
    sockets.discard(planned)
    assert sockets.held == {"127.0.0.1:0": [kept]}
    assert kept.fileno() >= 0
    assert not (tmp_path / "x").exists()
    assert [sock.fileno() for sock in planned["127.0.0.1:0"][1:]] == [-1]


def test_an_address_that_cannot_be_had(sockets, tmp_path):
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        address = name_of(taken)
        # Also if its owner would share it with anybody.
        with pytest.raises(OSError, match=rf"in use \(address {address}\)"):
            plan(sockets, f"unix:{tmp_path}/x", address)
    assert not (tmp_path / "x").exists()
    with pytest.raises(OSError, match=r"\(address 192.0.2.1:1\)"):
        plan(sockets, "192.0.2.1:1")


def test_an_address_that_is_not_wanted_any_more(sockets, tmp_path):
    sockets.keep(plan(sockets, "127.0.0.1:0", f"unix:{tmp_path}/x"))
    (gone,) = sockets.held["127.0.0.1:0"]
    sockets.keep(plan(sockets, f"unix:{tmp_path}/x"))
    assert gone.fileno() == -1
    assert (tmp_path / "x").is_socket()
    assert share(sockets.held, 0, 2) == share(sockets.held, 1, 2) == sockets.held
    sockets.close(unlink=False)
    assert (tmp_path / "x").is_socket()


def test_unix_sockets_that_are_there_already(tmp_path):
    path = f"{tmp_path}/x"
    with bind_unix(path) as first:
        first.listen()
        assert answers(path)
        with pytest.raises(OSError, match="in use"):
            bind_unix(path)
    # Nobody listens there any more.
    assert not answers(path)
    bind_unix(path).close()
    (tmp_path / "file").write_text("somebody's")
    with pytest.raises(OSError, match="in use"):
        bind_unix(f"{tmp_path}/file")
    assert (tmp_path / "file").read_text() == "somebody's"


def test_names(tmp_path):
    with bind_unix(f"{tmp_path}/x") as unix, socket.create_server(("127.0.0.1", 0)) as tcp:
        assert name_of(unix) == f"unix:{tmp_path}/x"
        assert name_of(tcp) == f"127.0.0.1:{tcp.getsockname()[1]}"
    sockets = Sockets()
    sockets.keep(plan(sockets, "[::1]:0"))
    (six,) = sockets.held["[::1]:0"]
    assert name_of(six) == f"[::1]:{six.getsockname()[1]}"
    sockets.close()
