"""What a status other than 101 means, and what proxies need."""

from __future__ import annotations

from typing import Final

from edgews.cli.doctor.findings import Advice, Change, Level, Step

# Proxies do not hand `Upgrade` on by themselves: it is a field for one hop. RFC 9110 §7.6.1.
PASS_UPGRADES: Final = (
    Change(
        "in the location: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        'proxy_set_header Connection "upgrade";`',
        "nginx",
    ),
    Change(
        "from 2.4.47 on `ProxyPass /path http://backend/path upgrade=websocket`, before that "
        "mod_proxy_wstunnel and a ws:// backend",
        "Apache",
    ),
    Change(
        "`mode http` passes upgrades; look for rules that delete or set Upgrade or Connection",
        "HAProxy",
    ),
    Change("`upgrade_configs: [{upgrade_type: websocket}]` in the connection manager or route", "Envoy"),
    Change(
        "use an Application Load Balancer; a Classic one passes upgrades with TCP or SSL listeners only",
        "AWS load balancer",
    ),
    Change("switch WebSockets on under Network", "Cloudflare"),
    Change(
        "in a firewall or proxy on the client's side, let wss:// through: it cannot be read, so it is left "
        "alone"
    ),
)
BACKEND: Final = (
    Change("check that the server behind the proxy runs, and that the proxy has its right address and port"),
    Change("look at the error log: it names the upstream and the reason", "nginx"),
    Change("look at the error log, at what proxy and proxy_http say", "Apache"),
    Change(
        "look at the termination state in the log and the state of the server in the statistics", "HAProxy"
    ),
    Change(
        "look at the health checks of the target group: they need a path that answers 200 without an upgrade",
        "AWS load balancer",
    ),
)


def _status(
    status: int, title: str, meaning: str, *changes: Change | str, level: Level = Level.ERROR
) -> Advice:
    return Advice(
        f"status-{status}",
        Step.UPGRADE,
        f"{status}: {title}",
        meaning,
        tuple(Change(change) if isinstance(change, str) else change for change in changes),
        level,
        1006,
    )


ROWS: Final = (
    _status(
        200,
        "answered as an ordinary request",
        "The server did not see a request for a WebSocket. A proxy took Upgrade and Connection away, or the "
        "path belongs to a page.",
        "check the path of the URI: the WebSocket may have another one than the page",
        *PASS_UPGRADES,
    ),
    _status(
        400,
        "bad request",
        "The server found fault with the handshake. Behind a proxy that strips Upgrade or speaks HTTP/1.0, "
        "servers say so, too; others want a subprotocol, a parameter or a session.",
        "read the body of the answer, and the log of the server",
        "offer the subprotocol that the server wants: --subprotocol NAME",
        *PASS_UPGRADES,
    ),
    _status(
        401,
        "credentials are missing",
        "The server wants to know who asks. Browsers cannot set Authorization for a WebSocket; they send "
        "cookies, and credentials go into a first message, a subprotocol or a short-lived token in the URI.",
        "give credentials: --header 'Authorization: Bearer ...', or --header 'Cookie: ...'",
        "for browsers, accept a cookie or a token of one use",
    ),
    _status(
        403,
        "forbidden",
        "The server does not let this client in: the Origin is not on its list, a firewall takes offence, "
        "or the credentials are not enough.",
        "try the Origin of the page that connects: --origin https://example.com",
        "add the origin to the server's list: scheme, host and port all count",
        "in a web application firewall, look for the rule that matched",
    ),
    _status(
        404,
        "nothing at that path",
        "The path is wrong, a proxy routes it elsewhere, or the server knows it only for requests with "
        "Upgrade, which a proxy took away.",
        "check the path, its prefix and the slash at its end",
        Change(
            "`proxy_pass http://backend/;` with a slash at its end cuts the location's prefix off", "nginx"
        ),
        *PASS_UPGRADES,
    ),
    _status(
        405,
        "method not allowed",
        "The path takes other methods than GET, which a WebSocket always uses. It is probably not the "
        "WebSocket's path.",
        "check the path",
    ),
    _status(
        407,
        "a proxy wants credentials",
        "A forward proxy stands between this machine and the server.",
        "give the proxy credentials, or an exception for this host",
    ),
    _status(
        408,
        "the server waited too long for the request",
        "The request was sent whole, so something on the way holds it back or cuts it.",
        "look for a proxy or firewall that inspects requests",
    ),
    _status(
        426,
        "the server asks for an upgrade",
        "It did not see one, although it was asked for: a proxy took Upgrade and Connection away.",
        *PASS_UPGRADES,
    ),
    _status(
        429,
        "too many requests",
        "A rate limit. Clients that reconnect at once and all together cause it themselves.",
        "reconnect with growing, random pauses, and obey Retry-After",
        Change(
            "`limit_req` and `limit_conn` count handshakes like other requests; raise them there", "nginx"
        ),
    ),
    _status(
        431,
        "header fields too large",
        "Cookies have grown beyond what the server takes.",
        "delete cookies that nobody needs, or use a host of its own for the WebSocket",
        Change("`large_client_header_buffers 4 16k;`", "nginx"),
    ),
    _status(
        500,
        "the server failed",
        "The application raised an error while it answered the handshake.",
        "look into the log of the server",
        "an ASGI or WSGI server without WebSocket support fails like this, too: install what it needs",
    ),
    _status(
        501,
        "not implemented",
        "The server, or a proxy in front of it, does not know how to upgrade.",
        *PASS_UPGRADES,
    ),
    _status(
        502,
        "bad gateway",
        "A proxy is there, and the server behind it is not, hung up, or gave an answer that the proxy does "
        "not accept, such as a 101 with a wrong field.",
        *BACKEND,
    ),
    _status(
        503,
        "service unavailable",
        "The server is overloaded, starts, stops, or a proxy has no healthy server behind it.",
        "wait and try again; obey Retry-After",
        *BACKEND,
    ),
    _status(
        504,
        "gateway timeout",
        "A proxy waited in vain for the server behind it: it hangs, or a firewall drops what goes to it.",
        *BACKEND,
    ),
    _status(
        505,
        "HTTP version not supported",
        "A proxy speaks HTTP/1.0 to the server, which cannot carry an upgrade.",
        *PASS_UPGRADES,
    ),
    Advice(
        "redirect",
        Step.UPGRADE,
        "the server redirects",
        "Browsers and most libraries do not follow redirects for WebSockets. Usual ones lead from ws:// to "
        "wss://, to a page for logging in, to another host name, or add a slash.",
        (
            Change("use the address that the redirect names, with ws or wss in place of http or https"),
            Change("leave the path of the WebSocket out of the redirect"),
            Change("a redirect to a login page stands for 401: give credentials"),
        ),
        browser=1006,
    ),
    Advice(
        "status-other",
        Step.UPGRADE,
        "an answer other than 101",
        "Only 101 opens a WebSocket. The status and the body say what the server thinks.",
        (Change("read the body of the answer, and the log of the server"), *PASS_UPGRADES),
        browser=1006,
    ),
)
