"""Names, TCP and TLS, with a timeout for each, and with what they say when they fail."""

from __future__ import annotations

import contextlib
import errno
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import Any, Final

from edgews.cli.doctor.observed import Attempt, Certificate, Lookup, Outcome, TlsHandshake

Address = tuple[int, Any]

_UNREACHABLE: Final = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
# What OpenSSL calls X509_V_FLAG_NO_CHECK_TIME.
_NO_CHECK_TIME: Final = 0x200000


def look_up(host: str, port: int, timeout: float) -> tuple[Lookup, list[Address]]:
    """Look a name up; the system's resolver has no timeout, so it gets a thread."""
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    start = monotonic()
    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answer.get(timeout=timeout)
    except queue.Empty:
        detail = f"no answer within {timeout:.1f} s"
        return Lookup(Outcome.TIMEOUT, monotonic() - start, detail=detail), []
    seconds = monotonic() - start
    if isinstance(found, Exception):
        return lookup_failure(found, seconds), []
    addresses = [(family, address) for family, _, _, _, address in found]
    return Lookup(Outcome.DONE, seconds, [address[0] for _, address in addresses]), addresses


def lookup_failure(error: Exception, seconds: float) -> Lookup:
    """Return what the resolver's error says."""
    gone = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
    known = not isinstance(error, socket.gaierror) or error.errno in gone
    detail = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Lookup(Outcome.NO_SUCH_HOST if known else Outcome.FAILED, seconds, detail=detail)


def dial(addresses: Sequence[Address], timeout: float) -> tuple[list[Attempt], socket.socket | None]:
    """Connect to the first address that accepts, after what became of those before it."""
    attempts: list[Attempt] = []
    for family, address in addresses:
        name = f"{address[0]} port {address[1]}"
        start = monotonic()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
        except OSError as error:
            sock.close()
            attempts.append(dial_failure(name, error, monotonic() - start))
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            attempts.append(Attempt(name, Outcome.DONE, monotonic() - start))
            return attempts, sock
    return attempts, None


def dial_failure(name: str, error: OSError, seconds: float) -> Attempt:
    """Return what became of an attempt that failed."""
    if isinstance(error, TimeoutError):
        return Attempt(name, Outcome.TIMEOUT, seconds, f"no answer within {seconds:.1f} s")
    if isinstance(error, ConnectionRefusedError):
        outcome = Outcome.REFUSED
    else:
        outcome = Outcome.UNREACHABLE if error.errno in _UNREACHABLE else Outcome.FAILED
    return Attempt(name, outcome, seconds, (error.strerror or str(error)).lower())


def shake_hands(
    sock: socket.socket, host: str, context: ssl.SSLContext, timeout: float
) -> tuple[TlsHandshake, ssl.SSLSocket | None]:
    """Do the TLS handshake; the socket is closed if that fails."""
    start = monotonic()
    sock.settimeout(timeout)

    def failed(outcome: Outcome, detail: str, reason: str = "", code: int = 0) -> TlsHandshake:
        seconds = monotonic() - start
        return TlsHandshake(outcome, seconds, reason=reason, detail=detail, verify_code=code, now=time())

    try:
        tls = context.wrap_socket(sock, server_hostname=host)
    except BaseException as error:
        sock.close()
        if isinstance(error, ssl.SSLCertVerificationError):
            return failed(Outcome.DONE, error.verify_message, code=error.verify_code), None
        if isinstance(error, ssl.SSLEOFError | ConnectionError):
            how = "was reset" if isinstance(error, ConnectionResetError) else "ended"
            return failed(Outcome.ENDED, f"the byte stream {how}"), None
        if isinstance(error, TimeoutError):
            return failed(Outcome.TIMEOUT, "no answer"), None
        if isinstance(error, OSError):
            return failed(Outcome.FAILED, str(error), reason_of(error)), None
        raise
    done = TlsHandshake(Outcome.DONE, monotonic() - start, tls.version() or "", now=time())
    cipher = tls.cipher()
    done.cipher = cipher[0] if cipher else ""
    done.certificate = _read(tls.getpeercert())
    return done, tls


def reason_of(error: OSError) -> str:
    """Return OpenSSL's name of a failure; Python does not know the newer ones, and gives words."""
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).upper().replace(" ", "_")


def context(*, checked: bool) -> ssl.SSLContext:
    """Return the context of a client that speaks HTTP/1.1, as a browser's for WebSockets."""
    made = ssl.create_default_context()
    made.set_alpn_protocols(["http/1.1"])
    if not checked:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def inspect(
    tls: ssl.SSLSocket, again: Callable[[], socket.socket | None], host: str, timeout: float
) -> tuple[Certificate | None, int | None]:
    """Return what a certificate that nobody trusts says, and how many the server sent.

    The `ssl` module reads only certificates that it trusts. So a second connection trusts this very one.

    Args:
        tls: a connection that was opened without a check.
        again: opens another TCP connection.
        host: for SNI.
        timeout: in seconds.
    """
    # Public from Python 3.13 on.
    below = getattr(tls, "_sslobj", None)
    chain = getattr(tls, "get_unverified_chain", None) or getattr(below, "get_unverified_chain", None)
    count = None if chain is None else len(chain() or ())
    encoded = tls.getpeercert(binary_form=True)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    with contextlib.suppress(ssl.SSLError):
        if encoded is not None:
            trusting.load_verify_locations(cadata=encoded)
    sock = again()
    if sock is None:
        return None, count
    _, second = shake_hands(sock, host, trusting, timeout)
    if second is None:
        return None, count
    with second:
        return _read(second.getpeercert()), count


def _read(fields: dict[str, Any] | None) -> Certificate | None:
    """Return what the `ssl` module says of a certificate; it says nothing of one that was not checked."""
    if not fields:
        return None
    return Certificate(
        _name(fields["subject"]),
        _name(fields["issuer"]),
        [value for _, value in fields.get("subjectAltName", ())],
        ssl.cert_time_to_seconds(fields["notBefore"]),
        ssl.cert_time_to_seconds(fields["notAfter"]),
    )


def _name(parts: Any) -> str:
    """Return the common name of a distinguished name, or all of it."""
    pairs = dict(pair for part in parts for pair in part)
    return str(pairs.get("commonName") or ", ".join(pairs.values()))
