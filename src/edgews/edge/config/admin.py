"""The table `[admin]`: where the live page and the metrics are, and who may see them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, Protocol

from pydantic import Field

from .positions import Path as KeyPath
from .values import Address, Host, Table, parse_address

# A token that is shorter can be guessed.
MIN_TOKEN: Final = 16


class Admin(Table):
    """Where the live page and the metrics are."""

    address: Address
    certificate: str | None = None
    key: str | None = None
    token_file: str | None = None
    token_env: Annotated[str, Field(min_length=1)] | None = None
    hosts: list[Host] = Field(default_factory=list)

    @property
    def secret(self) -> bool:
        """Whether a token has to be shown."""
        return self.token_file is not None or self.token_env is not None


def is_local(address: str) -> bool:
    """Say whether only this machine gets to an address: it is a loopback address or a Unix socket."""
    parsed = parse_address(address)
    if isinstance(parsed, str) or parsed[0] == "localhost":
        return True
    try:
        return ipaddress.ip_address(parsed[0]).is_loopback
    except ValueError:
        return False


class Certified(Protocol):
    """What may speak TLS."""

    @property
    def certificate(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...


def half_a_certificate(table: Certified, path: KeyPath) -> list[tuple[KeyPath, str]]:
    """Return what is wrong with a table that has a certificate or a key alone."""
    return [
        ((*path, one), f"{other} beside it: TLS needs both")
        for one, other in (("certificate", "key"), ("key", "certificate"))
        if getattr(table, one) is not None and getattr(table, other) is None
    ]


def contradictions(admin: Admin, listening: set[str]) -> list[tuple[KeyPath, str]]:
    """Return what is wrong although each value for itself is right.

    Args:
        listening: the addresses for everyone.
    """
    found: list[tuple[KeyPath, str]] = []
    if not is_local(admin.address) and not admin.secret:
        wish = "a loopback address or a Unix socket, or token_file or token_env beside it"
        found.append((("admin", "address"), wish))
    if admin.token_file is not None and admin.token_env is not None:
        found.append((("admin", "token_env"), "token_file or token_env, not both"))
    found += half_a_certificate(admin, ("admin",))
    if admin.address in listening and admin.address.rpartition(":")[2] != "0":
        found.append((("admin", "address"), "another address than those that are for everyone"))
    return found
