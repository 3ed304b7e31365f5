"""Where addresses are: MaxMind's databases of countries and networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edgews.edge.config.faults import ConfigError, Fault
from edgews.edge.forwarding.entrance import Entry

if TYPE_CHECKING:
    from edgews.edge.config.tables import Config

_KEYS: Final = ("country_database", "asn_database")


class Databases:
    """The databases that a configuration names.

    Raises:
        ConfigError: one cannot be used.
    """

    __slots__ = ("_readers",)

    def __init__(self, config: Config) -> None:
        self._readers: dict[str, Any] = {}
        faults: list[Fault] = []
        for key in _KEYS:
            file = getattr(config, key)
            if file is not None:
                try:
                    self._readers[key] = _open(file)
                except _UnusableError as error:
                    faults.append(config.fault((key,), str(error)))
        if faults:
            raise ConfigError(config.file, faults)

    def locate(self, entry: Entry) -> Entry:
        """Return the request with what is known of the place of its client."""
        if not self._readers:
            return entry
        address = entry.facts.client
        facts = replace(entry.facts, country=self.country(address), asn=self.asn(address))
        return replace(entry, facts=facts)

    def country(self, address: str | None) -> str | None:
        """Return two letters, None if nobody knows."""
        found = self._look("country_database", address).get("country")
        code = found.get("iso_code") if isinstance(found, dict) else None
        return code if isinstance(code, str) else None

    def asn(self, address: str | None) -> int | None:
        """Return the number of a network, None if nobody knows."""
        number = self._look("asn_database", address).get("autonomous_system_number")
        return number if isinstance(number, int) else None

    def _look(self, key: str, address: str | None) -> dict[str, Any]:
        reader = self._readers.get(key)
        if reader is None or address is None:
            return {}
        try:
            found = reader.get(address)
        except (ValueError, RuntimeError):
            # An address of IPv6 in a database of IPv4, or a record that is damaged.
            return {}
        return found if isinstance(found, dict) else {}


class _UnusableError(Exception):
    """A database that cannot be used."""


def _open(file: str) -> Any:
    try:
        import maxminddb
    except ModuleNotFoundError:
        raise _UnusableError("the package maxminddb: pip install 'edgews[edge]'") from None
    try:
        return maxminddb.open_database(file)
    except OSError as error:
        raise _UnusableError(f"a file that can be read: {error.strerror or error}") from None
    except (maxminddb.InvalidDatabaseError, ValueError):
        raise _UnusableError("a database in MaxMind's format") from None
