"""How many processes, and where they are asked."""

from __future__ import annotations

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import check_values
from edgews.edge.config.processes import ALL_CORES, MAX_WORKERS
from edgews.edge.config.tables import Config


def config(**values: object) -> Config:
    base = {"listen": [{"address": ":0"}], "route": [{"origins": ["ws://a"]}]}
    return check_values({**base, **values}, "", "x.toml")


@pytest.mark.parametrize("workers", [1, 2, MAX_WORKERS])
def test_workers(workers):
    assert config(workers=workers).workers == workers


def test_a_worker_for_each_core():
    assert config(workers="auto").workers == ALL_CORES


@pytest.mark.parametrize("workers", [0, -1, True, 1.0, "2", "many", MAX_WORKERS + 1, [1]])
def test_what_is_no_number_of_workers(workers):
    with pytest.raises(ConfigError, match=r'^x.toml:1: workers: expected a whole number .*or "auto"$'):
        config(workers=workers)


@pytest.mark.parametrize("path", ["off", "/run/edgews/control.sock", "/" + 99 * "x"])
def test_a_control_socket(path):
    assert config(control=path).control == path


@pytest.mark.parametrize("path", ["", "control.sock", "./x", "/" + 100 * "x", "/" + 50 * "é"])
def test_what_is_no_control_socket(path):
    with pytest.raises(ConfigError, match="control: expected a path from /"):
        config(control=path)
