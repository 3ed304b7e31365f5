"""`edgews rules test`: what the rules of a file make of a request, and why."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .console import show, shown
from .gateway import complain

if TYPE_CHECKING:
    from edgews.edge.config.tables import Config, Route
    from edgews.edge.config.trial import Trial
    from edgews.edge.forwarding.routing import Condition
    from edgews.edge.policy.policies import MessageVerdict

# What the request is called.
_RAY: Final = "0123456789abcdef"


def rules(action: str, request: Path, config: Path, as_json: bool) -> int:
    """Try a request, which is the only action; return 0 if it is let in, 1 if not, 2 if nobody can say."""
    try:
        import pydantic  # noqa: F401
    except ModuleNotFoundError:
        print("edgews rules: pydantic is not installed: pip install 'edgews[edge]'", file=sys.stderr)
        return 2
    from edgews.edge.config.faults import ConfigError
    from edgews.edge.config.file import load_config
    from edgews.edge.config.trial import load_trial

    trial: Trial | None = None
    try:
        trial = load_trial(request)
    except ConfigError as error:
        print(error, file=sys.stderr)
    try:
        loaded = load_config(config)
        if trial is None:
            return 2
        report = _try(loaded, trial)
    except ConfigError as error:
        complain(error, config)
        return 2
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return 0 if report["allowed"] else 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a route begins."""

    table: Route
    condition: Condition | None

    @property
    def host(self) -> str | None:
        return self.table.host

    @property
    def path(self) -> str:
        return self.table.path

    @property
    def headers(self) -> Mapping[str, str]:
        return self.table.headers


def _try(config: Config, trial: Trial) -> dict[str, Any]:
    """Return what becomes of the request."""
    from edgews.edge.forwarding.entrance import Entrance
    from edgews.edge.forwarding.headers import Identity
    from edgews.edge.forwarding.routing import RouteTable
    from edgews.edge.gateway.failures import NO_ROUTE
    from edgews.edge.gateway.geo import Databases
    from edgews.edge.gateway.prepare import policies
    from edgews.edge.policy.normalize import TargetError
    from edgews.edge.policy.policies import MessageVerdict, Policies

    definition = policies(config)
    databases = Databases(config)
    entrance = Entrance(Identity(config.header_prefix), config.trusted_proxies, definition.places)
    try:
        entry = entrance.look(trial.request(), trial.from_peer(_RAY))
    except TargetError as error:
        return {"allowed": False, "answer": {"status": 400, "text": str(error)}}
    facts = databases.locate(entry).facts
    facts = replace(
        facts,
        country=facts.country if trial.country is None else trial.country,
        asn=facts.asn if trial.asn is None else trial.asn,
    )
    route = RouteTable(map(_Place, config.route, definition.conditions)).find(facts)
    report: dict[str, Any] = {"allowed": False, "path": facts.target.path, "client": facts.client}
    if route is None:
        return report | {"answer": {"status": NO_ROUTE.status, "text": NO_ROUTE.text}}
    at_work = Policies(definition)
    wall = time.time() if trial.time is None else trial.time
    verdict = at_work.judge(facts, token=entry.token, now=0.0, wall=wall)
    report |= {
        "route": route.table.title,
        "allowed": verdict.failure is None,
        "rule": verdict.rule,
        "matched": list(verdict.matched),
        "explanation": verdict.explain(),
    }
    if verdict.failure is not None:
        failure = verdict.failure
        text = failure.text if failure.body is None else failure.body
        report["answer"] = {"status": failure.status, "text": text, "headers": dict(failure.headers)}
    elif trial.message is not None:
        asked = at_work.messages_for(facts)
        said = MessageVerdict() if asked is None else asked.judge(trial.message.facts(), 0.0)
        report["message"] = _of_message(said)
        report["allowed"] = said.refusal is None
    return report


def _of_message(verdict: MessageVerdict) -> dict[str, Any]:
    from edgews.edge.policy.actions import Close, Drop

    match verdict.refusal:
        case Drop():
            fate = "is dropped"
        case Close(code, reason):
            fate = f"closes the connection with {code}" + (f" ({reason})" if reason else "")
        case _:
            fate = "passes"
    return {
        "fate": fate,
        "rule": verdict.rule,
        "matched": list(verdict.matched),
        "explanation": verdict.explain(),
    }


def _show(report: dict[str, Any]) -> None:
    """Print it for a person."""
    _explain("the request", report)
    answer = report.get("answer")
    if answer is not None:
        by = f", by the rule {shown(report['rule'])}" if report.get("rule") else ""
        show([("refused", "bad"), f": {answer['status']}{by}: {shown(answer['text'])}"])
        return
    show([("allowed", "good"), f": to the route {shown(report['route'])}"])
    if message := report.get("message"):
        _explain("the message", message)
        style = "good" if report["allowed"] else "bad"
        by = f", by the rule {shown(message['rule'])}" if message["rule"] else ""
        show([("the message ", ""), (shown(message["fate"]), style), by])


def _explain(what: str, part: dict[str, Any]) -> None:
    for line in part.get("explanation") or [f"no rule is asked about {what}"]:
        show([shown(line)])
