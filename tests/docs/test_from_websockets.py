"""The guide for those who come from websockets names all that there is, there and here."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import edgews
import edgews.asyncio
import edgews.errors

pytestmark = pytest.mark.peers

GUIDE = (Path(__file__).parents[2] / "docs/from-websockets.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", GUIDE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.M)[0]


def column(text: str, number: int) -> str:
    """Return a column of all tables of a section."""
    rows = (line.split("|") for line in text.splitlines() if line.startswith("|"))
    return "\n".join(cells[number] for cells in rows)


def named(text: str) -> set[str]:
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", text))))


def test_each_argument_of_connect_is_there() -> None:
    from websockets.asyncio.client import connect

    arguments = set(inspect.signature(connect).parameters) - {"kwargs"}
    assert arguments - named(column(section("`connect`"), 1)) == set()


def test_each_argument_of_serve_is_there() -> None:
    from websockets.asyncio.server import serve

    arguments = set(inspect.signature(serve).parameters) - {"kwargs"}
    assert arguments - named(column(section("`serve`"), 1)) == set()


def test_each_method_of_a_connection_is_there() -> None:
    from websockets.asyncio.server import ServerConnection

    inner = {"handshake", "keepalive", "process_event", "respond", "drain", "close_exc", "close_code"}
    inner |= {"start_keepalive", "send_context", "send_data", "set_connection_exc", "acknowledge_pings"}
    inner |= {"terminate_pending_pings", "connection_made", "connection_lost", "data_received"}
    inner |= {"eof_received", "pause_writing", "resume_writing"}
    methods = {name for name in dir(ServerConnection) if not name.startswith("_")} - inner
    assert methods - named(column(section("A connection"), 1)) == set()


def test_each_exception_that_applications_meet_is_there() -> None:
    import websockets.exceptions

    # Parents and children of those that are there; nobody catches them alone.
    finer = {"SecurityError", "RequestLineTooLong", "StatusLineTooLong", "HeaderLineTooLong", "InvalidState"}
    finer |= {"TooManyHeaders", "TooManyFragments", "InvalidProxyMessage", "InvalidProxyStatus"}
    finer |= {"InvalidMethod", "InvalidProtocol", "InvalidHeaderFormat", "InvalidHeaderValue"}
    finer |= {"DuplicateParameter", "InvalidParameterName", "InvalidParameterValue"}
    names = set(websockets.exceptions.__all__) - finer
    assert names - named(column(section("Exceptions"), 1)) == set()


def test_what_it_says_instead_is_there() -> None:
    arguments = {name for name in named(column(section("`connect`"), 2)) if name.islower()}
    known = set(inspect.signature(edgews.asyncio.connect).parameters)
    known |= {
        name for owner in (edgews.Limits, edgews.Timeouts) for name in inspect.signature(owner).parameters
    }
    assert {name for name in arguments if f"{name}=" in column(section("`connect`"), 2)} - known <= {"User"}
    classes = {name for name in named(column(GUIDE, 2)) if re.fullmatch(r"[A-Z][a-z]\w+", name)}
    modules = (edgews, edgews.asyncio, edgews.errors)
    builtin = {
        "None",
        "True",
        "RuntimeError",
        "TimeoutError",
        "OSError",
        "SSLError",
        "User",
        "Agent",
        "FRAGMENTS",
    }
    assert {
        name for name in classes - builtin if not any(hasattr(module, name) for module in modules)
    } == set()


def test_what_a_connection_has_instead_is_there() -> None:
    names = re.findall(r"`(?:await )?([a-z_]+)(?:\.\w+|\([^`]*\))?`", column(section("A connection"), 2))
    assert len(names) > 10
    owners = (edgews.asyncio.WebSocket, edgews.asyncio)
    # Set when it is made.
    own = {"local_address", "remote_address"}
    assert {name for name in names if name not in own and not any(hasattr(o, name) for o in owners)} == set()
