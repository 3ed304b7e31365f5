"""Who has to send a PROXY header."""

from __future__ import annotations

import pytest

from edgews.edge.forwarding.proxypeers import ProxyPeers


@pytest.mark.parametrize(
    ("peers", "address", "has_to"),
    [
        ([], "10.0.0.1", False),
        ([], None, False),
        (["10.0.0.0/8"], "10.0.0.1", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["10.0.0.0/8"], None, False),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["unix"], None, True),
        (["unix"], "10.0.0.1", False),
        (["unix", "fe80::/10"], "fe80::1%eth0", True),
        (["::/0"], "not an address", False),
    ],
)
def test_who_has_to(peers, address, has_to):
    assert (address in ProxyPeers(peers)) is has_to
