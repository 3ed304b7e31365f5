"""The PROXY protocol, versions 1 and 2: who the client of a proxy is, in front of everything that it sends.

https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

# The longest header of version 1, its line end included (§2.1).
MAX_LINE: Final = 107
# What may follow the 16 bytes of version 2: addresses take up to 216, the rest is extensions.
MAX_BLOCK: Final = 4096
# The longest of all.
MAX_HEADER: Final = 16 + MAX_BLOCK

_LINE: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = 16
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")
_FAMILIES_V1: Final = {"TCP4": IPv4Address, "TCP6": IPv6Address}

# Version 2: version and command in one byte, family and transport in the next (§2.2).
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_UNSPECIFIED: Final = 0x00
_TCP4: Final = 0x11
_TCP6: Final = 0x21
_UNIX: Final = 0x31
# Family and transport -> size of both addresses with their ports.
_SIZES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
_CRC32C: Final = 0x03


class ProxyHeaderError(Exception):
    """The peer does not keep to the PROXY protocol."""


@dataclass(slots=True, frozen=True)
class ProxyHeader:
    """Who the client is.

    Attributes:
        known: whether the header says so; otherwise the peer speaks for itself.
        address: None if the client is on a Unix socket, or not known.
    """

    known: bool
    address: str | None = None


_UNKNOWN: Final = ProxyHeader(known=False)


class ProxyHeaderReader:
    """Reads one header, and nothing of what comes behind it.

    Attributes:
        header: once it is complete.
    """

    def __init__(self) -> None:
        self.header: ProxyHeader | None = None
        self._buffer = b""

    def feed(self, data: bytes) -> int:
        """Take what has come; return how much of it belongs to the header.

        Raises:
            ProxyHeaderError: this is no such header.
        """
        before = len(self._buffer)
        self._buffer += data
        if _SIGNATURE.startswith(self._buffer[: len(_SIGNATURE)]):
            size = _size_v2(self._buffer)
            parse = _parse_v2
        elif _LINE.startswith(self._buffer[: len(_LINE)]):
            size = _size_v1(self._buffer)
            parse = _parse_v1
        else:
            raise ProxyHeaderError("it does not begin with a PROXY header")
        if size is None:
            return len(data)
        self.header = parse(self._buffer[:size])
        return size - before


def _size_v1(buffer: bytes) -> int | None:
    end = buffer.find(b"\n", 0, MAX_LINE)
    if end < 0:
        if len(buffer) >= MAX_LINE:
            raise ProxyHeaderError(f"a PROXY line has more than {MAX_LINE} bytes")
        return None
    return end + 1


def _parse_v1(header: bytes) -> ProxyHeader:
    """Read `PROXY TCP4 source destination port port`. §2.1."""
    if not header.endswith(b"\r\n") or not header.isascii():
        raise ProxyHeaderError("a PROXY line is ASCII, and ends with CR and LF")
    line = header[len(_LINE) : -2].decode("ascii")
    family, *fields = line.split(" ")
    if family == "UNKNOWN":
        # What else the line says is to be ignored.
        return _UNKNOWN
    kind = _FAMILIES_V1.get(family)
    if kind is None or len(fields) != 4:
        raise ProxyHeaderError("a PROXY line has UNKNOWN, or TCP4 or TCP6 with two addresses and two ports")
    if not all(_PORT.fullmatch(port) and int(port) <= 0xFFFF for port in fields[2:]):
        raise ProxyHeaderError("a PROXY line has a port that is none")
    try:
        # `%` would begin the name of an interface.
        if "%" in line:
            raise AddressValueError
        source, _ = (kind(address) for address in fields[:2])
    except AddressValueError:
        raise ProxyHeaderError("a PROXY line has an address that is none") from None
    return ProxyHeader(known=True, address=str(source))


def _size_v2(buffer: bytes) -> int | None:
    if len(buffer) < _FIXED:
        return None
    length = int.from_bytes(buffer[14:_FIXED], "big")
    if length > MAX_BLOCK:
        raise ProxyHeaderError(f"a PROXY header has more than {_FIXED + MAX_BLOCK} bytes")
    size = _FIXED + length
    return size if len(buffer) >= size else None


def _parse_v2(header: bytes) -> ProxyHeader:
    """Read the binary form. §2.2."""
    command, family = header[12], header[13]
    if command == _LOCAL:
        # The proxy's own, to see whether we are there; everything else is to be ignored.
        return _UNKNOWN
    if command != _PROXY:
        raise ProxyHeaderError("a PROXY header has a version or command that does not exist")
    if family == _UNSPECIFIED:
        return _UNKNOWN
    size = _SIZES.get(family)
    if size is None:
        raise ProxyHeaderError("a PROXY header has a family that carries no connections")
    block = header[_FIXED:]
    if len(block) < size:
        raise ProxyHeaderError("a PROXY header is too short for its addresses")
    _check_extensions(header, _FIXED + size)
    if family == _TCP4:
        return ProxyHeader(known=True, address=str(IPv4Address(block[:4])))
    if family == _TCP6:
        return ProxyHeader(known=True, address=str(IPv6Address(block[:16])))
    return ProxyHeader(known=True)


def _check_extensions(header: bytes, at: int) -> None:
    """Skip type, length and value of each; a checksum has to be right. §2.2.3."""
    while at < len(header):
        start, end = at + 3, at + 3 + int.from_bytes(header[at + 1 : at + 3], "big")
        if end > len(header) or start > len(header):
            raise ProxyHeaderError("a PROXY header ends within an extension")
        if header[at] == _CRC32C:
            # Computed with zeros in its own place.
            found = crc32c(header[:start] + bytes(end - start) + header[end:])
            if header[start:end] != found.to_bytes(4, "big"):
                raise ProxyHeaderError("a PROXY header has a wrong checksum")
        at = end


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE: Final = _table()


def crc32c(data: bytes) -> int:
    """Return the checksum of RFC 3720 §B.4, which zlib does not have."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
