"""Requests to try rules on: what a file may say, and what is said about one that may not be used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.trial import MessageTable, Trial, load_trial, parse_trial
from edgews.edge.forwarding.headers import Peer
from edgews.edge.policy.actions import Sender
from edgews.edge.policy.fields import MessageFacts
from edgews.events import Request
from edgews.headers import Headers


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_trial(text, "r.json")
    return caught.value.lines()


def test_a_request() -> None:
    trial = parse_trial(
        json.dumps(
            {
                "uri": "/chat?a=1",
                "method": "POST",
                "headers": {"Host": "h", "Cookie": ["a=1", "b=2"]},
                "peer": None,
                "tls": True,
                "country": "DE",
                "asn": 1,
                "time": 5,
                "message": {"text": "é", "messages": 3, "age": 2, "sender": "origin"},
            }
        ),
        "r.json",
    )
    fields = Headers([("Host", "h"), ("Cookie", "a=1"), ("Cookie", "b=2")])
    assert trial.request() == Request("POST", "/chat?a=1", fields)
    assert trial.from_peer("ray") == Peer(None, True, "ray")
    assert (trial.country, trial.asn, trial.time) == ("DE", 1, 5.0)
    assert trial.message is not None
    assert trial.message.facts() == MessageFacts("é", 2, 3, 2.0, Sender.ORIGIN)


def test_the_rest_has_a_meaning_by_itself() -> None:
    trial = parse_trial('{"uri": "/"}', "r.json")
    assert trial.request() == Request("GET", "/", Headers())
    assert trial.from_peer("ray") == Peer("127.0.0.1", False, "ray")
    assert MessageTable().facts() == MessageFacts(b"", 0, 1, 0.0)
    assert MessageTable(size=7).facts() == MessageFacts(b"", 7, 1, 0.0)
    assert MessageTable(text="a", size=7).facts() == MessageFacts("a", 7, 1, 0.0)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["r.json:1: JSON: Expecting value"]),
        ("{\n1", ["r.json:2: JSON: Expecting property name enclosed in double quotes"]),
        ("[" * 100_000, ["r.json: JSON: too deep, or a number that is too long"]),
        (r'{"uri": "/", "message": {"text": "\ud800"}}', ["r.json: JSON: half a surrogate pair is no text"]),
        (r'{"\udc00": 1}', ["r.json: JSON: half a surrogate pair is no text"]),
        ("1" * 5000, ["r.json: JSON: too deep, or a number that is too long"]),
        ("[]", ["r.json: expected a table"]),
        ("{}", ["r.json: uri: this key is missing"]),
        (
            '{"uri": "", "url": "", "tls": 1, "headers": 1}',
            [
                "r.json: uri: expected a text that is not empty",
                "r.json: headers: expected a table",
                "r.json: tls: expected true or false",
                f"r.json: url: no such key here; known are {', '.join(Trial.model_fields)}",
            ],
        ),
        (
            '{"uri": "/", "peer": "x", "headers": {"A": [1], "B": 2}, "message": {"txt": 1, "messages": 0}}',
            [
                "r.json: headers.A[0]: expected a string",
                "r.json: headers.B: expected a list",
                "r.json: peer: expected an address of IPv4 or IPv6, or null",
                "r.json: message.messages: expected 1 or more",
                "r.json: message.txt: no such key here; did you mean text? "
                f"Known are {', '.join(MessageTable.model_fields)}",
            ],
        ),
        (
            '{"uri": "/", "headers": {"A b": "c"}}',
            ["r.json: headers: expected header fields that may be sent"],
        ),
    ],
)
def test_faults(text: str, lines: list[str]) -> None:
    assert faults(text) == lines


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Trial.model_fields, *MessageTable.model_fields, "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(values)
def test_any_json_is_a_request_or_an_error(value: Any) -> None:
    failure: ConfigError | None = None
    try:
        parse_trial(json.dumps(value), "r.json").request()
    except ConfigError as error:
        failure = error
    assert failure is None or failure.faults


def test_files(tmp_path) -> None:
    path = tmp_path / "r.json"
    path.write_text('{"uri": "/é"}', encoding="utf-8")
    assert load_trial(path).uri == "/é"
    path.write_bytes(b"{\n\xe9")
    with pytest.raises(ConfigError, match=r"r.json:2: JSON is written in UTF-8"):
        load_trial(path)
    with pytest.raises(ConfigError, match=r"none.json: cannot be read: No such file"):
        load_trial(tmp_path / "none.json")
