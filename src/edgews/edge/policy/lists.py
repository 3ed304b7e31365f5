"""Lists that rules ask for by name: of networks, or of texts.

A list of networks answers in one look for each length of a prefix that it has, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import TypeAlias

Address: TypeAlias = "IPv4Address | IPv6Address"
Network: TypeAlias = "IPv4Network | IPv6Network"

_WIDTH = {4: 32, 6: 128}
# Bits in front of an address of IPv4 that is mapped into IPv6. RFC 4291 §2.5.5.2.
_MAPPED = 96


class ListError(ValueError):
    """A list that cannot be read: `line` counts from 1, and is 0 where there are no lines."""

    def __init__(self, name: str, line: int, problem: str) -> None:
        super().__init__(f"list {name}, line {line}: {problem}" if line else f"list {name}: {problem}")
        self.name = name
        self.line = line
        self.problem = problem


def parse_address(text: str) -> Address | None:
    """Return an address, None if `text` is none; an IPv4 address mapped into IPv6 is the former."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A zone is good on one machine only.
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def parse_network(text: str) -> Network:
    """Return a network; one of IPv4 mapped into IPv6 is the former, as its addresses are.

    Raises:
        ValueError: it is none, or has bits set behind its prefix.
    """
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), network.prefixlen - _MAPPED))
    return network


# Several rules ask about the same address, one after the other; to read it costs as much as they do.
cached_address = lru_cache(maxsize=256)(parse_address)


@lru_cache(maxsize=1024)
def client_group(address: str | None) -> str:
    """Return what a client is counted by: its address, or its network of IPv6, for a host has a whole one.

    Without an address it is empty. RFC 6177.
    """
    parsed = None if address is None else parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
    return "" if parsed is None else str(parsed)


class Networks:
    """A set of networks, or of addresses, which are networks of one."""

    __slots__ = ("_prefixes", "_size")

    def __init__(self, networks: Iterable[str | Network] = ()) -> None:
        """Take networks like `10.0.0.0/8` or `2001:db8::1`; one of IPv4 mapped into IPv6 is the former.

        Raises:
            ValueError: one is none, or has bits set behind its prefix.
        """
        # For each version, the prefixes by how many bits follow them.
        self._prefixes: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        self._size = 0
        for one in networks:
            network = parse_network(one) if isinstance(one, str) else one
            host_bits = _WIDTH[network.version] - network.prefixlen
            prefixes = self._prefixes[network.version].setdefault(host_bits, set())
            prefixes.add(int(network.network_address) >> host_bits)
            self._size += 1

    def __len__(self) -> int:
        return self._size

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, IPv4Address | IPv6Address):
            return False
        number = int(address)
        prefixes = self._prefixes[address.version]
        return any(number >> host_bits in known for host_bits, known in prefixes.items())


@dataclass(frozen=True, slots=True)
class NetworkList:
    """Networks, by `ip.src in $name`."""

    networks: Networks

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and cached_address(value) in self.networks


@dataclass(frozen=True, slots=True)
class TextList:
    """Texts, compared as they are, by `http.host in $name`."""

    texts: frozenset[str]

    def __contains__(self, value: object) -> bool:
        return value in self.texts


List: TypeAlias = "NetworkList | TextList"
Lists: TypeAlias = "Mapping[str, List]"
NO_LISTS: Lists = MappingProxyType({})


def read_networks(name: str, text: str) -> NetworkList:
    """Read the text of a file: one network or address a line, `#` begins a comment.

    Raises:
        ListError: a line is none, or has bits set behind its prefix.
    """
    networks: list[Network] = []
    for number, entry in _lines(text):
        try:
            networks.append(parse_network(entry))
        except ValueError as error:
            raise ListError(name, number, str(error)) from None
    return NetworkList(Networks(networks))


def read_texts(name: str, text: str) -> TextList:
    """Read the text of a file: one a line, without the space around it; `#` at its beginning is a comment.

    Raises:
        ListError: a line has a control character.
    """
    texts: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry.isprintable():
            raise ListError(name, number, f"{entry!r} has a character that cannot be printed")
        if entry and not entry.startswith("#"):
            texts.add(entry)
    return TextList(frozenset(texts))


def _lines(text: str) -> Iterable[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if entry := line.partition("#")[0].strip():
            yield number, entry
