"""Countries and networks of clients, from databases that the test writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgews.edge.config.faults import ConfigError
from edgews.edge.config.file import check_values
from edgews.edge.gateway.geo import Databases
from tests.edge.databases import countries, numbers, write


def databases(**files: str) -> Databases:
    values: dict[str, Any] = {"listen": [{"address": ":80"}], "route": [{"origins": ["ws://a"]}]}
    return Databases(check_values({**values, **files}, "", "x.toml"))


def test_what_is_known_of_an_address(tmp_path: Path) -> None:
    found = databases(
        country_database=countries(tmp_path / "c.mmdb", {"192.0.2.0/24": "DE", "2001:db8::/32": "AQ"}),
        asn_database=numbers(tmp_path / "a.mmdb", {"192.0.2.0/25": 64496}),
    )
    assert [found.country(address) for address in ("192.0.2.1", "2001:db8::1", "198.51.100.1", None)] == [
        "DE",
        "AQ",
        None,
        None,
    ]
    assert [found.asn(address) for address in ("192.0.2.1", "192.0.2.200", "::1")] == [64496, None, None]


def test_without_databases_nothing_is_known() -> None:
    found = databases()
    assert found.country("192.0.2.1") is None
    assert found.asn("192.0.2.1") is None


def test_records_that_are_none(tmp_path: Path) -> None:
    entries = {
        "192.0.2.0/26": {"country": "DE", "autonomous_system_number": "x"},
        "192.0.2.64/26": {"country": {"iso_code": 7}},
        "192.0.2.128/26": {},
        "192.0.2.192/26": "text",
    }
    file = write(tmp_path / "x.mmdb", entries, version=4)
    found = databases(country_database=file, asn_database=file)
    for address in ("192.0.2.1", "192.0.2.65", "192.0.2.129", "192.0.2.193", "2001:db8::1"):
        assert found.country(address) is None
        assert found.asn(address) is None


def test_all_files_that_are_no_databases(tmp_path: Path) -> None:
    file = tmp_path / "x.mmdb"
    file.write_bytes(b"no database")
    with pytest.raises(ConfigError) as caught:
        databases(country_database=str(file), asn_database=str(tmp_path / "none"))
    assert [(fault.key, fault.expected) for fault in caught.value.faults] == [
        ("country_database", "a database in MaxMind's format"),
        ("asn_database", "a file that can be read: No such file or directory"),
    ]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(ConfigError, match=r"country_database: the package maxminddb: pip install"):
        databases(country_database="x")
