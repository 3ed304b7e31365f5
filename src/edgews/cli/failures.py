"""Why there is no connection, in one line or a few."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from edgews.cli.console import shown
from edgews.outcomes import InvalidHandshake

# What a gateway calls the request, unless its file says otherwise.
RAY_FIELD: Final = "X-Edgews-Ray"
_MAX_RAY: Final = 64


def explain(error: Exception) -> str:
    """Say in one line, or a few, why there is no connection."""
    match error:
        case InvalidHandshake(cause=cause, response=response):
            header = f" (header {cause.header})" if cause.header else ""
            body = "" if response is None else shown(response.body.decode("utf-8", "replace").strip()[:200])
            said = f"{shown(str(cause))}{header}" + (f"\n  {body}" if body else "")
            ray = None if response is None else response.headers.get(RAY_FIELD)
            return said if ray is None else f"{said}\n  Why: edgews doctor --ray {shown(ray[:_MAX_RAY])}"
        case ssl.SSLCertVerificationError():
            return (
                f"the server's certificate is not acceptable: {error.verify_message}\n"
                "  To trust another authority, name its file in the environment variable SSL_CERT_FILE; "
                "--insecure takes any certificate."
            )
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            return "the server does not speak TLS there; without TLS the URI begins with ws://"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case socket.gaierror():
            return f"there is no such host: {error.strerror}"
        case ConnectionRefusedError():
            return "connection refused: no server listens there"
        case TimeoutError():
            return f"no answer in time: {error}"
        case OSError():
            return f"cannot connect: {error.strerror or error}"
        case _:
            return str(error)
