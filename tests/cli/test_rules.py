"""`edgews rules test` as a user runs it: with the page's own example."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgews.edge.policy.tokens import Claims, Key, make
from tests.cli.process import run

pytestmark = pytest.mark.edge

PAGE = (Path(__file__).parents[2] / "docs/rules.md").read_text(encoding="utf-8")
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "edgews.toml").write_text(example)
    return tmp_path


def ask(files: Path, request: object, *options: str, secret: str = SECRET):
    file = files / "request.json"
    file.write_text(request if isinstance(request, str) else json.dumps(request))
    arguments = ("rules", "test", str(file), "-c", str(files / "edgews.toml"), *options)
    done = run(*arguments, EDGEWS_TOKEN_SECRET=secret)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_what_the_page_shows(files: Path) -> None:
    (shown,) = re.findall(r"```console\n\$ cat request.json\n(.*?)```", PAGE, re.DOTALL)
    request, _, output = shown.partition("\n")
    assert ask(files, request) == (1, output.partition("\n")[2], "")


def test_who_is_let_in_and_who_is_not(files: Path) -> None:
    members = {"uri": "/chat/members/1", "headers": {"Host": "h"}, "time": 1000}
    code, output, _ = ask(files, members)
    assert code == 1
    assert "401, by the rule members only: A token is needed: there is no token" in output
    token = make(Key("2026", SECRET.encode()), Claims(2000))
    code, output, errors = ask(files, {**members, "uri": f"/chat/members/1?token={token}"})
    assert (code, errors) == (0, "")
    assert output.splitlines()[-1] == "allowed: to the route chat"
    assert token not in output


def test_a_message_as_json(files: Path) -> None:
    request = {"uri": "/chat", "message": {"text": "hello"}, "headers": {"User-Agent": "x"}}
    code, output, _ = ask(files, request, "--json")
    report = json.loads(output)
    assert code == 0
    assert report["allowed"] is True
    assert (report["route"], report["path"], report["matched"]) == ("chat", "/chat", ["attempts"])
    assert report["message"] == {
        "fate": "passes",
        "rule": None,
        "matched": ["not too much"],
        "explanation": ["not too much (rate_limit) matches"],
    }
    code, output, _ = ask(files, {"uri": "/chat/..;/x"}, "--json")
    assert code == 1
    assert json.loads(output)["answer"]["status"] == 400
    code, output, _ = ask(files, {"uri": "/elsewhere"}, "--json")
    assert code == 1
    assert json.loads(output)["answer"] == {"status": 404, "text": "No route leads there"}


def test_messages_that_do_not_pass(files: Path) -> None:
    config = files / "edgews.toml"
    config.write_text(
        """
listen = [{ address = ":80" }]
route = [{ name = "r", origins = ["ws://a"] }]
[[rule]]
name = "long"
on = "message"
expression = "message.size > 5"
action = "close"
code = 4000
reason = "long"
[[rule]]
name = "bad"
on = "message"
expression = "message.text == 'bad'"
action = "drop"
"""
    )
    for text, code, last in (
        ("a secret", 1, "the message closes the connection with 4000 (long), by the rule long"),
        ("bad", 1, "the message is dropped, by the rule bad"),
        ("good", 0, "the message passes"),
    ):
        done, output, _ = ask(files, {"uri": "/", "message": {"text": text}})
        assert (done, output.splitlines()[-1]) == (code, last)
        assert "no rule is asked about the request" in output
        assert "secret" not in output


def test_what_is_wrong_is_said(files: Path) -> None:
    code, output, errors = ask(files, {"url": "/"})
    assert (code, output) == (2, "")
    assert "request.json: uri: this key is missing" in errors
    assert "request.json: url: no such key here" in errors
    code, _, errors = ask(files, {"uri": "/"}, secret="short")
    assert code == 2
    assert re.search(
        r"edgews.toml:\d+: token_key\[0\].secret_env: a secret of 32 bytes or more there", errors
    )
    done = run("rules", "test", str(files / "none.json"), "-c", str(files / "none.toml"))
    assert (done.returncode, b"none.toml: cannot be read" in done.stderr) == (2, True)
    assert b"none.json: cannot be read" in done.stderr


def test_without_pydantic() -> None:
    done = run("rules", "test", "x.json", hide=("pydantic",))
    assert done.returncode == 2
    assert b"pip install 'edgews[edge]'" in done.stderr
