"""Ways through a proxy, as far as they are the same for all adapters.

The environment is read here, and the proxy's protocol is the business of `python-socks` (`edgews[proxy]`).
An adapter opens the byte stream to the proxy itself, with its own deadline, and lends it to python-socks
as a stream that has `read`, `read_exactly`, `write` and `close`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from .attempts import passing_status
from .banners import describe, is_http
from .outcomes import MissingExtraError, ProxyError
from .proxies import Proxy, ProxyKind, parse_proxy, proxy_from
from .uri import URI

Variant = Literal["async_.asyncio", "async_.trio", "sync"]

# Elsewhere the settings of the system count as well.
_ONLY_VARIABLES: Final = os.name == "posix" and sys.platform != "darwin"

# In bytes. What a proxy says before it is out of the way is a few lines.
MAX_REPLY: Final = 16384

# python-socks wants a number; the deadline is the adapter's.
NEVER: Final = 1e9

# Why a SOCKS proxy fails that may not fail the next time: in general, network or host unreachable, connection
# refused, TTL expired (RFC 1928 §6). SOCKS 4: rejected or failed, and no connection to the client's identd,
# which some say for any connection.
_PASSING_SOCKS: Final = frozenset({1, 3, 4, 5, 6, 91, 92})


def proxy_for(uri: URI, wish: str | bool | None) -> Proxy | None:
    """Return the proxy for a server, None for none.

    Args:
        uri: the server's.
        wish: a proxy's URI; True for what the environment has; None or False for none.

    Raises:
        InvalidValueError: no proxy's URI.
    """
    if isinstance(wish, str):
        return parse_proxy(wish)
    if not wish or (_ONLY_VARIABLES and not any(name[-6:].lower() == "_proxy" for name in os.environ)):
        return None
    # It brings half of the standard library with it, and is seldom needed.
    from urllib.request import getproxies, proxy_bypass

    return proxy_from(getproxies(), proxy_bypass, uri)


def tunneller(variant: Variant, proxy: Proxy, forward: Any) -> Any:
    """Return the proxy of python-socks whose `connect` goes through the stream of `forward`.

    Args:
        variant: which library it waits with.
        proxy: the proxy.
        forward: has a `connect` that returns a stream to it.

    Raises:
        MissingExtraError: python-socks is not installed.
    """
    try:
        module = importlib.import_module(f"python_socks.{variant}.v2")
        kinds = importlib.import_module("python_socks").ProxyType
    except ImportError as error:
        raise MissingExtraError(
            f"to connect through the proxy {proxy}, python-socks is needed: pip install 'edgews[proxy]'"
        ) from error
    return module.Proxy(
        kinds[proxy.kind.name],
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        rdns=proxy.remote_names,
        forward=forward,
    )


@contextmanager
def explained(proxy: Proxy) -> Iterator[None]:
    """Make a `ProxyError` of whatever goes wrong on the way through a proxy, time-outs aside."""
    from python_socks import ProxyError as Refused

    try:
        yield
    except ProxyError:
        raise
    except TimeoutError:
        raise TimeoutError(f"the proxy {proxy} took too long") from None
    except OSError as error:
        raise ProxyError(f"no connection through the proxy {proxy}: {error}") from error
    except Refused as error:
        # Its words may be anything.
        words = str(error).encode("ascii", "replace").decode()
        words = "".join(letter if letter.isprintable() else "?" for letter in words[:200])
        raise ProxyError(
            f"the proxy {proxy} refuses: {words}", lasting=not _passing(proxy, error.error_code)
        ) from error
    except ValueError as error:
        raise ProxyError(f"the proxy {proxy} gave an answer that is none", lasting=True) from error


def _passing(proxy: Proxy, code: int | None) -> bool:
    """Say whether a refusal may be none the next time; without a code it is about credentials."""
    if code is None:
        return False
    return passing_status(code) if proxy.kind is ProxyKind.HTTP else code in _PASSING_SOCKS


def complete(reply: bytearray, data: bytes) -> bool:
    """Put what was read behind an HTTP proxy's answer so far; say whether its head is whole.

    Raises:
        ProxyError: it ends too early, is too long, is no HTTP, or has something behind it that nobody asked
            for.

    RFC 9110 §9.3.6.
    """
    if not data:
        raise ProxyError("the proxy has ended the stream instead of answering")
    reply += data
    if not is_http(reply):
        raise ProxyError(f"the proxy does not speak HTTP: {describe(reply)}", lasting=True)
    end = reply.find(b"\r\n\r\n") + 4
    if end < 4:
        if len(reply) > MAX_REPLY:
            raise ProxyError("the answer of the proxy is too long", lasting=True)
        return False
    # Behind a refusal there may be a page.
    if len(reply) > end and reply.split(None, 2)[1:2] == [b"200"]:
        raise ProxyError("the proxy has sent more than its answer", lasting=True)
    return True


def exactly(data: bytes) -> bytes:
    """Return what was read from a SOCKS proxy.

    Raises:
        ProxyError: it is nothing.
    """
    if not data:
        raise ProxyError("the proxy has ended the stream instead of answering")
    return data
