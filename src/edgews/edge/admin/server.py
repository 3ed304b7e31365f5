"""The admin address: the live page and its feed, the metrics, and what became of a request."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from edgews.asyncio import Server, WebSocket, serve
from edgews.edge.analytics.exposition import CONTENT_TYPE, exposition
from edgews.edge.analytics.stories import tell
from edgews.edge.config.admin import MIN_TOKEN, Admin
from edgews.edge.config.faults import ConfigError
from edgews.edge.config.tables import Config
from edgews.edge.config.values import parse_address
from edgews.edge.gateway.tls import load, of_admin
from edgews.events import Request, Response
from edgews.extensions import PerMessageDeflate
from edgews.headers import Headers
from edgews.limits import Limits

from .access import SAFE_FIELDS, Access, answer
from .answers import Asked, NobodyAnswers
from .feed import Feed

# What one page asks for is short.
_LIMITS: Final = Limits(max_message_size=16 * 1024)
_MAX_CONNECTIONS: Final = 100
_CLOSE_TIMEOUT: Final = 2.0

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {sockets}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPTS: Final = ("charts", "dom", "feed", "page", "panels", "table")
_FILES: Final = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS},
}
_UNAUTHORIZED: Final = ("WWW-Authenticate", 'Bearer realm="edgews"')


def read_token(config: Config, admin: Admin, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the token that has to be shown, None for none.

    Raises:
        ConfigError: it cannot be read, or is too short to be one.
    """
    if admin.token_file is not None:
        key, place = "token_file", "a file that can be read"
        try:
            token = Path(admin.token_file).read_bytes().strip()
        except OSError as error:
            wish = f"{place}: {error.strerror}"
            raise ConfigError(config.file, [config.fault(("admin", key), wish)]) from None
    elif admin.token_env is not None:
        key = "token_env"
        token = environment.get(admin.token_env, "").strip().encode()
    else:
        return None
    if len(token) < MIN_TOKEN:
        wish = f"a token of at least {MIN_TOKEN} characters there"
        raise ConfigError(config.file, [config.fault(("admin", key), wish)])
    return token


class AdminServer:
    """Serve the admin address.

    Args:
        config: has an admin address.

    Raises:
        ConfigError: there is no token where there should be one.
    """

    def __init__(self, asked: Asked, config: Config) -> None:
        admin = config.admin
        assert admin is not None
        self._asked = asked
        self._address = parse_address(admin.address)
        self._context: ssl.SSLContext | None = None
        self.use(config)
        self._server: Server | None = None
        self._inode = 0
        self._files = {
            path: (files("edgews.edge.admin").joinpath(name).read_bytes(), kind)
            for path, (name, kind) in _FILES.items()
        }

    def use(self, config: Config) -> None:
        """Go on with another configuration that has the same address; what it names is read again.

        Raises:
            ConfigError: there is no token where there should be one, or no certificate. Nothing has changed.
        """
        admin = config.admin
        assert admin is not None
        token = read_token(config, admin)
        self.renew(config)
        self._access = Access(
            token, admin.hosts, any_host=isinstance(self._address, str), secure=self._context is not None
        )

    def renew(self, config: Config) -> None:
        """Read the certificate again.

        Raises:
            ConfigError: it cannot be used. Nothing has changed.
        """
        context = of_admin(config)
        if context is None or self._context is None:
            self._context = context
        elif config.admin is not None:
            # The one that listens stays, and gets what was just found to be right.
            load(self._context, config.admin)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        options: dict[str, Any] = {
            "process_request": self._respond,
            "compression": PerMessageDeflate(),
            "limits": _LIMITS,
            "max_connections": _MAX_CONNECTIONS,
            "ssl": self._context,
        }
        if isinstance(self._address, str):
            mask = os.umask(0o177)
            try:
                self._server = await serve(self._live, path=self._address, **options)
            finally:
                os.umask(mask)
            self._inode = os.stat(self._address).st_ino
        else:
            host, port = self._address
            self._server = await serve(self._live, host or None, port, **options)

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with the port that the system chose."""
        if isinstance(self._address, str):
            return [f"unix:{self._address}"]
        assert self._server is not None
        found = []
        scheme = "http" if self._context is None else "https"
        for sock in self._server.sockets:
            host, port = sock.getsockname()[:2]
            found.append(f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/")
        return found

    async def close(self) -> None:
        """Listen no more, and let all pages go."""
        if self._server is not None:
            await self._server.close(_CLOSE_TIMEOUT)
        if isinstance(self._address, str):
            # Another process may have taken its place.
            with suppress(FileNotFoundError):
                if os.stat(self._address).st_ino == self._inode:
                    os.unlink(self._address)

    async def _live(self, ws: WebSocket) -> None:
        await Feed(ws, self._asked).run()

    async def _respond(self, request: Request) -> Response | None:
        """Answer plain HTTP; None lets the feed open."""
        refusal = self._access.check(request)
        if refusal is not None:
            return refusal
        if request.method not in ("GET", "HEAD"):
            return answer(405, "Only GET and HEAD are answered here.", ("Allow", "GET, HEAD"))
        path = request.path
        # The page itself says nothing, and has to be there to ask for the token.
        if not request.is_upgrade and path in self._files:
            return self._file(request, *self._files[path])
        if not self._access.knows(request):
            return answer(401, "This takes the token of the configuration.", _UNAUTHORIZED)
        if request.is_upgrade:
            return None if path == "/live" else answer(404, "The feed is at /live.")
        try:
            return await self._tell(path)
        except NobodyAnswers as error:
            return answer(503, str(error))

    async def _tell(self, path: str) -> Response:
        match path:
            case "/login":
                cookie = self._access.cookie
                fields = [] if cookie is None else [("Set-Cookie", cookie)]
                return Response(204, Headers([*SAFE_FIELDS, *fields]))
            case "/metrics":
                return _content(exposition(await self._asked.report()), CONTENT_TYPE)
            case "/report.json":
                return _json(await self._asked.report())
            case _ if path.startswith("/trace/"):
                found = await self._asked.trace(path.removeprefix("/trace/"))
                if found is None:
                    return answer(404, "No such request is known; only the last ones are remembered.")
                return _json(found | {"story": tell(found)})
            case _:
                return answer(404, "Nothing here; the page is at /, and there are /metrics and /report.json.")

    def _file(self, request: Request, content: bytes, kind: str) -> Response:
        # `self` does not cover WebSockets in all browsers. Host has been checked.
        host = request.headers.get("Host")
        policy = _CSP.format(sockets=f"ws://{host} wss://{host}")
        return _content(content, f"{kind}; charset=utf-8", ("Content-Security-Policy", policy))


def _content(content: bytes, kind: str, *fields: tuple[str, str]) -> Response:
    return Response(200, Headers([("Content-Type", kind), *SAFE_FIELDS, *fields]), content)


def _json(value: Any) -> Response:
    return _content(json.dumps(value).encode(), "application/json")
