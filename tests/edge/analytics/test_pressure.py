from __future__ import annotations

from typing import Any

from edgews.edge.analytics.pressure import WINDOW, Pressure
from edgews.edge.analytics.tally import Tally


def report(now: float, allowed: int, refused: int, limited: int = 0) -> dict[str, Any]:
    return Tally(0.0).report(
        now,
        {},
        use={"logins": (allowed, refused), "calm": (1, 0), "gone": (9, 9)},
        keys={"logins": (limited, 7, 100), "calm": (0, 1, 10)},
    )


def test_rates_are_those_of_the_last_seconds() -> None:
    pressure = Pressure()
    first, second = pressure.look(report(1000.0, 10, 0))
    assert (first["name"], second["name"]) == ("calm", "logins")
    assert second == {
        "name": "logins",
        "allowed": 10,
        "refused": 0,
        "allowed_rate": 0.0,
        "refused_rate": 0.0,
        "limited": 0,
        "keys": 7,
        "max_keys": 100,
    }
    # Who refuses comes first; what has gone is not there.
    rows = pressure.look(report(1002.0, 20, 4, 2))
    assert [row["name"] for row in rows] == ["logins", "calm"]
    assert (rows[0]["allowed_rate"], rows[0]["refused_rate"], rows[0]["limited"]) == (5.0, 2.0, 2)
    # What lies further back than the window has no part in it.
    for second_ in range(3, 60):
        rows = pressure.look(report(1000.0 + second_, 20 + 8 * (second_ - 2), 4))
    assert (rows[-1]["name"], rows[-1]["allowed_rate"], rows[-1]["refused_rate"]) == ("logins", 8.0, 0.0)
    assert len(pressure._before) <= WINDOW + 1


def test_a_gateway_that_begins_anew_and_a_clock_that_goes_back_have_no_rate() -> None:
    pressure = Pressure()
    pressure.look(report(1000.0, 50, 5))
    assert pressure.look(report(1001.0, 3, 0))[1]["allowed_rate"] == 0.0
    assert pressure.look(report(900.0, 60, 0))[1]["allowed_rate"] == 0.0
