"""Lists against the standard library: `ipaddress` for networks, a set for texts."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgews.edge.policy.lists import (
    ListError,
    NetworkList,
    Networks,
    TextList,
    client_group,
    parse_address,
    read_networks,
    read_texts,
)

# Few bits differ, so that addresses are in networks now and then.
v4 = st.integers(0, 15).map(lambda number: str(ip_address(0x0A000000 + number)))
v6 = st.integers(0, 15).map(lambda number: str(IPv6Address((0x20010DB8 << 96) + number)))
networks = st.tuples(v4, st.integers(24, 32)) | st.tuples(v6, st.integers(120, 128)) | st.just(("0.0.0.0", 0))
texts = networks.map(lambda pair: str(ip_network("/".join(map(str, pair)), strict=False)))


@given(st.lists(texts, max_size=6), v4 | v6)
def test_networks_are_those_of_the_standard_library(texts: list[str], address: str) -> None:
    wanted = any(ip_address(address) in ip_network(text) for text in texts)
    assert (ip_address(address) in Networks(texts)) is wanted
    assert (address in NetworkList(Networks(texts))) is wanted
    assert len(Networks(texts)) == len(texts)


@given(v4, st.integers(96, 128), v4)
def test_a_network_of_ipv4_mapped_into_ipv6_has_the_addresses_of_ipv4(
    base: str, prefix: int, address: str
) -> None:
    mapped = ip_network(f"::ffff:{base}/{prefix}", strict=False)
    wanted = ip_address(address) in ip_network(f"{base}/{prefix - 96}", strict=False)
    for networks in (Networks([str(mapped)]), read_networks("n", str(mapped)).networks):
        assert (address in NetworkList(networks)) is wanted
        assert (f"::ffff:{address}" in NetworkList(networks)) is wanted
    # As many addresses around it are others.
    assert address not in NetworkList(Networks(["::fffe:0:0/96"]))


@given(st.lists(texts, max_size=6), st.lists(st.sampled_from(["", "# comment", "  "]), max_size=3))
def test_a_file_of_networks(texts: list[str], rest: list[str]) -> None:
    lines = [f" {text}  # why" for text in texts]
    found = read_networks("n", "\r\n".join([*rest, *lines, *rest]))
    for text in texts:
        assert str(ip_network(text)[0]) in found


@given(st.ip_addresses())
def test_addresses_have_one_form(address: object) -> None:
    found = parse_address(str(address))
    mapped = getattr(address, "ipv4_mapped", None)
    assert found == (mapped or address)


def test_what_is_no_address() -> None:
    assert [parse_address(text) for text in ("", "a", "1.2.3", "1.2.3.4/8", "01.2.3.4")] == [None] * 5
    assert parse_address("fe80::1%eth0") == ip_address("fe80::1")
    assert parse_address("::ffff:192.0.2.1") == ip_address("192.0.2.1")
    everything = Networks(["0.0.0.0/0", "::/0"])
    assert "10.0.0.1" not in everything
    assert None not in NetworkList(everything)
    assert "x" not in NetworkList(everything)


@pytest.mark.parametrize("line", ["10.0.0.1/8", "10.0.0.0/33", "host", "10.0.0.0/8 10.1.0.0/16"])
def test_a_line_that_is_no_network(line: str) -> None:
    with pytest.raises(ListError, match=r"list office, line 3: ") as caught:
        read_networks("office", f"# ours\n10.0.0.0/8\n{line}\n")
    assert (caught.value.name, caught.value.line) == ("office", 3)
    with pytest.raises(ValueError, match=r"."):
        Networks([line])


@given(st.lists(st.text(st.sampled_from("ab #é"), max_size=4), max_size=6))
def test_a_file_of_texts(lines: list[str]) -> None:
    found = read_texts("t", "\n".join(lines))
    wanted = {line.strip() for line in lines if not line.strip().startswith("#")} - {""}
    assert found == TextList(frozenset(wanted))
    assert all(text in found for text in wanted)
    assert "" not in found


def test_a_line_that_cannot_be_printed() -> None:
    with pytest.raises(ListError, match=r"list t, line 2: .*printed"):
        read_texts("t", "a\nb\x00c")


def test_a_list_without_lines() -> None:
    assert str(ListError("t", 0, "it is a folder")) == "list t: it is a folder"


@given(st.ip_addresses())
def test_a_client_of_ipv6_is_its_network(address: IPv4Address | IPv6Address) -> None:
    group = client_group(str(address))
    network = ip_network(f"{address}/64", strict=False) if address.version == 6 else ip_network(address)
    mapped = getattr(address, "ipv4_mapped", None)
    assert group == str(mapped or (network if address.version == 6 else address))


def test_who_is_nobody() -> None:
    assert client_group(None) == client_group("x") == ""
