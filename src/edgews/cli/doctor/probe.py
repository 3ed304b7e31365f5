"""The doctor's hands: all steps with one server, in order, each judged at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from time import monotonic
from typing import Any, Final

from edgews.cli.console import shown
from edgews.cli.doctor import diagnose_network, diagnose_session, diagnose_upgrade
from edgews.cli.doctor.dial import Address, context, dial, inspect, look_up, shake_hands
from edgews.cli.doctor.findings import Finding, Level, Step, worst
from edgews.cli.doctor.observed import Answer, Attempt, Door, End, Lookup, Outcome, TlsHandshake, Wait
from edgews.cli.doctor.options import FOREIGN, OFFERS, Options
from edgews.cli.doctor.report import Report, StepReport
from edgews.cli.doctor.talk import Talk
from edgews.client import ClientConnection
from edgews.events import Event, Ping, Pong

# How long to wait for an answer to the message, which need not come (seconds).
_REPLY: Final = 1.0
# How long a port that has just hung up may take for a TLS handshake (seconds).
_IN_TLS: Final = 2.0
_TEXT_SHOWN: Final = 60
_EVENTS_TOLD: Final = 5


class Probe:
    """Try a server step by step.

    Args:
        options: what to try.
        tell: called with each step when it is done.
        resolve: gives the addresses of a host and port within a time.
    """

    def __init__(
        self,
        options: Options,
        tell: Callable[[StepReport], None],
        resolve: Callable[[str, int, float], tuple[Lookup, list[Address]]] = look_up,
    ) -> None:
        self._options = options
        self._tell = tell
        self._resolve = resolve
        self._addresses: list[Address] = []
        self._checked = not options.insecure
        uri = options.uri
        self.report = Report(f"{'wss' if uri.secure else 'ws'}://{uri.host_header}{uri.target}")
        # Raises for what may not be sent, before anything is done.
        options.connection(options.origin)

    def run(self) -> Report:
        """Try all there is to try; go on as long as it makes sense."""
        options = self._options
        self._done(
            Step.URI,
            f"{options.uri.host_header}, {options.uri.target}, with{'' if options.uri.secure else 'out'} TLS",
            diagnose_network.diagnose_uri(options.scheme, options.uri.host),
        )
        sock = self._reach()
        if sock is not None:
            with sock:
                conn = options.connection(options.origin)
                talk = Talk(sock, conn, options.timeout)
                answer = self._upgrade(talk)
                if talk.accepted:
                    self._session(talk, conn)
            if answer.response is not None:
                self._origins(answer.response.status)
        return self.report

    # Steps

    def _reach(self) -> socket.socket | None:
        """Look the name up, connect, and do TLS."""
        options = self._options
        lookup, addresses = self._resolve(options.uri.host, options.uri.port, options.timeout)
        found = ", ".join(lookup.addresses) if addresses else lookup.detail
        findings = diagnose_network.diagnose_lookup(lookup, options.uri.host)
        self._done(Step.DNS, found, findings, lookup.seconds, addresses=lookup.addresses)
        if not addresses:
            return None
        attempts, sock = dial(addresses, options.timeout)
        self._dialled(attempts)
        if sock is None:
            return None
        # Further connections go where this one went.
        self._addresses = [addresses[len(attempts) - 1]]
        return self._tls(sock) if options.uri.secure else sock

    def _dialled(self, attempts: list[Attempt]) -> None:
        last = attempts[-1]
        found = f"connected to {last.address}" if last.outcome is Outcome.DONE else "no connection"
        tried = [{"address": attempt.address, "outcome": attempt.outcome.value} for attempt in attempts]
        self._done(Step.TCP, found, diagnose_network.diagnose_dial(attempts), last.seconds, attempts=tried)

    def _tls(self, sock: socket.socket) -> socket.socket | None:
        options, host = self._options, self._options.uri.host
        shaken, tls = shake_hands(sock, host, context(checked=self._checked), options.timeout)
        shaken.checked = self._checked
        if shaken.verify_code:
            # It goes on without a check, to find what else is wrong.
            self._checked = False
        if tls is None and shaken.verify_code:
            again = self._dial_again()
            if again is not None:
                second, tls = shake_hands(again, host, context(checked=False), options.timeout)
                shaken.version, shaken.cipher = second.version, second.cipher
        if tls is not None and not self._checked:
            shaken.certificate, shaken.chain = inspect(tls, self._dial_again, host, options.timeout)
        if shaken.outcome in (Outcome.FAILED, Outcome.ENDED):
            shaken.plain = self._ask_plainly()
        self._shaken(shaken)
        return tls

    def _shaken(self, tls: TlsHandshake) -> None:
        if tls.outcome is not Outcome.DONE:
            found = f"the handshake failed: {tls.detail}"
        elif not tls.version:
            found = tls.detail
        else:
            about = tls.certificate and diagnose_network.certificate_text(tls.certificate, tls.now)
            found = f"{tls.version}, {tls.cipher}" + (f"; certificate {about}" if about else "")
        certificate = None if tls.certificate is None else asdict(tls.certificate)
        findings = diagnose_network.diagnose_tls(tls)
        self._done(
            Step.TLS, found, findings, tls.seconds, version=tls.version or None, certificate=certificate
        )

    def _upgrade(self, talk: Talk) -> Answer:
        answer = talk.open(OFFERS)
        if not self._options.uri.secure and not answer.raw and answer.ending is not None:
            answer.speaks_tls = self._ask_in_tls()
        response = answer.response
        if response is None:
            found, fields = "no HTTP answer", []
        else:
            names = ("Server", "Via", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions")
            told = [f"{name}: {shown(value)}" for name in names if (value := response.headers.get(name))]
            found = f"status {response.status}{'; ' if told else ''}{', '.join(told)}"
            fields = [list(field) for field in response.headers]
        self._done(
            Step.UPGRADE,
            found,
            diagnose_upgrade.diagnose_answer(answer),
            answer.seconds,
            status=None if response is None else response.status,
            headers=fields,
        )
        return answer

    def _session(self, talk: Talk, conn: ClientConnection) -> None:
        options = self._options
        ping = self._ping(talk, conn)
        found = "Pong" if ping.answered else "no Pong"
        self._done(Step.PING, found, diagnose_session.diagnose_ping(ping), ping.seconds)
        if talk.ending is None and options.message is not None:
            talk.events.clear()
            start = monotonic()
            talk.send(conn.send(options.message, compress=True))
            answered = self._wait(talk, min(_REPLY, options.timeout), _is_message)
            wait = Wait(monotonic() - start, answered, _told(talk.events, options.message), talk.ending)
            found = ", ".join(wait.received) or "sent; nothing came back, which is no fault"
            self._done(Step.MESSAGE, found, diagnose_session.diagnose_message(wait), wait.seconds)
        if talk.ending is None and options.idle:
            self._idle(talk, conn)
        if talk.ending is None:
            self._close(talk, conn)

    def _idle(self, talk: Talk, conn: ClientConnection) -> None:
        talk.events.clear()
        start = monotonic()
        self._wait(talk, self._options.idle, lambda event: False)
        silence = Wait(monotonic() - start, False, _told(talk.events, None), talk.ending)
        ping = None if talk.ending is not None else self._ping(talk, conn)
        found = f"{'open' if ping is not None else 'ended'} after {silence.seconds:.1f} s"
        if silence.received:
            found += f"; it was not quite silent: {', '.join(silence.received)}"
        self._done(Step.IDLE, found, diagnose_session.diagnose_idle(silence, ping), silence.seconds)

    def _close(self, talk: Talk, conn: ClientConnection) -> None:
        start = monotonic()
        talk.send(conn.send_close())
        talk.wait(self._options.timeout, lambda: talk.over)
        wait = Wait(monotonic() - start, talk.ending is not None, ending=talk.ending)
        closed = talk.ending is not None and talk.ending.end is End.CLOSE
        found = f"answered with {talk.ending.code}" if closed and talk.ending is not None else "no Close came"
        self._done(Step.CLOSE, found, diagnose_session.diagnose_close(wait), wait.seconds)

    def _origins(self, status: int) -> None:
        """Knock with other Origins, where that tells something."""
        options = self._options
        if status not in (101, 400, 401, 403) or (
            worst(self.report.findings) is Level.ERROR and status == 101
        ):
            return
        others = [origin for origin in (None, options.own_origin, FOREIGN) if origin != options.origin]
        doors = [self._knock(origin) for origin in others]
        told = [f"{door.status or 'no answer'} for {door.origin or 'no Origin'}" for door in doors]
        findings = diagnose_upgrade.diagnose_doors(options.origin, status, doors, options.own_origin)
        self._done(Step.ORIGIN, ", ".join(told), findings, attempts=[asdict(door) for door in doors])

    # What steps share

    def _done(
        self, step: Step, found: str, findings: list[Finding], seconds: float | None = None, **details: Any
    ) -> None:
        report = StepReport(step, found, seconds, findings, details)
        self.report.steps.append(report)
        self._tell(report)

    def _ping(self, talk: Talk, conn: ClientConnection) -> Wait:
        if talk.ending is not None:
            # What ended it came behind the 101 at once.
            return Wait(0.0, False, ending=talk.ending)
        payload = os.urandom(4)
        talk.events.clear()
        start = monotonic()
        talk.send(conn.send_ping(payload))
        answered = self._wait(talk, self._options.timeout, lambda event: event == Pong(payload))
        return Wait(monotonic() - start, answered, _told(talk.events, None), talk.ending)

    def _wait(self, talk: Talk, seconds: float, wanted: Callable[[Event], bool]) -> bool:
        """Wait for an event, or the end of the connection, with or without the end of its stream."""
        talk.wait(seconds, lambda: talk.ending is not None or any(map(wanted, talk.events)))
        return any(map(wanted, talk.events))

    def _dial_again(self) -> socket.socket | None:
        return dial(self._addresses, self._options.timeout)[1]

    def _ask_plainly(self) -> bytes:
        """Return what a port without TLS answers to HTTP."""
        sock = self._dial_again()
        if sock is None:
            return b""
        answer = b""
        with sock, suppress(OSError):
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {self._options.uri.host_header}\r\n\r\n".encode())
            answer = sock.recv(4096)
        return answer

    def _ask_in_tls(self) -> bool:
        """Say whether a port that hung up on a plain request speaks TLS."""
        sock = self._dial_again()
        if sock is None:
            return False
        options = self._options
        wait = min(options.timeout, _IN_TLS)
        shaken, tls = shake_hands(sock, options.uri.host, context(checked=False), wait)
        if tls is not None:
            tls.close()
        return tls is not None or diagnose_network.is_alert(shaken.reason)

    def _knock(self, origin: str | None) -> Door:
        """Open another connection, as a page of that origin would, and close it at once."""
        sock = self._dial_again()
        if sock is not None and self._options.uri.secure:
            uri = self._options.uri
            sock = shake_hands(sock, uri.host, context(checked=self._checked), self._options.timeout)[1]
        if sock is None:
            return Door(origin, 0, False)
        with sock:
            conn = self._options.connection(origin)
            talk = Talk(sock, conn, self._options.timeout)
            answer = talk.open(OFFERS)
            if talk.accepted and talk.ending is None:
                talk.send(conn.send_close())
                talk.wait(self._options.timeout, lambda: talk.ending is not None)
        return Door(origin, answer.response.status if answer.response else 0, talk.accepted)


def _is_message(event: Event) -> bool:
    return isinstance(event, str | bytes)


def _told(events: Collection[Event], sent: str | None) -> list[str]:
    """Return events in words, the first few of them."""
    told = []
    for event in islice(events, _EVENTS_TOLD):
        match event:
            case str() if event == sent:
                told.append("the same text came back")
            case str():
                more = "..." if len(event) > _TEXT_SHOWN else ""
                told.append(f"text {shown(event[:_TEXT_SHOWN])!r}{more}")
            case bytes():
                told.append(f"{len(event)} bytes of binary")
            case Ping():
                told.append("a Ping")
            case Pong(data):
                told.append(f"a Pong {f'with {data.hex()}' if data else 'without payload'}")
            case _:
                pass
    if len(events) > _EVENTS_TOLD:
        told.append(f"and {len(events) - _EVENTS_TOLD} more")
    return told
