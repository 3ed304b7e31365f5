from __future__ import annotations

import errno
import io
import json
from dataclasses import replace

from edgews.edge.gateway import accesslog
from edgews.edge.gateway.accesslog import Subject
from edgews.edge.relay.frames import scanned
from tests import wire
from tests.edge.harness import Origin, running, tunnel

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


class Disk(io.StringIO):
    """A stream that is full for a time."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_disk_that_is_full_for_a_time(caplog):
    disk = Disk()
    log = accesslog.AccessLog(disk)
    lost = []
    for number in range(6):
        disk.full = number in (1, 2)
        lost.append(log.write({"number": number}))
    assert lost == [False, True, True, False, False, False]
    assert [json.loads(line)["number"] for line in disk.getvalue().splitlines()] == [0, 3, 4, 5]
    # Once when it begins, once when it is over.
    first, second = (record.getMessage() for record in caplog.records)
    assert "No space left on device" in first
    assert "without 2 lines" in second


def test_a_stream_that_nobody_reads_any_more(caplog):
    stream = io.StringIO()
    log = accesslog.AccessLog(stream)
    stream.close()
    assert log.write({"a": 1})
    assert not log.on
    assert not log.write({"a": 1})
    assert len(caplog.records) == 1


def test_a_gateway_goes_on_without_its_log_and_counts_what_is_missing():
    disk = Disk()
    disk.full = True
    with Origin() as origin, running(origin.uri) as gateway:
        gateway.gateway.observer.log.use(disk)
        with tunnel(gateway, origin):
            pass
    counters = gateway.gateway.observer.tally.report(0.0, {})["counters"]
    assert counters["log_lines_lost"] == [[[], 2]]
