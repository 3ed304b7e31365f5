"""What can be wrong once the connection is open."""

from __future__ import annotations

from typing import Final

from edgews.cli.doctor.findings import Advice, Change, Level, Step

_LOGS = Change("look into the log of the server for this moment")
_KEEP_ALIVE = (
    Change("send Pings more often than that from either side; edgews does so every 20 seconds by itself"),
    Change("`proxy_read_timeout 1h; proxy_send_timeout 1h;` (60 seconds by default)", "nginx"),
    Change("`timeout tunnel 1h`, which takes the place of `timeout client` and `timeout server`", "HAProxy"),
    Change("`ProxyTimeout 3600`, or `timeout=3600` at the ProxyPass", "Apache"),
    Change("`stream_idle_timeout` and the route's `timeout` and `idle_timeout`", "Envoy"),
    Change("raise the idle timeout (60 seconds by default)", "AWS load balancer"),
    Change("it cuts at about 100 seconds without traffic, so only Pings help", "Cloudflare"),
)

ROWS: Final = (
    Advice(
        "ping-unanswered",
        Step.PING,
        "the server does not answer Pings",
        "Every endpoint has to answer a Ping with a Pong (RFC 6455 §5.5.2). Clients that look for life, "
        "edgews and `websockets` among them, end such a connection after a while.",
        (
            Change(
                "have the server, or its library, answer Pings; and see that its thread or task reads all "
                "the time"
            ),
            Change("as a last resort, switch Pings off in the client"),
        ),
    ),
    Advice(
        "pong-wrong",
        Step.PING,
        "the Pong is not the echo of the Ping",
        "A Pong carries the payload of its Ping (RFC 6455 §5.5.3). Clients that compare take this one for "
        "no answer.",
        (Change("have the server send the payload back as it came"),),
    ),
    Advice(
        "refused-as-wrong",
        Step.MESSAGE,
        "the server says that the frames are wrong",
        "It closed with 1002 or 1007. What was sent keeps the rules, so something on the way changes bytes, "
        "or the server has agreed to compression and does not understand it.",
        (
            Change("switch permessage-deflate off in the server, and try again"),
            Change("look for a proxy that changes or buffers the byte stream"),
            _LOGS,
        ),
    ),
    Advice(
        "message-refused",
        Step.MESSAGE,
        "the server does not accept the message",
        "It closed with 1003, 1008 or 1009: the text is not what the application expects, or a session is "
        "missing. For a server with messages of its own that is right.",
        (
            Change("send what the server expects: --message TEXT, or nothing: --no-message"),
            Change("give the credentials that it wants: --header"),
        ),
        Level.WARNING,
    ),
    Advice(
        "server-failed",
        Step.MESSAGE,
        "the server failed",
        "It closed with 1011 or 1014: an error in the application, or in a server behind it.",
        (_LOGS,),
    ),
    Advice(
        "server-busy",
        Step.MESSAGE,
        "the server restarts or is overloaded",
        "It closed with 1012 or 1013.",
        (
            Change("reconnect after a random pause"),
            Change("give the server more room, or look why it restarts"),
        ),
        Level.WARNING,
    ),
    Advice(
        "closed-early",
        Step.MESSAGE,
        "the server closed the connection",
        "It did so by itself, and in order. The code and the reason are the application's.",
        (
            Change("look up the code in the application's documentation"),
            Change("the application may expect a first message soon, or credentials: --message, --header"),
        ),
        Level.WARNING,
    ),
    Advice(
        "ended-without-close",
        Step.MESSAGE,
        "the connection ended without a Close",
        "The byte stream ended, and no Close frame came before. The process behind it died or was killed, "
        "its framework drops connections, or a proxy cut them, on a reload for example.",
        (
            _LOGS,
            Change(
                "have the server close with a code when it stops: `shutdown` and `close` in edgews send 1001"
            ),
            Change("a short `worker_shutdown_timeout` cuts connections at each reload", "nginx"),
        ),
        browser=1006,
    ),
    Advice(
        "reset",
        Step.MESSAGE,
        "the connection was reset",
        "The other end dropped it (RST): the process crashed, ended with data unread, or a firewall took "
        "offence.",
        (_LOGS, Change("look for a firewall or intrusion prevention that inspects the stream")),
        browser=1006,
    ),
    Advice(
        "protocol-violation",
        Step.MESSAGE,
        "the server breaks the protocol",
        "It sent a frame that no client accepts. The rule is named with its section. A masked frame hints "
        "at a client's library on the server's side; bytes of HTTP hint at an error page behind the 101.",
        (
            Change("fix or update the WebSocket library of the server"),
            Change("look for a proxy or middleware that writes into the stream after the 101"),
        ),
        browser=1006,
    ),
    Advice(
        "idle-cut",
        Step.IDLE,
        "the silent connection was cut",
        "Something on the way ends connections on which nothing moves, and does it without a Close. The "
        "time that was measured tells who: proxies have round defaults, such as 60 seconds.",
        _KEEP_ALIVE,
        browser=1006,
    ),
    Advice(
        "idle-closed",
        Step.IDLE,
        "the server closed the silent connection",
        "It has an idle timeout of its own, and says so with a Close.",
        (
            Change("send something, a Ping if the server counts them, more often than that"),
            Change("raise the server's idle timeout"),
        ),
    ),
    Advice(
        "idle-dead",
        Step.IDLE,
        "the connection died in silence",
        "Nothing said that it ended, but after the silence no Ping is answered any more. A NAT or firewall "
        "forgot the connection and drops its packets.",
        _KEEP_ALIVE,
        browser=1006,
    ),
    Advice(
        "close-unanswered",
        Step.CLOSE,
        "the server does not answer Close",
        "Each Close has to be answered with one (RFC 6455 §5.5.1). The client has to wait until it gives up.",
        (Change("have the server read until the end, and answer Close; a handler that blocks does neither"),),
        browser=1006,
    ),
    Advice(
        "close-without-close",
        Step.CLOSE,
        "the server ends without a Close of its own",
        "It took our Close and dropped the connection. Nothing is lost, but every client counts the end as "
        "unclean.",
        (Change("have the server answer Close with Close before it ends the stream (RFC 6455 §5.5.1)"),),
        browser=1006,
    ),
    Advice(
        "tcp-stays-open",
        Step.CLOSE,
        "the server does not end the byte stream",
        "Both sides said Close, and now it is the server's turn to end TCP (RFC 6455 §7.1.1). Such "
        "connections pile up until something runs out.",
        (Change("have the server close its socket once both Close frames are there"),),
        Level.WARNING,
    ),
    Advice(
        "slow",
        Step.MESSAGE,
        "a step was slow",
        "It worked, and took much longer than it does on a healthy line.",
        (
            Change("measure again from elsewhere: it is the line, the resolver, or a server that is busy"),
            Change("a slow lookup hints at a resolver that does not answer, before the next one is asked"),
            Change("a slow upgrade hints at the application: work before accepting, or a cold start"),
        ),
        Level.WARNING,
    ),
)
