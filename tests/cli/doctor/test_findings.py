"""Every finding, by a real server that is wrong in this way; a server that is right has none of them."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgews import PerMessageDeflate
from edgews.cli.doctor import diagnose_network, diagnose_upgrade, probe
from edgews.cli.doctor.dial import dial_failure, lookup_failure
from edgews.cli.doctor.findings import Level, Step
from edgews.cli.doctor.observed import Lookup, Outcome
from edgews.cli.doctor.options import FOREIGN
from edgews.cli.doctor.report import Report
from edgews.cli.doctor.tables import ADVICE
from tests import wire
from tests.cli.doctor import certificates
from tests.cli.doctor.servers import (
    Action,
    Peer,
    Scripted,
    alerting,
    answering,
    closing,
    conversing,
    end,
    examine,
    full_queue,
    greeting,
    ids,
    nothing,
    once,
    refusing,
    reset,
    server_frame,
    silent_for,
    stripping_proxy,
    switching,
)
from tests.raw import TIMEOUT, Raw, deaf_port
from tests.sync.harness import AUTHORITY, HOST, echo, running, uri

# Long enough to notice that nothing comes.
BRIEF = 0.3

Visit = Callable[[Path], Report]
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


@pytest.fixture(autouse=True)
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority of the tests is one that this machine knows."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a busy machine takes its time for is not the server's fault."""
    for step in diagnose_network.SLOW:
        monkeypatch.setitem(diagnose_network.SLOW, step, TIMEOUT)
    for wait in ("_REPLY", "_IN_TLS"):
        monkeypatch.setattr(probe, wait, TIMEOUT)


def healthy(folder: Path, **options: Any) -> Report:
    with running(echo, compression=PerMessageDeflate()) as server:
        return examine(uri(server), **options)


def scripted(peer: Peer, scheme: str = "ws", **options: Any) -> Visit:
    def visit(folder: Path) -> Report:
        with Scripted(peer) as server:
            return examine(server.uri(scheme), **options)

    return visit


def tls(make: Callable[..., Any], **options: Any) -> Visit:
    def visit(folder: Path) -> Report:
        try:
            context = make()
        except TypeError:
            context = make(folder)
        with Scripted(conversing(), context) as server:
            return examine(server.uri("wss"), **options)

    return visit


def elsewhere(*addresses: tuple[str, int], of: str = "ws://server.example/", **options: Any) -> Visit:
    """Visit a name that has these addresses."""
    found = [(socket.AF_INET, address) for address in addresses]
    lookup = Lookup(Outcome.DONE, 0.0, [host for host, _ in addresses])
    return lambda folder: examine(of, resolve=lambda *_: (lookup, found), **options)


def http_scheme(folder: Path) -> Report:
    with running(echo) as server:
        return examine(uri(server, scheme="http"))


def unencrypted(folder: Path) -> Report:
    with running(echo) as server:
        return elsewhere(server.address)(folder)


def some_addresses(folder: Path) -> Report:
    with running(echo) as server, deaf_port() as port:
        return elsewhere((HOST, port), server.address)(folder)


def refused(folder: Path) -> Report:
    with deaf_port() as port:
        return examine(f"ws://{HOST}:{port}/")


def unanswered_dial(folder: Path) -> Report:
    with full_queue() as port:
        return examine(f"ws://{HOST}:{port}/", timeout=BRIEF)


def no_resolver(folder: Path) -> Report:
    error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return examine("ws://server.example/", resolve=lambda *_: (lookup_failure(error, 0.1), []))


def stripped(folder: Path, *, request: bool) -> Report:
    with running(echo) as server, stripping_proxy(server.address[1], request=request) as proxy:
        return examine(proxy)


def slow(folder: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(diagnose_network.SLOW, Step.UPGRADE, 0.0)
        return healthy(folder)


def door(*origins: str | None, own: bool = False, **options: Any) -> Visit:
    """Visit a server that lets these origins in, and its own if asked for."""

    def visit(folder: Path) -> Report:
        allowed = list(origins)
        with running(echo, origins=allowed) as server:
            if own:
                allowed.append(uri(server, "", "http"))
            return examine(uri(server), **options)

    return visit


def write(data: bytes, then: bool = False) -> Action:
    def act(raw: Raw, payload: bytes) -> bool:
        raw.send(data)
        return then

    return act


def linger(raw: Raw, data: bytes) -> bool:
    """Answer Close, and keep the stream."""
    raw.send(server_frame(wire.CLOSE, data))
    raw.read_until_gone()
    return True


def begins_with_tls(raw: Raw) -> bool:
    return raw.sock.recv(1, socket.MSG_PEEK) == b"\x16"


def hang(raw: Raw) -> None:
    raw.read_until_gone()


CASES: dict[str, Visit] = {
    "uri-scheme": http_scheme,
    "uri-unencrypted": unencrypted,
    # A name of more than 255 octets is none for any resolver. RFC 1035 §2.3.4.
    "dns-no-such-host": lambda folder: examine(f"ws://{'x' * 60}{('.' + 'x' * 60) * 4}/"),
    "dns-failed": no_resolver,
    "tcp-refused": refused,
    "tcp-timeout": unanswered_dial,
    # TCP does not broadcast.
    "tcp-unreachable": elsewhere(("255.255.255.255", 80)),
    "tcp-some-addresses": some_addresses,
    "tls-not-spoken": scripted(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", after=False), "wss"),
    "tls-ended": scripted(lambda raw: raw.sock.recv(65536), "wss"),
    "tls-timeout": scripted(hang, "wss", timeout=BRIEF),
    "tls-version": scripted(alerting(70), "wss"),
    "tls-name": scripted(alerting(112), "wss"),
    "tls-client-certificate": tls(certificates.asking_for_one),
    "tls-failed": scripted(alerting(40), "wss"),
    "http2-only": scripted(alerting(120), "wss"),
    "cert-expired": tls(certificates.expired),
    "cert-not-yet-valid": tls(certificates.not_yet_valid),
    "cert-wrong-host": tls(certificates.other_host),
    "cert-self-signed": tls(certificates.self_signed),
    "cert-chain-incomplete": tls(certificates.without_chain),
    "cert-unknown-authority": tls(certificates.private_authority),
    "cert-refused": tls(certificates.for_clients),
    "cert-expires-soon": tls(certificates.soon_over),
    "cert-unchecked": tls(certificates.good, insecure=True),
    **{
        f"status-{status}": scripted(refusing(status))
        for status in (200, 400, 401, 403, 404, 405, 407, 408, 429, 431, 500, 501, 502, 503, 504, 505)
    },
    "status-426": partial(stripped, request=True),
    "status-other": scripted(refusing(418)),
    "redirect": scripted(refusing(302, Location="https://example.com/login")),
    "version-unsupported": scripted(refusing(426, Sec_WebSocket_Version="8, 7")),
    "upgrade-missing": partial(stripped, request=False),
    "connection-missing": scripted(switching(Connection="keep-alive")),
    "accept-missing": scripted(switching(Sec_WebSocket_Accept=None)),
    "accept-wrong": scripted(switching(Sec_WebSocket_Accept=wire.ACCEPT)),
    "answer-with-body": scripted(switching(Content_Length="0")),
    "subprotocol-not-chosen": scripted(conversing(), subprotocols=["chat"]),
    "subprotocol-not-offered": scripted(switching(Sec_WebSocket_Protocol="chat")),
    "extension-wrong": scripted(switching(Sec_WebSocket_Extensions="x-webkit-deflate-frame")),
    "extension-not-chosen": scripted(conversing()),
    "tls-on-plain-port": scripted(answering(b"\x15\x03\x01\x00\x02\x02\x46")),
    "not-http": scripted(greeting(b"SSH-2.0-OpenSSH_9.2\r\n"), timeout=TIMEOUT),
    "answer-malformed": scripted(answering(b"HTTP/1.1 101 Switching\nUpgrade: websocket\n\n")),
    "answer-cut": scripted(lambda raw: raw.sock.recv(65536)),
    "answer-timeout": scripted(hang, timeout=BRIEF),
    "origin-refused": door(own=True, origin="https://elsewhere.example"),
    "origin-required": door(own=True),
    "origin-own-refused": door(None),
    "origin-open": healthy,
    "ping-unanswered": scripted(conversing(ping=nothing), timeout=BRIEF),
    "pong-wrong": scripted(conversing(ping=write(server_frame(wire.PONG, b"!"))), timeout=BRIEF),
    "refused-as-wrong": scripted(conversing(text=closing(1002))),
    "message-refused": scripted(conversing(text=closing(1008, b"who are you?"))),
    "server-failed": scripted(conversing(text=closing(1011))),
    "server-busy": scripted(conversing(text=closing(1013))),
    "closed-early": scripted(conversing(text=closing(4000))),
    "ended-without-close": scripted(conversing(text=end)),
    "reset": scripted(conversing(text=reset)),
    "protocol-violation": scripted(conversing(text=write(wire.frame(wire.TEXT, b"masked")))),
    "idle-cut": scripted(conversing(text=silent_for(BRIEF, end)), idle=60.0),
    "idle-closed": scripted(conversing(text=silent_for(BRIEF, closing(1001, b"idle"))), idle=60.0),
    "close-unanswered": scripted(conversing(close=nothing), timeout=BRIEF),
    "close-without-close": scripted(conversing(close=end)),
    "tcp-stays-open": scripted(conversing(close=linger), timeout=BRIEF),
    "slow": slow,
}


def forgets(raw: Raw) -> None:
    """Answer until the first message, and never again: as behind a NAT that has forgotten the connection."""
    peer = conversing(text=lambda raw, data: raw.read_rest())
    peer(raw)


CASES["idle-dead"] = scripted(forgets, idle=BRIEF, timeout=BRIEF)


@pytest.mark.parametrize("name", CASES)
def test_is_found(name: str, tmp_path: Path) -> None:
    report = CASES[name](tmp_path)
    assert name in ids(report)
    advice = ADVICE[name]
    assert report.ok == (Level.ERROR not in {finding.advice.level for finding in report.findings})
    if advice.level is Level.ERROR:
        assert not report.ok
    if advice.browser:
        assert report.browser is not None


def test_every_row_has_a_server() -> None:
    assert set(CASES) == set(ADVICE)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_nothing_is_wrong(scheme: str, tmp_path: Path) -> None:
    context = certificates.good() if scheme == "wss" else None
    allowed: list[str | None] = [None]
    options = {"subprotocols": ["chat"], "compression": PerMessageDeflate(), "origins": allowed}
    with running(echo, ssl=context, **options) as server:
        allowed.append(uri(server, "", "https" if context else "http"))
        report = examine(uri(server, scheme=scheme), subprotocols=["chat"], idle=0.1)
    assert ids(report) == set()
    expected = [step for step in Step if step is not Step.TLS or scheme == "wss"]
    assert [step.step for step in report.steps] == expected
    told = {step.step: step.found for step in report.steps}
    assert told[Step.MESSAGE] == "the same text came back"
    assert told[Step.CLOSE] == "answered with 1000"
    assert FOREIGN in told[Step.ORIGIN]
    if scheme == "wss":
        assert "TLSv1.3" in told[Step.TLS]


class TestMore:
    """What a row alone does not show."""

    def found(self, report: Report, name: str) -> str:
        (finding,) = (finding for finding in report.findings if finding.advice.id == name)
        return finding.found

    def test_all_that_is_wrong_with_an_answer(self) -> None:
        peer = switching(
            Upgrade=None, Connection="close", Sec_WebSocket_Accept="x", Transfer_Encoding="chunked"
        )
        with Scripted(peer) as server:
            found = ids(examine(server.uri()))
        # And not that it does not compress.
        assert found == {"upgrade-missing", "connection-missing", "accept-wrong", "answer-with-body"}

    def test_behind_a_bad_certificate_it_goes_on(self, tmp_path: Path) -> None:
        report = CASES["cert-expired"](tmp_path)
        assert report.steps[-1].step is Step.CLOSE
        assert "expired 2 days ago" in self.found(report, "cert-expired")

    def test_what_an_unknown_certificate_says(self, tmp_path: Path) -> None:
        report = CASES["cert-chain-incomplete"](tmp_path)
        found = self.found(report, "cert-chain-incomplete")
        assert "the server sent 1 of the chain" in found
        assert HOST in found

    def test_the_servers_product_comes_first(self) -> None:
        def first(server: str) -> str:
            with Scripted(refusing(502, Server=server)) as scripted:
                (finding,) = examine(scripted.uri()).findings
            return finding.changes[0].product

        assert first("nginx/1.25") == "nginx"
        assert first("awselb/2.0") == "AWS load balancer"
        assert first("something") == ""

    def test_where_a_redirect_leads_and_when_to_come_back(self) -> None:
        with Scripted(refusing(302, Location="https://example.com/\x7flogin")) as server:
            assert examine(server.uri()).findings
        with Scripted(refusing(302, Location="https://example.com/login")) as server:
            assert "https://example.com/login" in self.found(examine(server.uri()), "redirect")
        with Scripted(refusing(429, Retry_After="7")) as server:
            assert "Retry-After: 7" in self.found(examine(server.uri()), "status-429")

    def test_which_credentials_are_wanted(self) -> None:
        with Scripted(refusing(401, WWW_Authenticate="Bearer", Retry_After="7")) as server:
            told = self.found(examine(server.uri()), "status-401")
        assert told == "status 401 (WWW-Authenticate: Bearer, Retry-After: 7)"

    def test_https_port_by_the_words_of_nginx(self) -> None:
        body = "<title>400 The plain HTTP request was sent to HTTPS port</title>"
        with Scripted(refusing(400, body)) as server:
            assert "tls-on-plain-port" in ids(examine(server.uri()))

    def test_https_port_that_hangs_up(self) -> None:
        """Servers of Python and Node do not answer a plain request there."""
        with Scripted(conversing(), certificates.good()) as server:
            report = examine(server.uri("ws"))
        assert ids(report) == {"tls-on-plain-port"}
        assert "TLS does" in self.found(report, "tls-on-plain-port")

    def test_port_without_tls_that_hangs_up(self) -> None:
        def peer(raw: Raw) -> None:
            if begins_with_tls(raw):
                return
            raw.read_head()
            raw.send(b"HTTP/1.1 426 Upgrade Required\r\n\r\n")

        with Scripted(peer) as server:
            report = examine(server.uri("wss"))
        assert ids(report) == {"tls-not-spoken"}
        assert "426" in self.found(report, "tls-not-spoken")

    @pytest.mark.parametrize("alert", [True, False])
    def test_port_with_tls_that_answers_plain_requests_as_well(self, alert: bool) -> None:
        """It refuses the handshake, and says in plain HTTP that it wants TLS."""

        def peer(raw: Raw) -> None:
            if not begins_with_tls(raw):
                refusing(400, "" if alert else "The plain HTTP request was sent to HTTPS port")(raw)
            elif alert:
                alerting(40)(raw)

        with Scripted(peer) as server:
            assert ids(examine(server.uri("wss"))) == {"tls-failed" if alert else "tls-ended"}

    @pytest.mark.parametrize("scheme", ["ws", "wss"])
    def test_http2_frames(self, scheme: str) -> None:
        with Scripted(answering(SETTINGS), certificates.good() if scheme == "wss" else None) as server:
            assert ids(examine(server.uri(scheme)), Level.ERROR) == {"http2-only"}

    @pytest.mark.parametrize("scheme", ["ws", "wss"])
    def test_another_protocol_is_named_and_not_waited_for(self, scheme: str) -> None:
        with Scripted(greeting(b"220 mail.example ESMTP\r\n")) as server:
            report = examine(server.uri(scheme), timeout=TIMEOUT)
        assert ids(report) == {"not-http"}
        assert report.steps[-1].step is (Step.TLS if scheme == "wss" else Step.UPGRADE)
        assert "'220 mail.example ESMTP\\r\\n', as SMTP or FTP does" in self.found(report, "not-http")

    def test_body_that_never_ends(self) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\nhalf")
            raw.read_until_gone()

        with Scripted(peer) as server:
            report = examine(server.uri(), timeout=BRIEF)
        assert "half" in self.found(report, "status-503")

    def test_reset_instead_of_an_answer(self) -> None:
        with Scripted(lambda raw: (raw.sock.recv(65536), reset(raw, b""))) as server:
            assert "was reset after 0 bytes" in self.found(examine(server.uri()), "answer-cut")

    def test_time_of_the_cut_is_measured(self) -> None:
        with Scripted(conversing(text=silent_for(BRIEF, end))) as server:
            report = examine(server.uri(), idle=60.0)
        (step,) = (step for step in report.steps if step.step is Step.IDLE)
        assert step.seconds is not None
        assert BRIEF / 2 < step.seconds < 60
        assert "ended without a Close frame, after" in self.found(report, "idle-cut")

    def test_reset_while_idle_and_after(self) -> None:
        with Scripted(conversing(text=silent_for(BRIEF, reset))) as server:
            assert "reset" in self.found(examine(server.uri(), idle=60.0), "idle-cut")

    def test_pings_of_the_server_are_told(self) -> None:
        def ping(raw: Raw, data: bytes) -> bool:
            raw.sock.settimeout(TIMEOUT)
            raw.send(server_frame(wire.PING, b"?"))
            return False

        with Scripted(conversing(text=silent_for(BRIEF / 3, ping))) as server:
            report = examine(server.uri(), idle=BRIEF)
        assert report.ok
        (step,) = (step for step in report.steps if step.step is Step.IDLE)
        assert "a Ping" in step.found

    def test_violation_while_closing(self) -> None:
        with Scripted(conversing(close=write(b"\xff\xff"))) as server:
            assert "protocol-violation" in ids(examine(server.uri()))

    def test_close_before_anything(self) -> None:
        def peer(raw: Raw) -> None:
            conversing(ping=closing(4001, b"go"))(raw)

        with Scripted(peer) as server:
            report = examine(server.uri())
        assert report.browser is not None
        assert report.browser.browser == 4001
        assert "closed with 4001 (go)" in self.found(report, "closed-early")

    def test_no_message(self, tmp_path: Path) -> None:
        report = healthy(tmp_path, message=None)
        assert Step.MESSAGE not in [step.step for step in report.steps]

    def test_credentials_and_fields_are_sent(self) -> None:
        heads: list[bytes] = []

        def peer(raw: Raw) -> None:
            heads.append(raw.read_head())
            raw.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        with Scripted(peer) as server:
            examine(
                server.uri().replace("//", "//me:secret@"),
                headers=[("X-One", "1")],
                origin="https://o.example",
            )
        lines = heads[0].split(b"\r\n")
        for line in ("Authorization: Basic bWU6c2VjcmV0", "X-One: 1", "Origin: https://o.example"):
            assert line.encode() in lines

    def test_server_that_is_gone_after_the_first_connection(self) -> None:
        with once(alerting(40)) as place:
            assert ids(examine(f"wss://{place}/")) == {"tls-failed"}
        with once(conversing(), certificates.expired()) as place:
            report = examine(f"wss://{place}/")
        assert ids(report) == {"cert-expired"}
        assert report.steps[-1].step is Step.TLS
        with once(conversing()) as place:
            report = examine(f"ws://{place}/")
        assert report.ok
        assert "no answer for" in report.steps[-1].found

    def test_resolver_that_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No resolver here can be made silent, so the system's call is."""
        done = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: done.wait(TIMEOUT) and [])
        report = examine("ws://server.example/", timeout=0.1)
        done.set()
        assert "no answer within 0.1 s" in self.found(report, "dns-failed")

    def test_violation_in_a_silence(self) -> None:
        peer = conversing(text=silent_for(0.1, write(b"\xff\xff", then=True)))
        with Scripted(peer) as server:
            assert "protocol-violation" in ids(examine(server.uri(), idle=60.0))

    def test_reset_in_the_tls_handshake(self) -> None:
        with Scripted(lambda raw: reset(raw, raw.sock.recv(1))) as server:
            assert ids(examine(server.uri("wss"))) == {"tls-ended"}

    def test_tls_that_breaks(self) -> None:
        """What comes behind the TLS handshake is no record."""

        def peer(raw: Raw) -> None:
            socket.socket.send(raw.sock, b"no record at all")
            raw.sock.shutdown(socket.SHUT_WR)

        with Scripted(peer, certificates.good()) as server:
            assert ids(examine(server.uri("wss")), Level.ERROR)

    def test_binary_and_long_answers(self) -> None:
        def told(opcode: int, payload: bytes) -> str:
            with Scripted(conversing(text=write(server_frame(opcode, payload)))) as server:
                report = examine(server.uri())
            (step,) = (step for step in report.steps if step.step is Step.MESSAGE)
            return step.found

        assert told(wire.BINARY, b"\0\1") == "2 bytes of binary"
        assert told(wire.TEXT, b"x" * 61) == f"text {'x' * 60!r}..."

    def test_what_is_local(self) -> None:
        def unencrypted(host: str) -> bool:
            return bool(diagnose_network.diagnose_uri("ws", host))

        assert not any(map(unencrypted, ["localhost", "127.1.2.3", "::1", "my.localhost"]))
        assert all(map(unencrypted, ["localhost.example", "127.example", "192.0.2.1", "2001:db8::1"]))

    def test_names_of_connection_failures(self) -> None:
        for number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            assert dial_failure("a", OSError(number, "x"), 0.0).outcome is Outcome.UNREACHABLE
        assert dial_failure("a", OSError(errno.EPERM, "x"), 0.0).outcome is Outcome.FAILED

    def test_open_for_no_one(self) -> None:
        assert diagnose_upgrade.diagnose_doors(None, 403, [], "http://x") == []
