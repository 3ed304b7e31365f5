"""What processes of a gateway are made of: the log's file, descriptors, and where a configuration is from."""

from __future__ import annotations

import os
import resource
import sys
import threading
from dataclasses import asdict

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import check_values
from edgews.edge.process.logfile import LogFile, check_log, open_log
from edgews.edge.process.loops import loop_factory
from edgews.edge.process.resources import raise_limit, shortage, worker_count
from edgews.edge.process.source import Source, read_source

BASE = {"listen": [{"address": ":0"}], "route": [{"origins": ["ws://a"]}]}


def config(**values):
    return check_values({**BASE, **values}, "", "x.toml")


def test_writers_of_a_log_do_not_cut_each_others_lines(tmp_path):
    path = str(tmp_path / "log")
    logs = [LogFile(path) for _ in range(4)]

    def write(number: int) -> None:
        for size in range(200):
            logs[number].write(str(number) * (size * 50 + 1) + "\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.flush()
        log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 800
    assert all(line == line[0] * len(line) for line in lines)


def test_a_line_that_was_cut_spoils_no_other(tmp_path):
    log = LogFile(str(tmp_path / "log"))
    log.write("one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, before[1]))
    try:
        for line in ("two, which is longer\n", "three\n"):
            with pytest.raises(OSError, match="large"):
                log.write(line)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write("four\n")
    log.write("five\n")
    log.close()
    assert (tmp_path / "log").read_text() == "one\ntwo\nfour\nfive\n"


def test_a_log_that_is_moved_away(tmp_path):
    log = LogFile(str(tmp_path / "log"))
    log.write("one\n")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.write("two\n")
    log.reopen()
    log.write("three\n")
    (tmp_path / "log").unlink()
    (tmp_path / "log").mkdir()
    with pytest.raises(OSError, match="directory"):
        log.reopen()
    # The one from before still takes what comes.
    log.write("four\n")
    log.close()
    assert (tmp_path / "log.1").read_text() == "one\ntwo\n"


def test_whether_a_log_could_be_opened(tmp_path):
    for where in ("-", "off", str(tmp_path / "new")):
        check_log(where)
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").write_text("")
    check_log(str(tmp_path / "old"))
    for where, says in ((tmp_path, "directory"), (tmp_path / "none" / "x", "No such")):
        with pytest.raises(OSError, match=says):
            check_log(str(where))


def test_where_a_log_goes():
    assert open_log("off") is None
    assert open_log("-") is sys.stdout


def test_loops(monkeypatch):
    assert loop_factory("asyncio")[0] == "asyncio"
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory("auto")[0] == "asyncio"
    assert loop_factory("uvloop") is None


def test_workers_and_cores():
    assert worker_count(config(workers=3)) == 3
    assert worker_count(config(workers="auto")) == len(os.sched_getaffinity(0))


def test_descriptors():
    # As many connections that are not open may have one each.
    limited = config(max_connections=1000, max_opening=100)
    assert shortage(limited, 1, 2164) is None
    assert shortage(limited, 2, 1164) is None
    assert shortage(limited, 1, resource.RLIM_INFINITY) is None
    text = shortage(limited, 2, 1163)
    assert text is not None
    assert "needs 1164 descriptors in each process, and the system allows 1163" in text
    assert "from about 998 connections on" in text
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_configuration_goes_from_process_to_process(tmp_path):
    file = tmp_path / "x.toml"
    file.write_text("[[listen]]\naddress = ':0'\n[[route]]\norigins = ['ws://a']\n")
    source = read_source(file)
    there = Source(**asdict(source))
    assert there.config().file == str(file)
    # What has been read is what counts, until it is read again.
    file.write_text("nonsense")
    assert there.config().listen[0].address == ":0"
    with pytest.raises(ConfigError, match="TOML"):
        there.again().config()
    values = Source("edgews proxy", values=BASE)
    assert values.again() is values
    assert values.config().file == "edgews proxy"
