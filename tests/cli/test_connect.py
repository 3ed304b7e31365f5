"""`edgews connect` in a process of its own, against real servers."""

from __future__ import annotations

import contextlib
import re
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from edgews import Headers, PerMessageDeflate, Response
from edgews.cli.connect import QUIET, describe
from edgews.cli.console import shown
from edgews.sync import WebSocket
from tests import wire
from tests.cli.process import EDGEWS, EXTRA, Terminal, echo, run
from tests.raw import TIMEOUT, Raw, deaf_port
from tests.sync.harness import AUTHORITY, HOST, Listener, Report, accept, running, server_context, uri
from tests.sync.harness import echo as echo_handler

TIME = rb"\d\d:\d\d:\d\d\.\d{3}  "


class TestPipe:
    def test_lines_are_sent_and_answers_shown(self) -> None:
        with echo() as server:
            done = run("connect", server.ws, input="one\ntwo\r\nwörld\nno end".encode())
        lines = done.stdout.splitlines()
        expected = ["text    3 bytes: one", "text    3 bytes: two", "text    6 bytes: wörld"]
        for line, text in zip(lines, [*expected, "text    6 bytes: no end"], strict=True):
            assert re.fullmatch(TIME + re.escape(text.encode()), line)
        assert f"connected to {server.ws}\n".encode() in done.stderr
        assert b"closed with 1000: normal closure" in done.stderr
        assert b"cause: closed: we closed with 1000" in done.stderr
        assert done.returncode == 0

    def test_no_input_at_all(self) -> None:
        with echo() as server:
            done = run("connect", server.ws)
        assert (done.stdout, done.returncode) == (b"", 0)

    def test_many_lines(self) -> None:
        with echo("--deflate") as server:
            done = run("connect", "--deflate", server.ws, input=b"".join(b"%d\n" % n for n in range(5000)))
        assert [int(line.rsplit(b" ", 1)[1]) for line in done.stdout.splitlines()] == list(range(5000))
        assert b"with permessage-deflate" in done.stderr

    def test_a_long_line(self) -> None:
        with echo() as server:
            done = run("connect", server.ws, input=b"x" * 500_000 + b"\n")
        assert done.stdout.rstrip().endswith(b"x" * 500_000)

    def test_a_line_that_is_no_text(self) -> None:
        with echo() as server:
            done = run("connect", server.ws, input=b"fine\ncaf\xe9\nfine too\n")
        assert b"not sent: line 2 is not UTF-8" in done.stderr
        assert len(done.stdout.splitlines()) == 2

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
    def test_streams_that_are_closed(self, closed: str) -> None:
        with echo() as server:
            line = [*EDGEWS, "connect", server.ws]
            shell = ["sh", "-c", f'"$@" {closed}', "sh", *line]
            done = subprocess.run(shell, input=b"one\n", capture_output=True, timeout=TIMEOUT)
        assert done.returncode == 0
        assert b"Traceback" not in done.stderr
        assert (b"3 bytes: one" in done.stdout) == (closed == "2>&-")

    def test_nobody_reads_the_output(self) -> None:
        with echo() as server:
            process = subprocess.Popen(
                [*EDGEWS, "connect", server.ws],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            process.stdin.write(b"one\ntwo\n")
            process.stdin.close()
            errors = process.stderr.read()
            process.stderr.close()
            assert process.wait(20) == 1
        assert b"Traceback" not in errors
        assert b"Exception" not in errors


class TestWait:
    """When the end of a pipe closes the connection."""

    def test_a_slow_reply_is_shown(self) -> None:
        def think(ws: WebSocket) -> None:
            question = ws.recv()
            with contextlib.suppress(TimeoutError):
                ws.recv(3 * QUIET)
            ws.send(question)

        with running(think) as server:
            done = run("connect", uri(server), input=b"why\n")
        assert done.stdout.endswith(b"text    3 bytes: why\n")
        assert done.returncode == 0

    @pytest.mark.parametrize("seconds", ["0", "0.1"])
    def test_it_is_as_long_as_asked(self, seconds: str) -> None:
        report = Report()
        with running(report) as server:
            assert run("connect", "--wait", seconds, uri(server), input=b"a\nb\n").returncode == 0
        assert report.received == ["a", "b"]

    def test_no_reply_at_all(self) -> None:
        with running(lambda ws: list(ws)) as server:
            done = run("connect", "--timeout", "0.2", uri(server), input=b"a\n")
        assert (done.stdout, done.returncode) == (b"", 0)


class TestRequest:
    def test_what_is_asked_for_is_sent(self) -> None:
        def tell(ws: WebSocket) -> None:
            assert ws.request is not None
            for name in ("X-One", "X-Two", "Origin", "Sec-WebSocket-Protocol"):
                ws.send(f"{name}={ws.request.headers.get(name)}")

        with running(tell, subprotocols=["chat"]) as server:
            done = run(
                "connect",
                *("--header", "X-One: 1:2", "--header", "X-Two:x", "--origin", "https://example.com"),
                *("--subprotocol", "talk", "--subprotocol", "chat", uri(server)),
            )
        assert re.findall(rb"bytes: (.*)", done.stdout) == [
            b"X-One=1:2",
            b"X-Two=x",
            b"Origin=https://example.com",
            b"Sec-WebSocket-Protocol=talk, chat",
        ]
        assert b" as chat" in done.stderr

    def test_a_field_that_may_not_be_sent(self) -> None:
        done = run("connect", "--header", "Upgrade: h2c", "ws://127.0.0.1:1/")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1

    def test_binary(self) -> None:
        report = Report()
        with running(report) as server:
            done = run("connect", "--binary", uri(server), input=b"\xff\x00\n\n")
        assert report.received == [b"\xff\x00", b""]
        assert done.stdout.splitlines()[0].endswith(b"binary  2 bytes: ff 00")

    def test_any_certificate(self) -> None:
        with running(echo_handler, ssl=server_context()) as server:
            done = run("connect", "--insecure", uri(server, scheme="wss"), input=b"hi\n")
        assert b"text    2 bytes: hi" in done.stdout
        assert b"the certificate was not checked" in done.stderr
        assert done.returncode == 0


@pytest.fixture(params=[(), EXTRA], ids=["with the extra", "without it"])
def hide(request: pytest.FixtureRequest) -> tuple[str, ...]:
    hidden: tuple[str, ...] = request.param
    return hidden


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the history goes, which shall not be our own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path / "state" / "edgews"


class TestTerminal:
    def test_a_conversation_that_ctrl_d_closes(self, hide: tuple[str, ...]) -> None:
        with echo() as server:
            terminal = Terminal("connect", server.ws, hide=hide)
            terminal.wait_for("Ctrl-D closes")
            terminal.type("hello\n")
            terminal.wait_for("text    5 bytes: hello")
            terminal.type("wörld\n")
            terminal.wait_for("text    6 bytes: wörld")
            if not hide:
                terminal.wait_for_editor()
            terminal.type("\x04")
            assert terminal.wait() == 0
        assert b"closed with 1000: normal closure" in terminal.plain
        assert b"cause: closed: we closed with 1000" in terminal.plain

    def test_ctrl_c_closes_without_a_traceback(self, hide: tuple[str, ...]) -> None:
        report = Report()
        with running(report) as server:
            terminal = Terminal("connect", uri(server), hide=hide)
            terminal.wait_for("Ctrl-D closes")
            terminal.type("\x03")
            assert terminal.wait() == 130
        assert report.wait().code == 1001
        assert b"Traceback" not in terminal.plain

    def test_ctrl_c_while_connecting(self) -> None:
        asked: list[Terminal] = []

        def peer(raw: Raw) -> None:
            raw.read_head()
            asked[0].type("\x03")
            with contextlib.suppress(ConnectionError):
                raw.read_until_gone()

        listener = Listener(peer)
        asked.append(Terminal("connect", listener.uri))
        with listener:
            assert asked[0].wait() == 130
        assert b"Traceback" not in asked[0].shown

    def test_the_server_closes(self, hide: tuple[str, ...]) -> None:
        def leave(ws: WebSocket) -> None:
            ws.send(b"\x00\x01\xfe\xff")
            ws.close(4001, "enough\x1b[31m")

        with running(leave) as server:
            terminal = Terminal("connect", uri(server), hide=hide)
            assert terminal.wait() == 1
        shown = terminal.plain
        assert b"binary  4 bytes: 00 01 fe ff" in shown
        assert b"closed with 4001 (enough\\x1b[31m): private to the application" in shown

    def test_the_server_closes_while_a_line_is_typed(self, hide: tuple[str, ...]) -> None:
        def leave(ws: WebSocket) -> None:
            assert ws.recv() == "one"
            half_typed.wait(TIMEOUT)

        half_typed = threading.Event()
        with running(leave) as server:
            terminal = Terminal("connect", uri(server), hide=hide)
            terminal.wait_for("Ctrl-D closes")
            terminal.type("one\ntw")
            terminal.wait_for("tw")
            half_typed.set()
            assert terminal.wait() == 0

    def test_a_long_text_is_cut(self, hide: tuple[str, ...]) -> None:
        with running(lambda ws: ws.send("x" * 3000)) as server:
            terminal = Terminal("connect", uri(server), hide=hide)
            assert terminal.wait() == 0
        assert b"text    3000 bytes: xxx" in terminal.plain
        assert b"... and 1000 characters" in terminal.plain

    def test_text_is_no_markup(self) -> None:
        with running(lambda ws: ws.send("[bold red]:warning:[/]")) as server:
            terminal = Terminal("connect", uri(server))
            assert terminal.wait() == 0
        assert b"[bold red]:warning:[/]" in terminal.plain


class TestExtra:
    """What prompt_toolkit and rich add."""

    COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-7]m")

    def test_colours_and_none(self) -> None:
        with running(lambda ws: ws.send("hi")) as server:

            def look(**options: Any) -> bool:
                terminal = Terminal("connect", uri(server), **options)
                assert terminal.wait() == 0
                return self.COLOUR.search(terminal.shown) is not None

            assert look()
            assert not look(NO_COLOR="1")
            assert not look(TERM="dumb")
            assert not look(hide=EXTRA)

    def test_a_pipe_has_no_colours(self) -> None:
        with echo() as server:
            done = run("connect", server.ws, input=b"one\n", FORCE_COLOR="1")
        assert b"\x1b" not in done.stdout + done.stderr

    def test_history_of_earlier_sessions(self, state: Path) -> None:
        with echo() as server:
            for keys in ("first\n", "\x1b[A\n"):
                terminal = Terminal("connect", server.ws)
                terminal.wait_for_editor()
                terminal.type(keys)
                terminal.wait_for("text    5 bytes: first")
                terminal.wait_for_editor()
                terminal.type("\x04")
                assert terminal.wait() == 0
        assert stat.S_IMODE((state / "connect_history").stat().st_mode) == 0o600

    def test_no_place_for_a_history(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with echo() as server:
            terminal = Terminal("connect", server.ws, XDG_STATE_HOME=str(tmp_path / "file"))
            terminal.wait_for_editor()
            terminal.type("one\n\x04")
            assert terminal.wait() == 0
        assert b"text    3 bytes: one" in terminal.plain

    def test_a_line_is_edited(self) -> None:
        with echo() as server:
            terminal = Terminal("connect", server.ws)
            terminal.wait_for_editor()
            terminal.type("orld\x01w\n")
            terminal.wait_for("text    5 bytes: world")
            terminal.wait_for_editor()
            terminal.type("\x04")
            assert terminal.wait() == 0


class TestHint:
    def test_the_doctor_is_named_at_a_terminal(self) -> None:
        with deaf_port() as port:
            terminal = Terminal("connect", f"ws://{HOST}:{port}/")
            assert terminal.wait() == 1
        assert b"edgews doctor" in terminal.plain


class TestEnds:
    def test_wrong_frame_from_the_server(self) -> None:
        def peer(raw: Raw) -> None:
            accept(raw)
            raw.send(wire.frame(wire.TEXT, b"masked"))
            assert raw.read_frame()
            raw.read_until_gone()

        with Listener(peer) as listener:
            done = run("connect", listener.uri)
        assert done.returncode == 1
        assert b"closed with 1006" in done.stderr
        assert b"cause: protocol error: " in done.stderr
        assert "RFC 6455 §5.1".encode() in done.stderr

    def test_reset(self) -> None:
        def peer(raw: Raw) -> None:
            accept(raw)
            raw.reset()

        with Listener(peer) as listener:
            done = run("connect", listener.uri)
        assert done.returncode == 1
        assert b"cause: peer vanished" in done.stderr

    def test_message_too_big(self) -> None:
        with echo() as server:
            done = run("connect", "--max-size", "10", server.ws, input=b"x" * 11 + b"\n")
        assert done.returncode == 1
        assert b"cause: message too big" in done.stderr


class TestNoConnection:
    def test_bad_uri(self) -> None:
        done = run("connect", "http://example.com/")
        assert done.returncode == 2
        assert b"must begin with ws:// or wss://" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_refused_port(self) -> None:
        with deaf_port() as port:
            done = run("connect", f"ws://{HOST}:{port}/")
        assert done.returncode == 1
        assert b"connection refused: no server listens there" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_no_such_host(self) -> None:
        done = run("connect", "ws://host.invalid/")
        assert done.returncode == 1
        assert b"there is no such host" in done.stderr

    def test_certificate_that_is_not_trusted(self) -> None:
        with running(echo_handler, ssl=server_context()) as server:
            done = run("connect", uri(server, scheme="wss"))
        assert done.returncode == 1
        assert b"certificate is not acceptable: unable to get local issuer certificate" in done.stderr
        assert b"SSL_CERT_FILE" in done.stderr

    def test_certificate_that_is_trusted(self, tmp_path: Path) -> None:
        authority = tmp_path / "authority.pem"
        AUTHORITY.cert_pem.write_to_path(str(authority))
        with running(echo_handler, ssl=server_context()) as server:
            done = run("connect", uri(server, scheme="wss"), input=b"hi\n", SSL_CERT_FILE=str(authority))
            assert b"text    2 bytes: hi" in done.stdout
            assert done.returncode == 0
            wrong = run(
                "connect",
                uri(server, scheme="wss").replace(HOST, "localhost"),
                SSL_CERT_FILE=str(authority),
            )
        assert wrong.returncode == 1
        assert b"Hostname mismatch" in wrong.stderr

    def test_no_tls_there(self) -> None:
        with echo() as server:
            done = run("connect", server.ws.replace("ws:", "wss:"))
        assert done.returncode == 1
        assert b"does not speak TLS there" in done.stderr

    def test_refused_by_http(self) -> None:
        answer = Response(403, Headers({"X-Edgews-Ray": "fa92758e958bfe85"}), b"only for members\x1b[0m\n")
        with running(echo_handler, process_request=lambda request: answer) as server:
            done = run("connect", uri(server))
        assert done.returncode == 1
        assert b"the server answered 403" in done.stderr
        assert b"only for members\\x1b[0m" in done.stderr
        assert b"edgews doctor --ray fa92758e958bfe85" in done.stderr

    def test_the_header_at_fault_is_named(self) -> None:
        def peer(raw: Raw) -> None:
            raw.read_head()
            raw.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            raw.read_until_gone()

        with Listener(peer) as listener:
            done = run("connect", listener.uri)
        assert done.returncode == 1
        assert b"Sec-WebSocket-Accept" in done.stderr

    def test_no_answer_in_time(self) -> None:
        with Listener(lambda raw: raw.read_until_gone()) as listener:
            done = run("connect", "--timeout", "0.2", listener.uri)
        assert done.returncode == 1
        assert b"no answer in time" in done.stderr


class TestDescribe:
    @pytest.mark.parametrize(
        ("message", "line"),
        [
            ("hello", "text    5 bytes: hello"),
            ("", "text    0 bytes: "),
            ("wörld", "text    6 bytes: wörld"),
            ("a\nb\x1b[2J\x9b", "text    9 bytes: a\\nb\\x1b[2J\\x9b"),
            (b"", "binary  0 bytes: "),
            (b"\x00\xff", "binary  2 bytes: 00 ff"),
            (bytes(33), "binary  33 bytes: " + " ".join(["00"] * 32) + " ..."),
        ],
    )
    def test_line(self, message: str | bytes, line: str) -> None:
        assert "".join(text for text, _ in describe(message, cut=False)) == line

    def test_nothing_that_a_terminal_obeys(self) -> None:
        everything = "".join(map(chr, range(0xD800))) + "\u202e\U000e0001"
        assert shown(everything).isprintable()


def test_deflate_is_offered() -> None:
    with running(echo_handler, compression=PerMessageDeflate()) as server:
        assert b"with permessage-deflate" in run("connect", "--deflate", uri(server)).stderr
        assert b"permessage-deflate" not in run("connect", uri(server)).stderr
