"""What can be wrong before the first byte of HTTP: URI, name, TCP, TLS."""

from __future__ import annotations

from typing import Final

from edgews.cli.doctor.findings import Advice, Change, Level, Step

_CHAIN = Change(
    "`ssl_certificate` names a file with the server's certificate first, then the intermediate ones", "nginx"
)
_RENEW = Change(
    "renew it (`certbot renew` where Let's Encrypt issued it), and reload the server, which reads the file "
    "only then"
)
_TRUST = Change("for tests, name the authority's file in SSL_CERT_FILE, or give --insecure")

ROWS: Final = (
    Advice(
        "uri-scheme",
        Step.URI,
        "the URI is one of HTTP",
        "WebSocket URIs begin with ws:// or wss://. Browsers of today accept http:// and https:// in their "
        "place; older browsers and most libraries do not. The doctor went on with the WebSocket scheme.",
        (Change("write ws:// for http://, and wss:// for https://"),),
    ),
    Advice(
        "uri-unencrypted",
        Step.URI,
        "the connection is not encrypted",
        "A page that was loaded over https:// may not open ws:// connections, except to its own machine: "
        "the browser refuses before it sends anything. Some mobile networks and office proxies also break "
        "what they can read.",
        (Change("serve wss://, for example by TLS at a reverse proxy in front of the server"),),
        Level.NOTE,
    ),
    Advice(
        "dns-no-such-host",
        Step.DNS,
        "the name has no address",
        "The resolver says that the name does not exist, or has no address. It is misspelt, its record is "
        "missing, or it is known in another network only.",
        (
            Change("check the spelling, and the A and AAAA records with `dig NAME`"),
            Change("for a name inside a VPN or cluster, ask from inside"),
        ),
        browser=1006,
    ),
    Advice(
        "dns-failed",
        Step.DNS,
        "the resolver did not answer",
        "The lookup failed without saying that the name does not exist: the resolver could not be reached, "
        "or was too slow.",
        (Change("check the network and the name servers of this machine (/etc/resolv.conf)"),),
        browser=1006,
    ),
    Advice(
        "tcp-refused",
        Step.TCP,
        "nothing listens on that port",
        "The machine answered that the port is closed. The server does not run, listens on another port, or "
        "only on another address, such as 127.0.0.1 inside a container.",
        (
            Change("start the server, and see what listens with `ss -ltn`"),
            Change("in a container or for other machines, listen on 0.0.0.0 or ::, and publish the port"),
        ),
        browser=1006,
    ),
    Advice(
        "tcp-timeout",
        Step.TCP,
        "no answer to the attempt to connect",
        "Packets vanish: a firewall or security group drops them, the machine is down, or its queue of "
        "connections is full.",
        (
            Change(
                "let the port through in the firewall, the security group of the cloud, and the network "
                "policy"
            ),
            Change("see whether the server accepts connections at all: one that hangs fills its queue"),
        ),
        browser=1006,
    ),
    Advice(
        "tcp-unreachable",
        Step.TCP,
        "there is no way to the address",
        "This machine, or a router on the way, has no route to the address. IPv6 that is announced but does "
        "not work is a common case.",
        (
            Change("check the route with `ip route get ADDRESS`"),
            Change("take the AAAA record away if the server has no IPv6"),
        ),
        browser=1006,
    ),
    Advice(
        "tcp-some-addresses",
        Step.TCP,
        "some addresses of the name do not work",
        "The name has several addresses, and not all of them accept connections. Clients that try them one "
        "after the other are slow, and those that try only one fail.",
        (
            Change(
                "listen on all of the addresses, IPv4 and IPv6, or remove the records of those that are not "
                "served"
            ),
        ),
        Level.WARNING,
    ),
    Advice(
        "tls-not-spoken",
        Step.TLS,
        "the port does not speak TLS",
        "What came is not TLS, so wss:// cannot work there. Usually the port serves plain HTTP.",
        (
            Change("use ws:// for this port, or wss:// with the port that has TLS, 443 as a rule"),
            Change("`listen 443 ssl;`, not `listen 443;`", "nginx"),
        ),
        browser=1006,
    ),
    Advice(
        "tls-ended",
        Step.TLS,
        "the connection ended during the TLS handshake",
        "The other end hung up instead of answering. A proxy that forwards only names it knows does that, "
        "and so does a server without a certificate, or a middlebox that forbids the name.",
        (
            Change("check that the name is configured at the proxy that ends TLS (SNI)"),
            Change("look into the log of the server: it knows why it hung up"),
        ),
        browser=1006,
    ),
    Advice(
        "tls-timeout",
        Step.TLS,
        "no answer to the TLS handshake",
        "The port accepted the connection, and then nothing came. The server waits for something else, or "
        "is overloaded.",
        (Change("check that the port is the one with TLS, and that the server is not stuck"),),
        browser=1006,
    ),
    Advice(
        "tls-version",
        Step.TLS,
        "no TLS version in common",
        "The server offers only versions that clients of today refuse, such as TLS 1.0 and 1.1.",
        (
            Change("`ssl_protocols TLSv1.2 TLSv1.3;`", "nginx"),
            Change("switch TLS 1.2 and 1.3 on at whatever ends TLS"),
        ),
        browser=1006,
    ),
    Advice(
        "tls-name",
        Step.TLS,
        "the server does not know the name",
        "The server answered that it has no site of this name (SNI).",
        (
            Change(
                "add the name to the server's or the load balancer's list of hosts, with a certificate for it"
            ),
        ),
        browser=1006,
    ),
    Advice(
        "tls-client-certificate",
        Step.TLS,
        "the server wants a certificate from the client",
        "Mutual TLS is switched on. A browser asks its user for a certificate only for pages, and a "
        "WebSocket connection fails without a question.",
        (
            Change(
                "do not ask on the path of the WebSocket, or make it optional (`ssl_verify_client "
                "optional;`)",
                "nginx",
            ),
            Change("give the client its certificate: `SSLContext.load_cert_chain`"),
        ),
        browser=1006,
    ),
    Advice(
        "tls-failed",
        Step.TLS,
        "the TLS handshake failed",
        "The two ends found no way to agree; what was observed has the alert. No cipher in common is the "
        "usual reason.",
        (Change("compare with `openssl s_client -connect HOST:PORT -servername HOST`"),),
        browser=1006,
    ),
    Advice(
        "http2-only",
        Step.TLS,
        "the server speaks HTTP/2 only",
        "WebSocket connections begin with HTTP/1.1 where the client does not know that the server takes "
        "them over HTTP/2 (RFC 8441). This server answers HTTP/1.1 with HTTP/2 frames, or refuses the "
        "protocol in TLS (ALPN).",
        (
            Change("let the port speak HTTP/1.1 as well; in ALPN, offer http/1.1 beside h2"),
            Change("`alpn h2,http/1.1` on the bind line", "HAProxy"),
            Change("route WebSockets to a target group with protocol version HTTP1", "AWS load balancer"),
            Change(
                "a cluster with `http2_protocol_options` only cannot take an upgrade; use "
                "`http_protocol_options`",
                "Envoy",
            ),
        ),
        browser=1006,
    ),
    Advice(
        "cert-expired",
        Step.TLS,
        "the certificate has expired",
        "Nobody renewed it, or the server was not reloaded after that. A wrong clock on this machine looks "
        "the same.",
        (_RENEW,),
        browser=1006,
    ),
    Advice(
        "cert-not-yet-valid",
        Step.TLS,
        "the certificate is not valid yet",
        "Its time begins in the future. Most of the time the clock of this machine is wrong.",
        (Change("set the clocks, of this machine and of the one that issues certificates"),),
        browser=1006,
    ),
    Advice(
        "cert-wrong-host",
        Step.TLS,
        "the certificate is for another name",
        "The certificate does not list the host of the URI, so whoever answers may be someone else. Often a "
        "default site answers, because the name is not configured.",
        (
            Change("connect with a name that the certificate lists"),
            Change("issue a certificate with this name among its subject alternative names"),
            Change(
                "`server_name` has to have this name, in a `server` block with its own `ssl_certificate`",
                "nginx",
            ),
        ),
        browser=1006,
    ),
    Advice(
        "cert-self-signed",
        Step.TLS,
        "the certificate is signed by itself",
        "No authority vouches for it. A browser cannot ask its user about a WebSocket connection: it just "
        "fails.",
        (
            Change("get a certificate from an authority, such as Let's Encrypt"),
            Change("for development, make a local authority and trust it in the browser"),
            _TRUST,
        ),
        browser=1006,
    ),
    Advice(
        "cert-chain-incomplete",
        Step.TLS,
        "an intermediate certificate is missing",
        "The server sent its own certificate alone, and its issuer is not among the trusted authorities. "
        "Browsers often know the missing one from elsewhere and hide the fault; other clients fail. A "
        "private authority looks the same.",
        (
            _CHAIN,
            Change("install the full chain (`fullchain.pem`), not the certificate alone (`cert.pem`)"),
            _TRUST,
        ),
        browser=1006,
    ),
    Advice(
        "cert-unknown-authority",
        Step.TLS,
        "the authority is not trusted",
        "The chain leads to an authority that this machine does not know: a private one, or that of a proxy "
        "which opens TLS on the way.",
        (Change("install the authority on the clients, or use a certificate of a public one"), _TRUST),
        browser=1006,
    ),
    Advice(
        "cert-refused",
        Step.TLS,
        "the certificate is not acceptable",
        "It was checked and refused for another reason, which what was observed names.",
        (Change("look at it with `openssl s_client -connect HOST:PORT -servername HOST -showcerts`"), _TRUST),
        browser=1006,
    ),
    Advice(
        "cert-expires-soon",
        Step.TLS,
        "the certificate expires soon",
        "Less than two weeks are left. Whatever renews it should have done so by now.",
        (_RENEW,),
        Level.WARNING,
    ),
    Advice(
        "cert-unchecked",
        Step.TLS,
        "the certificate was not checked",
        "--insecure takes any certificate, so nothing is known about it.",
        (Change("run the doctor without --insecure to see what clients see"),),
        Level.NOTE,
    ),
)
