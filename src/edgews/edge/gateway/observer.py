"""What happens in a gateway, told to its access log and its tally."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from edgews.edge.analytics.tally import NO_TRAFFIC, Tally, Traffic, plus
from edgews.edge.forwarding.origins import Origin
from edgews.edge.policy.connlimit import Kind, Scope
from edgews.edge.policy.decisions import Failure
from edgews.edge.relay.tunnel import Tunnel

from . import accesslog
from .accesslog import AccessLog, Subject

if TYPE_CHECKING:
    from .plain import Plain
    from .proxied import Proxied
    from .server import Gateway

# How often to look at open connections for the charts (seconds), and how much longer for each of them: a look
# costs a few microseconds for each, and all looks together at most a few per cent of one core.
LOOK_INTERVAL: Final = 1.0
LOOK_COST: Final = 0.0001
# Hosts and clients above their limits that a report tells.
MAX_CROWDED: Final = 50


class Observer:
    """Log and count."""

    def __init__(self, gateway: Gateway, log: AccessLog) -> None:
        self.log = log
        self.tally = Tally(time.time())
        self._gateway = gateway
        self._looking: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look at open connections now and then."""
        self._look()

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()

    def _look(self) -> None:
        self.tally.look(time.time(), self.carried())
        pause = max(LOOK_INTERVAL, len(self._gateway.connections) * LOOK_COST)
        self._looking = self._gateway.loop.call_later(pause, self._look)

    def _write(self, record: dict[str, Any]) -> None:
        if self.log.write(record):
            self.tally.unlogged()

    # What happens

    def opened(self, proxied: Proxied) -> None:
        """Take a connection that is open."""
        assert proxied.route is not None
        now = time.time()
        if self.log.on:
            self._write(accesslog.opened(subject(proxied), now))
        self.tally.opened(proxied.route.name, now, proxied.opened - proxied.started)

    def refused(self, proxied: Proxied, status: int, cause: str, reason: str, header: str = "") -> None:
        """Take a request that opened nothing.

        Args:
            cause: why, for a person.
            reason: why, for counting: nothing that a client chooses.
            header: the field at fault.
        """
        now = time.time()
        duration = self._gateway.loop.time() - proxied.started
        record = accesslog.refused(
            subject(proxied), now, status=status, cause=cause, header=header, duration=duration
        )
        self._write(record)
        self.tally.refused(record, reason, now)

    def answered(self, proxied: Proxied, plain: Plain) -> None:
        """Take a plain request that an origin has answered."""
        now = time.time()
        about = replace(subject(proxied), origin="" if plain.origin is None else plain.origin.text)
        record = accesslog.answered(
            about,
            now,
            method=plain.exchange.request.method,
            status=plain.status,
            cause="" if plain.failure is None else plain.failure.cause,
            bytes_up=plain.exchange.received,
            bytes_down=plain.exchange.sent,
            duration=self._gateway.loop.time() - proxied.started,
        )
        self._write(record)
        self.tally.answered(about.route, plain.status)

    def unreachable(self, origin: Origin, failure: Failure) -> None:
        """Take an origin that could not be reached."""
        self.tally.unreachable(origin.text, failure.cause)

    def dropped(self, proxied: Proxied, reason: str) -> None:
        """Take a connection that ends without an answer, or for others, before it is open.

        There may be thousands in a second, so they are counted and not logged.
        """
        self.tally.dropped(proxied.awaited, reason)

    def ponged(self, client: bool, seconds: float) -> None:
        """Take the answer to a Ping."""
        self.tally.ponged("client" if client else "origin", seconds)

    def gone(self, proxied: Proxied) -> None:
        """Take the end of a connection, whatever came of it."""
        tunnel = proxied.tunnel
        if tunnel is not None and tunnel.end is not None:
            now = time.time()
            duration = self._gateway.loop.time() - proxied.opened
            record = accesslog.ended(subject(proxied), now, tunnel=tunnel, end=tunnel.end, duration=duration)
            self._write(record)
            self.tally.ended(record, traffic(tunnel), now)
        elif not proxied.answered:
            if proxied.target:
                self.refused(proxied, 0, "the client left before the answer", "client left")
            else:
                self.tally.abandoned()

    # What can be read

    def carried(self) -> dict[str, Traffic]:
        """Return what open connections have carried so far, by route."""
        found: dict[str, Traffic] = {}
        for proxied in self._gateway.connections:
            if proxied.tunnel is not None and proxied.route is not None:
                name = proxied.route.name
                found[name] = plus(found.get(name, NO_TRAFFIC), traffic(proxied.tunnel))
        return found

    def report(self) -> dict[str, Any]:
        """Return what was counted, and how limits and origins are."""
        policies = self._gateway.admission.policies
        return self.tally.report(
            time.time(),
            self.carried(),
            opening=len(policies.connections) + len(self._gateway.arrivals) - self.tally.open,
            limits=self._limits(),
            origins=self._origins(),
            rules=self._rules(),
            use={name: (usage.allowed, usage.refused) for name, usage in policies.usage.items()},
            keys=policies.keys(self._gateway.loop.time()),
        )

    def _limits(self) -> list[dict[str, Any]]:
        gateway = self._gateway
        count, soft = gateway.admission.present(), gateway.max_connections
        whole = {"kind": "all", "name": "max_connections", "state": "ok" if count < soft else "over"}
        admission = gateway.admission
        definition = admission.policies.definition
        scopes: list[Scope] = [(Kind.ALL, "")] if Kind.ALL in definition.connections else []
        if Kind.ROUTE in definition.connections:
            scopes += [(Kind.ROUTE, route.name) for route in gateway.routes]
        # Hosts and clients may be many: those are told that have a limit of their own, or too many.
        scopes += [*definition.overrides, *islice(admission.policies.connections.crowded(), MAX_CROWDED)]
        return [
            whole | {"count": count, "soft": soft, "burst": 0, "spent": 0.0},
            *gateway.arrivals.standing(MAX_CROWDED),
            *(
                {
                    "kind": standing.scope[0].value,
                    "name": standing.scope[1],
                    "state": standing.state.value,
                    "count": standing.count,
                    "soft": standing.soft,
                    "burst": standing.burst,
                    "spent": round(standing.spent, 3),
                }
                for standing in admission.standing(dict.fromkeys(scopes))
            ),
        ]

    def _rules(self) -> dict[tuple[str, str], int]:
        """Return how often each rule was acted upon, and how often it failed, with its action."""
        policies = self._gateway.admission.policies
        rules = policies.definition.rules
        words = {} if rules is None else rules.words
        found = {(name, words.get(name, "gone")): number for name, number in policies.matches.items()}
        return found | {(name, "failed"): number for name, number in policies.errors.items()}

    def _origins(self) -> list[dict[str, Any]]:
        return [origin | {"state": "ok" if origin["up"] else "down"} for origin in self._gateway.health()]


def subject(proxied: Proxied) -> Subject:
    """Return what records say of a request."""
    return Subject(
        ray=proxied.ray,
        client=proxied.address,
        host=proxied.host,
        target=proxied.target,
        route="" if proxied.route is None else proxied.route.name,
        origin="" if proxied.origin is None else proxied.origin.text,
        notes=_notes(proxied),
    )


def _notes(proxied: Proxied) -> tuple[str, ...]:
    """Return what happened to a request before an origin answered."""
    verdict = proxied.verdict
    if verdict.failure is not None:
        return tuple(verdict.explain())
    return (*(f"the rule {name} matches" for name in verdict.matched), *proxied.unreachable)


def traffic(tunnel: Tunnel) -> Traffic:
    """Return what a connection has carried so far."""
    up, down = tunnel.client.scanner, tunnel.origin.scanner
    return up.texts, up.binaries, up.size, down.texts, down.binaries, down.size
