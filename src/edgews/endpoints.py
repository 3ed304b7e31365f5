"""Arguments of `connect` and `serve` that belong to the machine, and are the same for all adapters."""

from __future__ import annotations

import ssl as tls
from collections.abc import Mapping
from types import NoneType

from .arguments import check, check_callable, check_names, check_range, check_text
from .uri import URI


def check_client(
    uri: URI,
    *,
    ssl: object,
    server_hostname: object,
    proxy: object,
    redirects: object,
    streams: Mapping[str, object],
) -> None:
    """Make sure that what `connect` was told about TLS and proxies has a use.

    Args:
        streams: by their names, byte streams that may be used in place of the URI's host.

    Raises:
        TypeError: an argument of a wrong kind.
        ValueError: something for `wss://` with `ws://`, or two byte streams.
    """
    _check_ssl(ssl)
    check_text("server_hostname", server_hostname)
    check("proxy", proxy, (str, bool, NoneType), "the URI of a proxy, True or None")
    given = _one_of(streams)
    if uri.secure:
        return
    if server_hostname is not None:
        raise ValueError("server_hostname is for wss://, and the URI begins with ws://")
    # A redirect may lead to wss://, unless there is one stream and nothing else.
    if ssl is not None and (given or not redirects):
        raise ValueError("ssl is for wss://, and the URI begins with ws://; write wss://, or leave ssl out")


def check_server(
    handler: object, host: object, port: object, *, ssl: object, several: bool, streams: Mapping[str, object]
) -> None:
    """Make sure that what `serve` was told can be served.

    Args:
        several: there may be several hosts.
        streams: by their names, what may be listened on in place of host and port.

    Raises:
        TypeError: an argument of a wrong kind.
        ValueError: a port that is none, or two places to listen.
    """
    check_callable("handler", handler, optional=False)
    if several and not isinstance(host, (str, NoneType)):
        check_names("host", host)
    else:
        check_text("host", host)
    if port is not None:
        check_range("port", port, 0, 65535)
    _check_ssl(ssl)
    given = _one_of(streams)
    if given and (host is not None or port):
        raise ValueError(f"{given} is listened on instead of a host and port; leave these out")


def _check_ssl(ssl: object) -> None:
    check("ssl", ssl, (tls.SSLContext, NoneType), "an ssl.SSLContext or None")


def _one_of(streams: Mapping[str, object]) -> str | None:
    """Return the name of the one that is given, None if there is none."""
    given = [name for name, stream in streams.items() if stream is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are two ways; give one of them")
    return given[0] if given else None
