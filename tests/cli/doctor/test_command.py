"""`edgews doctor` in a process of its own, with and without the extra; and what no server can do to it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgews.cli.doctor.findings import Level
from tests import wire
from tests.cli.doctor.servers import (
    Scripted,
    answering,
    closing,
    conversing,
    examine,
    ids,
    refusing,
    server_frame,
    silent_for,
    switch,
    switching,
)
from tests.cli.process import EDGEWS, EXTRA, Terminal, run
from tests.raw import Raw
from tests.sync.harness import echo, running, uri


def doctor(*arguments: str, **options: str) -> subprocess.CompletedProcess[bytes]:
    return run("doctor", *arguments, **options)


# A busy machine is slow, which is a warning.
NOTHING = r"nothing is wrong: (\d warnings?, )?2 notes"


class TestText:
    def test_nothing_is_wrong(self) -> None:
        with running(echo) as server:
            done = doctor(uri(server))
        assert (done.returncode, done.stderr) == (0, b"")
        lines = done.stdout.decode().splitlines()
        assert any(re.fullmatch(r"ok       ping     Pong \(\d+\.\d m?s\)", line) for line in lines)
        assert re.fullmatch(NOTHING, lines[-1])

    def test_something_is_wrong(self) -> None:
        with Scripted(refusing(502, "oops", Server="nginx")) as server:
            done = doctor(server.uri(), COLUMNS="80")
        text = done.stdout.decode()
        assert done.returncode == 1
        assert "WRONG    upgrade  status 502; Server: nginx" in text
        assert "502: bad gateway [status-502]" in text
        assert "found:  status 502 by nginx: oops" in text
        assert "change: - nginx: look at the error log" in text
        assert "something is wrong: 1 error" in text
        assert "A browser shows the close code 1006 and no reason" in text
        assert max(map(len, text.splitlines())) <= 80

    def test_the_same_advice_is_given_once(self) -> None:
        with Scripted(switching(Upgrade=None, Connection=None)) as server:
            text = doctor(server.uri()).stdout
        assert b"[upgrade-missing]" in text
        assert b"[connection-missing]" in text
        assert text.count(b"proxy_set_header Upgrade") == 1
        assert b"change: - as above" in text

    def test_a_code_that_a_browser_does_show(self) -> None:
        with Scripted(conversing(text=closing(4001, b"\x1b[31mno"))) as server:
            done = doctor(server.uri())
        assert done.returncode == 0
        assert b"\x1b" not in done.stdout
        assert b"A browser shows the close code 4001 because of this" in done.stdout

    @pytest.mark.parametrize("hide", [(), EXTRA], ids=["with the extra", "without it"])
    def test_at_a_terminal(self, hide: tuple[str, ...]) -> None:
        with running(echo) as server:
            terminal = Terminal("doctor", uri(server), hide=hide)
            assert terminal.wait() == 0
        assert re.search(NOTHING, terminal.plain.decode())
        assert (b"\x1b[32m" in terminal.shown) == (not hide)

    def test_nobody_reads(self) -> None:
        with running(echo) as server:
            process = subprocess.Popen(
                [*EDGEWS, "doctor", uri(server)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
            process.stderr.close()
            assert process.wait(20) == 1

    def test_ctrl_c(self) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            asked[0].type("\x03")
            raw.read_until_gone()

        asked: list[Terminal] = []
        server = Scripted(peer)
        asked.append(Terminal("doctor", server.uri()))
        with server:
            assert asked[0].wait() == 130
        assert b"Traceback" not in asked[0].shown


def found(report: Any) -> list[Any]:
    """Return the findings, but for what a busy machine adds to them."""
    return [finding for finding in report["findings"] if finding["id"] != "slow"]


class TestJson:
    def test_fields(self) -> None:
        with running(echo) as server:
            done = doctor("--json", "--idle", "0.1", uri(server))
        report = json.loads(done.stdout)
        assert (report["version"], report["uri"], report["ok"]) == (1, uri(server), True)
        steps = {step["step"]: step for step in report["steps"]}
        assert list(steps) == ["uri", "dns", "tcp", "upgrade", "ping", "message", "idle", "close", "origin"]
        assert steps["upgrade"]["details"]["status"] == 101
        assert ["Upgrade", "websocket"] in steps["upgrade"]["details"]["headers"]
        assert steps["uri"]["seconds"] is None
        assert steps["idle"]["seconds"] >= 0.1
        assert [finding["id"] for finding in found(report)] == ["extension-not-chosen", "origin-open"]
        assert report["browser"] is None
        assert done.returncode == 0

    def test_something_is_wrong(self) -> None:
        with Scripted(refusing(404)) as server:
            done = doctor("--json", server.uri())
        report = json.loads(done.stdout)
        assert (report["ok"], done.returncode) == (False, 1)
        (finding,) = found(report)
        assert (finding["id"], finding["level"], finding["browser"]) == ("status-404", "error", 1006)
        assert report["browser"] == {"code": 1006, "because": "status-404"}


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            ([], b"give the URI of a server, or --ray"),
            (["example.com"], b"must begin with ws:// or wss://"),
            (["ws://x y/"], b"has a space"),
            (["--header", "Host: x", "ws://127.0.0.1:1/"], b"Host"),
            (["--subprotocol", "a b", "ws://127.0.0.1:1/"], b"subprotocols must be"),
        ],
    )
    def test_what_may_not_be_sent(self, arguments: list[str], told: bytes) -> None:
        done = doctor(*arguments)
        assert (done.returncode, done.stdout) == (2, b"")
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize("arguments", [["--idle", "x", "ws://x/"], ["--timeout", "0", "ws://x/"]])
    def test_wrong_ones(self, arguments: list[str]) -> None:
        done = doctor(*arguments)
        assert done.returncode == 2
        assert b"usage: edgews doctor" in done.stderr

    def test_help(self) -> None:
        done = doctor("--help")
        assert done.returncode == 0
        assert b"examples:" in done.stdout


class TestAnything:
    """Whatever comes, there is a report, and it says that something is wrong."""

    @settings(max_examples=40)
    @given(
        st.binary(min_size=1, max_size=200) | st.binary(max_size=100).map(lambda rest: b"HTTP/1.1 " + rest)
    )
    def test_instead_of_an_answer(self, data: bytes) -> None:
        with Scripted(answering(data)) as server:
            assert ids(examine(server.uri()), Level.ERROR)

    @settings(max_examples=40)
    @given(st.binary(min_size=1, max_size=200))
    def test_behind_the_handshake(self, data: bytes) -> None:
        def peer(raw: Raw) -> None:
            switch(raw)
            raw.send(data)
            raw.sock.shutdown(1)
            raw.read_until_gone()

        with Scripted(peer) as server:
            report = examine(server.uri())
        # Bytes may be a Close with a private code, in order.
        assert ids(report) - {"extension-not-chosen"}

    def test_messages_without_end(self) -> None:
        flood = server_frame(wire.TEXT, b"x" * 10_000) * 20

        def peer(raw: Raw) -> None:
            switch(raw)
            raw.read_frame()
            for _ in range(200):
                raw.send(flood)
            raw.send(server_frame(wire.PONG, b"no"))
            raw.sock.shutdown(1)
            raw.read_until_gone()

        with Scripted(peer) as server:
            report = examine(server.uri())
        assert "ended-without-close" in ids(report)
        assert max(len(step.found) for step in report.steps) < 1000

    def test_many_messages_in_a_silence_are_counted(self) -> None:
        def chatter(raw: Raw, data: bytes) -> bool:
            raw.send(server_frame(wire.TEXT, b"tick") * 50)
            return True

        with Scripted(conversing(text=silent_for(0.1, chatter))) as server:
            report = examine(server.uri(), idle=60.0)
        assert any("and 45 more" in step.found for step in report.steps)
