"""`edgews.toml`: what it may say, checked as a whole. No file but this one is opened."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgews.edge.forwarding.proxypeers import UNIX
from edgews.edge.policy.actions import Stage
from edgews.edge.policy.connlimit import Kind

from . import policies
from .admin import contradictions as admin_contradictions
from .admin import half_a_certificate
from .faults import ConfigError, Fault, fault_of, read_text
from .policies import one_of
from .positions import Path as KeyPath
from .tables import DEFAULT_FILE, Config, Listen, Route
from .values import known_keys, parse_address

_TOML_AT = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)")


def parse_config(text: str, file: str = DEFAULT_FILE) -> Config:
    """Check a file as a whole.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _TOML_AT.search(str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        raise ConfigError(file, [Fault(line, "", f"TOML: {_TOML_AT.sub('', str(error))}")]) from None
    return check_values(values, text, file)


def check_values(values: dict[str, Any], text: str, file: str) -> Config:
    """Check what a file says.

    Args:
        text: the file, to find the lines of mistakes; empty if there is none.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        faults = [
            fault_of(text, details, partial(known_keys, Config))
            for details in error.errors(include_url=False, include_input=False)
        ]
    else:
        config.come_from(text, file)
        faults = [config.fault(path, expected) for path, expected in _contradictions(config)]
        if not faults:
            return config
    raise ConfigError(file, sorted(faults, key=lambda fault: fault.line))


def load_config(path: Path) -> Config:
    """Read and check a file.

    Raises:
        ConfigError: it cannot be read, or with everything that is wrong.
    """
    return parse_config(read_text(path, "TOML"), str(path))


def _contradictions(config: Config) -> list[tuple[KeyPath, str]]:
    """Return what is wrong although each value for itself is right."""
    found: list[tuple[KeyPath, str]] = []
    addresses: set[str] = set()
    for at, listen in enumerate(config.listen):
        if listen.address in addresses:
            found.append((("listen", at, "address"), "each address once"))
        addresses.add(listen.address)
        found += half_a_certificate(listen, ("listen", at))
        found += _strangers(listen, ("listen", at))
    if config.admin is not None:
        found += admin_contradictions(config.admin, addresses)
    places: set[tuple[object, ...]] = set()
    titles: set[str] = set()
    for at, route in enumerate(config.route):
        fields = frozenset((name.lower(), value) for name, value in route.headers.items())
        place = (route.host, route.path.rstrip("/"), fields, route.when)
        if place in places:
            found.append(
                (("route", at), "another host, path, headers or when: an earlier route has the same")
            )
        elif route.title in titles:
            # What is known of its origins, and what it is limited to, goes by its name.
            path = ("route", at, "name") if route.name else ("route", at)
            wish = "another name" if route.name else "a name"
            found.append((path, f"{wish}: an earlier route is called {route.title!r} as well"))
        places.add(place)
        titles.add(route.title)
        if route.max_frame_size is not None and route.max_frame_size > route.max_message_size:
            found.append((("route", at, "max_frame_size"), "at most max_message_size"))
        found += _unused(route, ("route", at))
        found += _of_messages(config, route, ("route", at))
    found += policies.contradictions(config, {route.title for route in config.route})
    everybody = config.connections.limits().get(Kind.ALL)
    if everybody is not None and config.max_connections < (most := everybody.soft + everybody.burst):
        found.append((("max_connections",), f"{most} or more: connections lets so many in"))
    return found


def _strangers(listen: Listen, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield the proxies that cannot come to an address: whoever lists them expects to be told of clients."""
    local = isinstance(parse_address(listen.address), str)
    for at, peer in enumerate(listen.proxy_protocol):
        if local is not (peer == UNIX):
            wish = '"unix", for this is a Unix socket' if local else "a network, for this is no Unix socket"
            yield (*path, "proxy_protocol", at), wish


def _unused(route: Route, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield what a route says that nothing would come of."""
    if route.ca is not None and not any(origin.secure for origin in route.parsed_origins()):
        yield (*path, "ca"), "no such key without an origin of wss://"
    health = route.health
    if health is not None and health.kind == "tcp" and "path" in health.model_fields_set:
        yield (*path, "health", "path"), 'no such key where kind is "tcp": it asks for nothing'
    if not route.http and "max_body_size" in route.model_fields_set:
        yield (*path, "max_body_size"), "no such key where http is false"


def _of_messages(config: Config, route: Route, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield what a route says of messages, and cannot do."""
    if route.inspect == "frames":
        rule = next((rule for rule in config.rule if rule.stage is Stage.MESSAGE), None)
        if rule is not None:
            wish = f"auto or messages on the route {route.title!r}: the rule {rule.name!r} looks at messages"
            yield (*path, "inspect"), wish
        if "compression" in route.model_fields_set:
            yield (*path, "compression"), "no such key where frames pass as they came"
    if route.message_limiter is not None and route.message_limiter not in config.limiter:
        yield (*path, "message_limiter"), one_of("limiter", config.limiter)
