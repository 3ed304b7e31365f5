"""What TLS needs of the files that a configuration names."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from dataclasses import dataclass

from edgews.edge.config.faults import ConfigError, Fault
from edgews.edge.config.tables import Config, Listen, Route


@dataclass(slots=True, frozen=True)
class Contexts:
    """The contexts of each listener, by its address, and of each route, in order; None without TLS."""

    listen: dict[str, ssl.SSLContext | None]
    route: list[ssl.SSLContext | None]


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
            faults.append(config.fault(("listen", at, "certificate"), _unusable(error)))
    for at, entry in enumerate(config.route):
        try:
            route.append(_client(entry))
        except OSError as error:
            faults.append(config.fault(("route", at, "ca"), _unusable(error)))
    if faults:
        raise ConfigError(config.file, faults)
    return Contexts(listen, route)


def load(context: ssl.SSLContext, listen: Listen) -> None:
    """Read certificate and key, maybe once more: connections from now on get them.

    Raises:
        OSError: they cannot be used.
    """
    assert listen.certificate is not None
    context.load_cert_chain(listen.certificate, listen.key, password=_no_password)


def stamps(config: Config) -> list[tuple[str, int, int, int]]:
    """Return what changes with the files of the listeners' certificates."""
    found = []
    for listen in config.listen:
        for name in (listen.certificate, listen.key):
            if name is not None:
                with suppress(OSError):
                    status = os.stat(name)
                    found.append((name, status.st_ino, status.st_mtime_ns, status.st_size))
    return found


def _no_password() -> str:
    # Without it OpenSSL would ask at the terminal.
    raise OSError("the key is encrypted")


def _server(listen: Listen) -> ssl.SSLContext | None:
    if listen.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load(context, listen)
    return context


def _client(route: Route) -> ssl.SSLContext | None:
    if not any(origin.secure for origin in route.parsed_origins()):
        return None
    context = ssl.create_default_context(cafile=route.ca)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _unusable(error: OSError) -> str:
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return f"cannot be used: {reason or error}"
