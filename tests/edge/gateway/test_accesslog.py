from __future__ import annotations

import io
import json

from edgews.edge.gateway import accesslog
from edgews.edge.relay.frames import scanned
from tests import wire

COMMON = {"ray": "r", "time": 1.23456, "client": "192.0.2.1", "route": "chat"}


def test_records():
    tunnel = scanned(deflate=False)
    tunnel.client.scanner.scan(wire.frame(wire.TEXT, b"hello"))
    tunnel.finish(1001, "enough", 0.0)
    assert tunnel.end is not None
    ended = accesslog.ended(**COMMON, origin="o", tunnel=tunnel, end=tunnel.end, duration=2.0)
    assert ended == {
        "event": "end",
        "time": 1.235,
        "ray": "r",
        "client": "192.0.2.1",
        "route": "chat",
        "origin": "o",
        "code": 1001,
        "by": "gateway",
        "cause": "enough",
        "messages_up": 1,
        "messages_down": 0,
        "dropped": 0,
        "bytes_up": 11,
        "bytes_down": 0,
        "duration": 2.0,
    }
    opened = accesslog.opened(**COMMON, origin="o", target="/x", host="example.com")
    assert (opened["event"], opened["target"]) == ("open", "/x")
    refused = accesslog.refused(**COMMON, status=403, cause="rule", duration=0.5)
    assert (refused["event"], refused["status"], refused["cause"]) == ("refused", 403, "rule")
    answered = accesslog.answered(
        **COMMON,
        origin="o",
        method="GET",
        target="/x",
        host="example.com",
        status=200,
        cause="",
        bytes_up=1,
        bytes_down=2,
        duration=0.5,
    )
    assert (answered["event"], answered["method"], answered["bytes_down"]) == ("request", "GET", 2)


def test_a_line_of_json_for_each_record():
    stream = io.StringIO()
    log = accesslog.AccessLog(stream)
    log.write({"a": "b\n\u2028\x1b"})
    log.write({"c": 1})
    first, second, rest = stream.getvalue().split("\n")
    assert (json.loads(first), json.loads(second), rest) == ({"a": "b\n\u2028\x1b"}, {"c": 1}, "")
    assert first.isascii()
    other = accesslog.AccessLog(None)
    other.write({"a": 1})
    assert stream.getvalue().count("\n") == 2
    other.use(stream)
    other.write({"a": 1})
    assert stream.getvalue().count("\n") == 3


def test_a_log_that_cannot_be_written_does_not_matter():
    stream = io.StringIO()
    log = accesslog.AccessLog(stream)
    stream.close()
    log.write({"a": 1})
    log.write({"a": 1})
