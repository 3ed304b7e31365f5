"""Small databases in MaxMind's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def write(path: Path, entries: dict[str, Any], *, version: int = 6) -> str:
    """Write a database of networks and their records; return its name."""
    writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6, database_type="Test")
    for network, record in entries.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)


def countries(path: Path, entries: dict[str, str]) -> str:
    return write(path, {network: {"country": {"iso_code": code}} for network, code in entries.items()})


def numbers(path: Path, entries: dict[str, int]) -> str:
    return write(path, {network: {"autonomous_system_number": number} for network, number in entries.items()})
