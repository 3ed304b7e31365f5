from __future__ import annotations

from typing import Any

import pytest

from edgews.edge.config.admin import Admin, contradictions, is_local


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1:9901", True),
        ("127.8.9.1:1", True),
        ("[::1]:9901", True),
        ("localhost:9901", True),
        ("unix:/run/admin.sock", True),
        ("0.0.0.0:9901", False),
        (":9901", False),
        ("[::]:9901", False),
        ("192.0.2.1:9901", False),
        ("localhost.example.com:9901", False),
    ],
)
def test_who_gets_to_an_address(address: str, local: bool) -> None:
    assert is_local(address) is local
    without = contradictions(Admin(address=address), set())
    assert [path for path, _ in without] == ([] if local else [("admin", "address")])
    assert contradictions(Admin(address=address, token_env="TOKEN"), set()) == []
    assert contradictions(Admin(address=address, token_file="/token"), set()) == []


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"token_env": "A", "token_file": "/b"}, ("admin", "token_env")),
        ({"address": "127.0.0.1:80"}, ("admin", "address")),
        ({"certificate": "/c.pem"}, ("admin", "certificate")),
        ({"key": "/k.pem"}, ("admin", "key")),
    ],
)
def test_contradictions(values: dict[str, Any], path: tuple[str, ...]) -> None:
    admin = Admin(**{"address": "127.0.0.1:9901", **values})
    ((found, expected),) = contradictions(admin, {"127.0.0.1:80"})
    assert found == path
    assert expected


def test_any_free_port_is_another_one() -> None:
    assert contradictions(Admin(address="127.0.0.1:0"), {"127.0.0.1:0"}) == []
