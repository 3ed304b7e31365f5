"""How commands ask the admin address of a gateway."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from edgews.cli.arguments_admin import TOKEN_VARIABLE
from edgews.cli.console import say, shown
from edgews.outcomes import InvalidHandshake
from edgews.sync import WebSocket, connect

# For each answer (seconds).
_TIMEOUT: Final = 10.0


class AdminError(Exception):
    """The admin address cannot be asked; the text says why."""


class AdminClient:
    """Asks an admin address.

    Args:
        address: host:port, unix:/path, or the URL of the page; with https:// it is asked over TLS.
        token_file: a file with the token; without one, the environment may have it.

    Raises:
        AdminError: this is no such address, or no such file.
    """

    def __init__(self, address: str, token_file: Path | None) -> None:
        text = address.removeprefix("http://").removeprefix("https://").rstrip("/")
        # Whom to trust is what the system says, or SSL_CERT_FILE.
        self._tls = ssl.create_default_context() if address.startswith("https://") else None
        self._path = text.removeprefix("unix:") if text.startswith("unix:") else None
        host, _, port = text.rpartition(":")
        if self._path is None and not (host and port.isdecimal() and int(port) < 65536):
            raise AdminError(f"{address} is no address; write host:port, https://host:port or unix:/path")
        self.address = address
        self._host = "localhost" if self._path is not None else text
        self._place = (host.strip("[]"), int(port)) if self._path is None else None
        try:
            token = os.environ.get(TOKEN_VARIABLE) if token_file is None else token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AdminError(f"{token_file} cannot be read: {error}") from None
        self._fields = [("Authorization", f"Bearer {token.strip()}")] if token else []

    def get(self, path: str) -> Any | None:
        """Return what JSON is at a path, None if nothing is.

        Raises:
            AdminError: it cannot be had.
        """
        connection = HTTPConnection(self._host)
        connection.sock = self._secured(self._connect())
        try:
            connection.request("GET", path, headers={"Host": self._host, **dict(self._fields)})
            response = connection.getresponse()
            body = response.read()
            if response.status == 404:
                return None
            if response.status != 200:
                raise self._refused(response.status, body.decode("utf-8", "replace"))
            return json.loads(body)
        except (OSError, HTTPException, ValueError) as error:
            raise AdminError(f"{self.address} gives no answer that makes sense: {error}") from None
        finally:
            connection.close()

    def live(self) -> WebSocket:
        """Open the feed of the live page.

        Raises:
            AdminError: it cannot be had.
        """
        try:
            scheme = "ws" if self._tls is None else "wss"
            uri = f"{scheme}://{self._host}/live"
            return connect(uri, sock=self._connect(), ssl=self._tls, headers=self._fields)
        except InvalidHandshake as error:
            if error.response is None:
                raise AdminError(f"{self.address}: {error}") from None
            raise self._refused(
                error.response.status, error.response.body.decode("utf-8", "replace")
            ) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _secured(self, sock: socket.socket) -> socket.socket:
        if self._tls is None or self._place is None:
            return sock
        try:
            return self._tls.wrap_socket(sock, server_hostname=self._place[0])
        except OSError as error:
            sock.close()
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> AdminError:
        if isinstance(error, ssl.SSLCertVerificationError):
            how = "SSL_CERT_FILE=FILE in the environment names a file with whom to trust"
            return AdminError(f"{self.address} is not trusted: {error.verify_message}\n  {how}.")
        return AdminError(f"{self.address}: {error}")

    def _connect(self) -> socket.socket:
        try:
            if self._place is not None:
                return socket.create_connection(self._place, _TIMEOUT)
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.settimeout(_TIMEOUT)
                sock.connect(str(self._path))
            except OSError:
                sock.close()
                raise
            return sock
        except OSError as error:
            raise AdminError(
                f"no gateway answers at {self.address}: {error.strerror or error}\n"
                "  It is that of [admin] in the gateway's file, or of `edgews proxy --admin`."
            ) from None

    def _refused(self, status: int, body: str) -> AdminError:
        if status == 401:
            how = f"--token-file FILE, or the environment variable {TOKEN_VARIABLE}"
            return AdminError(f"{self.address} asks for its token: give {how}")
        return AdminError(f"{self.address} answers with {status}: {shown(body.strip()[:200])}")


def complain(command: str, error: AdminError) -> int:
    """Say why a command cannot go on; return its exit code."""
    say((f"edgews {command}: ", "bad"), str(error))
    return 2


def to_output(value: Any) -> None:
    """Print JSON, one value in a line."""
    print(json.dumps(value), flush=True, file=sys.stdout)
