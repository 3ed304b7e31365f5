"""What TLS needs of the files that a configuration names."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from edgews.edge.config.admin import Certified
from edgews.edge.config.faults import ConfigError, Fault
from edgews.edge.config.tables import Config, Route


@dataclass(slots=True, frozen=True)
class Contexts:
    """The contexts of each listener, by its address, and of each route, in order; None without TLS.

    `admin` is the admin address's.
    """

    listen: dict[str, ssl.SSLContext | None]
    route: list[ssl.SSLContext | None]
    admin: ssl.SSLContext | None


def contexts(config: Config) -> Contexts:
    """Load all certificates.

    Raises:
        ConfigError: some cannot be used; all of them are named.
    """
    faults: list[Fault] = []
    listen: dict[str, ssl.SSLContext | None] = {}
    route: list[ssl.SSLContext | None] = []
    for at, listener in enumerate(config.listen):
        try:
            listen[listener.address] = _server(listener)
        except OSError as error:
            faults.append(config.fault(("listen", at, _at_fault(listener)), _unusable(error)))
    for at, entry in enumerate(config.route):
        try:
            route.append(_client(entry))
        except OSError as error:
            faults.append(config.fault(("route", at, "ca"), _unusable(error)))
    admin: ssl.SSLContext | None = None
    try:
        admin = of_admin(config)
    except ConfigError as error:
        faults += error.faults
    if faults:
        raise ConfigError(config.file, faults)
    return Contexts(listen, route, admin)


def of_admin(config: Config) -> ssl.SSLContext | None:
    """Load the certificate of the admin address; None without one.

    Raises:
        ConfigError: it cannot be used.
    """
    try:
        return None if config.admin is None else _server(config.admin)
    except OSError as error:
        assert config.admin is not None
        fault = config.fault(("admin", _at_fault(config.admin)), _unusable(error))
        raise ConfigError(config.file, [fault]) from None


def load(context: ssl.SSLContext, table: Certified) -> None:
    """Read certificate and key, maybe once more: connections from now on get them.

    Raises:
        OSError: they cannot be used.
    """
    assert table.certificate is not None
    context.load_cert_chain(table.certificate, table.key, password=_no_password)


def stamps(config: Config) -> list[tuple[str, int, int, int]]:
    """Return what changes with the files of the certificates."""
    found = []
    tables: list[Certified] = [*config.listen, *([] if config.admin is None else [config.admin])]
    for table in tables:
        for name in (table.certificate, table.key):
            if name is not None:
                with suppress(OSError):
                    status = os.stat(name)
                    found.append((name, status.st_ino, status.st_mtime_ns, status.st_size))
    return found


def _no_password() -> str:
    # Without it OpenSSL would ask at the terminal.
    raise OSError("the key is encrypted")


def _server(table: Certified) -> ssl.SSLContext | None:
    if table.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load(context, table)
    return context


def _client(route: Route) -> ssl.SSLContext | None:
    if not any(origin.secure for origin in route.parsed_origins()):
        return None
    context = ssl.create_default_context(cafile=route.ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _at_fault(table: Certified) -> str:
    """Return which of the two keys names a file that cannot be read; the certificate, if both can."""
    names = ((key, getattr(table, key)) for key in ("certificate", "key"))
    return next((key for key, name in names if not os.access(name, os.R_OK)), "certificate")


# What OpenSSL calls a mistake -> what that is.
_REASONS: Final = {
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
    "PEM lib": "there is no certificate, or no key, in PEM",
}


def _unusable(error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        return f"cannot be used: {error.strerror or error}"
    known = (text for name, text in _REASONS.items() if name in str(error))
    return f"cannot be used: {next(known, error.reason or error)}"
