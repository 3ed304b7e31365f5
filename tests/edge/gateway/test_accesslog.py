from __future__ import annotations

import io
import json
from dataclasses import replace

from edgews.edge.gateway import accesslog
from edgews.edge.gateway.accesslog import Subject
from edgews.edge.relay.frames import scanned
from tests import wire

ABOUT = Subject(ray="r", client="192.0.2.1", host="example.com", target="/x", route="chat", origin="o")
COMMON = {
    "time": 1.235,
    "ray": "r",
    "client": "192.0.2.1",
    "host": "example.com",
    "target": "/x",
    "route": "chat",
    "origin": "o",
}


def test_records():
    tunnel = scanned(deflate=False)
    tunnel.client.scanner.scan(wire.frame(wire.TEXT, b"hello"))
    tunnel.finish(1001, "enough", 0.0)
    assert tunnel.end is not None
    ended = accesslog.ended(ABOUT, 1.23456, tunnel=tunnel, end=tunnel.end, duration=2.0)
    assert ended == COMMON | {
        "event": "end",
        "code": 1001,
        "by": "gateway",
        "why": "gateway",
        "cause": "enough",
        "messages_up": 1,
        "messages_down": 0,
        "dropped": 0,
        "bytes_up": 11,
        "bytes_down": 0,
        "duration": 2.0,
    }
    assert accesslog.opened(ABOUT, 1.23456) == COMMON | {"event": "open"}
    plain = accesslog.answered(
        ABOUT, 1.23456, method="GET", status=200, cause="", bytes_up=0, bytes_down=5, duration=0.5
    )
    assert plain == COMMON | {
        "event": "request",
        "method": "GET",
        "status": 200,
        "cause": "",
        "bytes_up": 0,
        "bytes_down": 5,
        "duration": 0.5,
    }
    noted = replace(ABOUT, notes=("o: refused",))
    refused = accesslog.refused(noted, 1.23456, status=400, cause="no", header="Host", duration=0.5)
    assert refused == COMMON | {
        "event": "refused",
        "notes": ["o: refused"],
        "status": 400,
        "cause": "no",
        "header": "Host",
        "duration": 0.5,
    }


def test_a_line_of_json_for_each_record():
    stream = io.StringIO()
    log = accesslog.AccessLog(stream)
    log.write({"a": "b\n\u2028\x1b"})
    log.write({"c": 1})
    first, second, rest = stream.getvalue().split("\n")
    assert (json.loads(first), json.loads(second), rest) == ({"a": "b\n\u2028\x1b"}, {"c": 1}, "")
    assert first.isascii()
    assert log.on
    other = accesslog.AccessLog(None)
    assert not other.on
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
