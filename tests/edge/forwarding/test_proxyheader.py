"""PROXY headers: what a peer says about its client, and everything that is no such header."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgews.edge.forwarding.proxyheader import (
    MAX_BLOCK,
    MAX_LINE,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
    crc32c,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
OWN = ProxyHeader(known=False)
ports = st.integers(0, 0xFFFF)
addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
# Any type but that of a checksum.
extensions = st.lists(st.tuples(st.integers(4, 255), st.binary(max_size=40)), max_size=4)


def read(data: bytes) -> tuple[ProxyHeader | None, int]:
    reader = ProxyHeaderReader()
    taken = reader.feed(data)
    return reader.header, taken


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block)) + block


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + struct.pack("!H", len(value)) + value


def line(source, destination, one: int, other: int) -> bytes:
    return f"PROXY TCP{source.version} {source} {destination} {one} {other}\r\n".encode()


def binary(source, destination, one: int, other: int, more: bytes = b"") -> bytes:
    block = source.packed + destination.packed + struct.pack("!HH", one, other)
    return v2(0x21, 0x11 if source.version == 4 else 0x21, block + more)


def with_checksum(source, destination, more: bytes) -> bytes:
    """A header whose last extension is its checksum, by the definition of a CRC: polynomial division."""
    header = binary(source, destination, 1, 2, more + tlv(3, bytes(4)))
    remainder = 0xFFFFFFFF
    for byte in header:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return header[:-4] + struct.pack("!I", remainder ^ 0xFFFFFFFF)


@given(addresses, ports, ports, extensions, st.binary(max_size=50), st.data())
def test_any_header_in_any_pieces(pair, one, other, more, behind, data):
    """It is read to its last byte, and not further, however it comes."""
    tail = b"".join(tlv(kind, value) for kind, value in more)
    header = data.draw(
        st.sampled_from(
            [line(*pair, one, other), binary(*pair, one, other, tail), with_checksum(*pair, tail)]
        )
    )
    stream = header + behind
    reader, taken = ProxyHeaderReader(), 0
    while reader.header is None:
        # What was not taken stays in the socket, and is seen again.
        piece = stream[taken : taken + data.draw(st.integers(1, 64))]
        taken += reader.feed(piece)
    assert taken == len(header)
    assert reader.header == ProxyHeader(known=True, address=str(pair[0]))


@given(
    st.binary(max_size=64),
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]),
)
def test_anything_else_is_refused_or_waited_for(data, start):
    reader = ProxyHeaderReader()
    try:
        taken = reader.feed(start + data)
    except ProxyHeaderError:
        return
    assert taken <= len(start + data)
    assert (taken == len(start + data)) or reader.header is not None


@given(st.ip_addresses(v=4), st.binary(min_size=1, max_size=40), st.data())
def test_a_wrong_checksum(source, value, data):
    right = bytearray(with_checksum(source, source, tlv(4, value)))
    # Anywhere but in lengths and types.
    at = data.draw(
        st.sampled_from([*range(16, 28), *range(31, 31 + len(value)), *range(len(right) - 4, len(right))])
    )
    right[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ProxyHeaderError, match="checksum"):
        read(bytes(right))


def test_the_checksum_of_the_standard():
    # RFC 3720 §B.4.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n",
        b"PROXY UNKNOWN and more\r\n",
        v2(0x20, 0x00, b""),
        v2(0x20, 0x77, b"anything"),
        v2(0x21, 0x00, b"anything"),
    ],
)
def test_a_peer_that_speaks_for_itself(data):
    assert read(data + b"GET") == (OWN, len(data))


def test_a_client_on_a_unix_socket():
    data = v2(0x21, 0x31, b"/run/client".ljust(108, b"\0") + b"/run/proxy".ljust(108, b"\0"))
    assert read(data) == (ProxyHeader(known=True, address=None), len(data))


def test_the_longest_headers():
    longest = b"PROXY UNKNOWN " + b"x" * (MAX_LINE - 16) + b"\r\n"
    assert len(longest) == MAX_LINE
    assert read(longest) == (OWN, MAX_LINE)
    with pytest.raises(ProxyHeaderError, match="more than 107"):
        read(longest[:-2] + b"x\r\n")
    assert read(v2(0x20, 0, bytes(MAX_BLOCK)))[0] == OWN
    with pytest.raises(ProxyHeaderError, match="more than 4112"):
        read(v2(0x20, 0, bytes(MAX_BLOCK + 1))[:16])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"GET / HTTP/1.1\r\n", "does not begin"),
        (b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "does not begin"),
        (b"PROXY\tTCP4 1.2.3.4 1.2.3.4 1 2\r\n", "does not begin"),
        (b"\r\n\r\nGET", "does not begin"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "CR and LF"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.\xb2 1 2\r\n", "ASCII"),
        (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "TCP4 or TCP6"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "two ports"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "two ports"),
        (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "two ports"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "port"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "port"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "port"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "two ports"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.256 1 2\r\n", "address"),
        (b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", "address"),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", "address"),
        (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "address"),
        (b"PROXY TCP6 fe80::1%eth0 fe80::1 1 2\r\n", "address"),
        (v2(0x11, 0x11, bytes(12)), "version or command"),
        (v2(0x22, 0x11, bytes(12)), "version or command"),
        (v2(0x21, 0x12, bytes(12)), "family"),
        (v2(0x21, 0x41, bytes(12)), "family"),
        (v2(0x21, 0x11, bytes(11)), "too short"),
        (v2(0x21, 0x21, bytes(35)), "too short"),
        (v2(0x21, 0x31, bytes(215)), "too short"),
        (v2(0x21, 0x11, bytes(12) + b"\x04"), "within an extension"),
        (v2(0x21, 0x11, bytes(12) + b"\x04\0"), "within an extension"),
        (v2(0x21, 0x11, bytes(12) + b"\x04\0\x01"), "within an extension"),
        (v2(0x21, 0x11, bytes(12) + tlv(3, b"")), "checksum"),
        (v2(0x21, 0x11, bytes(12) + tlv(3, bytes(4))), "checksum"),
    ],
)
def test_what_is_no_header(data, fault):
    with pytest.raises(ProxyHeaderError, match=fault):
        read(data)


@given(st.ip_addresses(v=6))
@example(ipaddress.IPv6Address("::ffff:192.0.2.1"))
def test_addresses_are_written_in_one_way(address):
    exploded = f"PROXY TCP6 {address.exploded} ::1 1 2\r\n".encode()
    assert read(exploded)[0] == ProxyHeader(known=True, address=str(address))
