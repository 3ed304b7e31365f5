from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.analytics.stories import BY_ORIGIN, seconds, tell
from edgews.edge.relay.ends import Why

ABOUT = {
    "time": 1.0,
    "ray": "r",
    "client": "192.0.2.1",
    "host": "example.com",
    "target": "/chat",
    "route": "chat",
    "origin": "ws://o",
}
CARRIED = {"messages_up": 1, "messages_down": 2, "bytes_up": 7, "bytes_down": 20}


def refused(status: int, cause: str = "because", **more: Any) -> list[str]:
    record = ABOUT | {"event": "refused", "status": status, "cause": cause, "header": "", "duration": 0.25}
    return tell(record | more)


def test_a_refusal_says_who_asked_for_what_and_why_not() -> None:
    steps = refused(426, "Upgrade must list websocket", header="Upgrade", route="", origin="")
    assert steps[:3] == [
        "192.0.2.1 asked for example.com/chat.",
        "It was answered with 426 after 0.25 s: Upgrade must list websocket.",
        "The header field at fault is Upgrade.",
    ]
    assert "removed the field Upgrade" in steps[3]


def test_what_happened_on_the_way_is_told() -> None:
    steps = refused(502, notes=["ws://o: The origin refused the connection", "the rule x matches", ""])
    assert steps[1:5] == [
        "The route chat took it.",
        "ws://o: The origin refused the connection.",
        "The rule x matches.",
        "The origin ws://o was asked.",
    ]


def test_the_origins_own_answer_is_not_explained_as_ours() -> None:
    assert "its own log" in refused(404, BY_ORIGIN)[-1]
    assert "No route" in refused(404, "no route")[-1]
    assert refused(418)[-1] == "It was answered with 418 after 0.25 s: because."


def test_a_client_that_left() -> None:
    steps = refused(0, "the client left before the answer")
    assert not any("answered with" in step for step in steps)
    assert steps[-1].startswith("The client closed its stream")


def test_nothing_is_known_of_who_sent_nothing() -> None:
    steps = refused(408, target="", host="", client=None)
    assert steps[0] == "A client of a Unix socket connected, and sent no request that could be read."


@pytest.mark.parametrize("why", list(Why))
def test_each_end_is_explained(why: Why) -> None:
    record = ABOUT | CARRIED | {"event": "end", "code": 1001, "by": "gateway", "why": why.value}
    steps = tell(record | {"cause": "enough", "duration": 12.0})
    assert steps[-3] == (
        "It was open for 12 s. "
        "1 message (7 bytes) came from the client, 2 messages (20 bytes) from the origin."
    )
    assert steps[-2].startswith("The gateway ended it: enough. The code is 1001, going away")
    assert steps[-1]


def test_connections_that_have_not_ended() -> None:
    about = ABOUT | CARRIED | {"event": "open", "age": 3600.0 * 3}
    assert tell(about | {"ping": None})[-1].startswith("It has been open for 3 h.")
    assert tell(about | {"ping": 0.003})[-1] == "The client's last Pong took 3 ms."
    assert tell(ABOUT | {"event": "opening", "duration": 1.5})[-1].endswith("for 1.5 s.")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.0123, "12.3 ms"),
        (1.25, "1.25 s"),
        (99.0, "99 s"),
        (600.0, "10 min"),
        (3600.0 * 5, "5 h"),
        (86400.0 * 3, "3 days"),
    ],
)
def test_times(value: float, text: str) -> None:
    assert seconds(value) == text


@given(st.floats(0, 1e9))
def test_any_time_is_short_to_read(value: float) -> None:
    assert len(seconds(value)) <= 12
    assert "e+" not in seconds(value)
