"""`edgews doctor --ray`: what a gateway did to a request, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgews.cli.admin import AdminClient, AdminError, complain, to_output
from edgews.cli.console import say, show, shown


def run(ray: str, address: str, token_file: Path | None, *, as_json: bool) -> int:
    """Ask the admin address of a gateway; return 0 if nothing went wrong with the request."""
    try:
        found = AdminClient(address, token_file).get(f"/trace/{quote(ray, safe='')}")
    except AdminError as error:
        return complain("doctor", error)
    if found is None:
        say(("edgews doctor: ", "bad"), f"the gateway at {address} knows no request {shown(ray)}.")
        say("  It remembers the last ones only; the access log has all of them.")
        return 1
    if as_json:
        to_output(found)
    else:
        for number, step in enumerate(found["story"], 1):
            show([(f"{number:>3}  ", "dim"), shown(step)])
    return 0 if _is_well(found) else 1


def _is_well(record: dict[str, Any]) -> bool:
    if record["event"] == "end":
        return record["code"] in (1000, 1001, 1005)
    return bool(record["event"] != "refused")
