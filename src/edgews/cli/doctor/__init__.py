"""`edgews doctor`: try a server step by step, and say what is wrong and what to change.

`findings` has the words, the tables have the knowledge, `diagnose_*` decide from what was `observed`; none of
them does any I/O. `dial`, `talk` and `probe` do, and `text` and `report` tell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgews.cli.console import say, shown
from edgews.cli.doctor.options import Options
from edgews.cli.doctor.probe import Probe
from edgews.cli.doctor.ray import run as ask_about
from edgews.cli.doctor.report import to_json
from edgews.cli.doctor.text import show_end, show_step
from edgews.errors import InvalidValueError
from edgews.uri import parse_uri

_SCHEMES = {"http": "ws", "https": "wss"}


def run(
    uri: str | None,
    *,
    ray: str | None,
    admin: str,
    token_file: Path | None,
    headers: Sequence[tuple[str, str]],
    subprotocols: Sequence[str],
    origin: str | None,
    insecure: bool,
    timeout: float,
    message: str | None,
    idle: float,
    as_json: bool,
) -> int:
    """Examine a server, or ask a gateway about a request; return the exit code."""
    if ray is not None:
        return ask_about(ray, admin, token_file, as_json=as_json)
    if uri is None:
        say(("edgews doctor: ", "bad"), "give the URI of a server, or --ray and the ID of a request")
        return 2
    scheme, colon, rest = uri.partition("://")
    scheme = scheme.lower()
    try:
        options = Options(
            uri=parse_uri(f"{_SCHEMES.get(scheme, scheme)}{colon}{rest}"),
            scheme=scheme,
            headers=headers,
            subprotocols=subprotocols,
            origin=origin,
            insecure=insecure,
            message=message,
            idle=idle,
            timeout=timeout,
        )
        probe = Probe(options, (lambda step: None) if as_json else show_step)
    except InvalidValueError as error:
        say(("edgews doctor: ", "bad"), shown(str(error)))
        return 2
    report = probe.run()
    if as_json:
        print(json.dumps(to_json(report), indent=2))
    else:
        show_end(report)
    return 0 if report.ok else 1
