"""From what was observed of URI, name, TCP and TLS to findings. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from edgews.banners import TLS, describe, is_http, speaker
from edgews.cli.doctor.findings import Finding, Step, finding
from edgews.cli.doctor.observed import Attempt, Certificate, Lookup, Outcome, TlsHandshake
from edgews.cli.doctor.tables import ADVICE

_DAY: Final = 86400.0
# Certificates of Let's Encrypt live 90 days or less, and are renewed with a third left.
_SOON: Final = 14 * _DAY

_DIAL: Final = {
    Outcome.REFUSED: "tcp-refused",
    Outcome.TIMEOUT: "tcp-timeout",
    Outcome.UNREACHABLE: "tcp-unreachable",
    Outcome.FAILED: "tcp-unreachable",
}

# OpenSSL's X509_V_ERR numbers.
_CERTIFICATE: Final = {
    9: "cert-not-yet-valid",
    10: "cert-expired",
    18: "cert-self-signed",
    19: "cert-unknown-authority",
    62: "cert-wrong-host",
    64: "cert-wrong-host",
}
# "unable to get local issuer certificate", "unable to verify the first certificate".
_NO_ISSUER: Final = (20, 21)

# What OpenSSL's reason has in it.
_REASONS: Final = (
    ("NO_APPLICATION_PROTOCOL", "http2-only"),
    ("CERTIFICATE_REQUIRED", "tls-client-certificate"),
    ("UNRECOGNIZED_NAME", "tls-name"),
    ("ALERT_PROTOCOL_VERSION", "tls-version"),
    ("UNSUPPORTED_PROTOCOL", "tls-version"),
    ("WRONG_VERSION_NUMBER", "tls-not-spoken"),
    ("RECORD_LAYER_FAILURE", "tls-not-spoken"),
    ("HTTP_REQUEST", "tls-not-spoken"),
    ("PACKET_LENGTH_TOO_LONG", "tls-not-spoken"),
    ("BAD_RECORD_TYPE", "tls-not-spoken"),
)

# What servers say in a 400 to a plain request on the port for HTTPS.
_HTTPS_PORT: Final = (b"plain http request was sent to https port", b"http request to an https server")

# Seconds above which a step is slow. A lookup is one round trip, TCP another, TLS one or two.
SLOW: Final = {
    Step.DNS: 1.0,
    Step.TCP: 1.0,
    Step.TLS: 1.5,
    Step.UPGRADE: 2.0,
    Step.PING: 1.0,
    Step.CLOSE: 2.0,
}


def diagnose_uri(scheme: str, host: str) -> list[Finding]:
    """Judge the scheme as it was given; `host` without brackets."""
    findings = []
    if scheme in ("http", "https"):
        right = {"http": "ws", "https": "wss"}[scheme]
        findings.append(
            finding(ADVICE["uri-scheme"], f"the URI begins with {scheme}://; the doctor used {right}://")
        )
    if scheme in ("ws", "http") and not _is_local(host):
        findings.append(finding(ADVICE["uri-unencrypted"], f"{host} is reached without TLS"))
    return findings


def _is_local(host: str) -> bool:
    """Say whether a host is this machine. RFC 6761 §6.3."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def diagnose_lookup(lookup: Lookup, host: str) -> list[Finding]:
    """Judge the lookup of a name."""
    if lookup.outcome is Outcome.DONE:
        return slow(Step.DNS, lookup.seconds)
    row = "dns-no-such-host" if lookup.outcome is Outcome.NO_SUCH_HOST else "dns-failed"
    return [finding(ADVICE[row], f"looking up {host}: {lookup.detail}")]


def diagnose_dial(attempts: Sequence[Attempt]) -> list[Finding]:
    """Judge the connections to all addresses; the last one may have succeeded."""
    failed = [attempt for attempt in attempts if attempt.outcome is not Outcome.DONE]
    told = "; ".join(f"{attempt.address}: {attempt.detail}" for attempt in failed)
    if len(failed) == len(attempts):
        return [finding(ADVICE[_DIAL[failed[0].outcome]], told)]
    findings = [finding(ADVICE["tcp-some-addresses"], told)] if failed else []
    return findings + slow(Step.TCP, attempts[-1].seconds)


def diagnose_tls(tls: TlsHandshake) -> list[Finding]:
    """Judge a TLS handshake and the certificate."""
    if tls.outcome is Outcome.TIMEOUT:
        return [finding(ADVICE["tls-timeout"], f"nothing came within {tls.seconds:.1f} s")]
    if tls.outcome in (Outcome.ENDED, Outcome.FAILED):
        return [_not_shaken(tls)]
    findings = _certificate(tls)
    return findings + slow(Step.TLS, tls.seconds)


def _not_shaken(tls: TlsHandshake) -> Finding:
    """Judge a TLS handshake that failed, also by what the port says to a plain request."""
    ended = tls.outcome is Outcome.ENDED
    row = "tls-ended" if ended else reason_row(tls.reason)
    spoken = is_alert(tls.reason) or speaker(tls.plain) == TLS or wants_tls(tls.plain)
    if tls.plain and not spoken and row in ("tls-not-spoken", "tls-failed", "tls-ended"):
        if not is_http(tls.plain):
            return finding(ADVICE["not-http"], describe(tls.plain), step=Step.TLS)
        line = tls.plain.partition(b"\r\n")[0].decode("latin-1")
        return finding(ADVICE["tls-not-spoken"], f"a plain request there is answered with {line}")
    return finding(ADVICE[row], tls.detail if ended else f"OpenSSL says: {tls.detail}")


def is_alert(reason: str) -> bool:
    """Say whether OpenSSL's name of a failure is that of an alert, so that the other end speaks TLS."""
    return "_ALERT_" in reason


def wants_tls(answer: bytes) -> bool:
    """Say whether an answer in plain HTTP says that the port is for HTTPS."""
    return any(words in answer.lower() for words in _HTTPS_PORT)


def reason_row(reason: str) -> str:
    """Return the row for OpenSSL's reason."""
    return next((row for part, row in _REASONS if part in reason), "tls-failed")


def _certificate(tls: TlsHandshake) -> list[Finding]:
    told = _told(tls.certificate, tls.now)
    if not tls.checked:
        return [finding(ADVICE["cert-unchecked"], told or "any certificate was taken")]
    if tls.verify_code:
        if tls.verify_code in _NO_ISSUER:
            row = "cert-chain-incomplete" if tls.chain == 1 else "cert-unknown-authority"
            sent = "" if tls.chain is None else f"; the server sent {tls.chain} of the chain"
        else:
            row, sent = _CERTIFICATE.get(tls.verify_code, "cert-refused"), ""
        return [finding(ADVICE[row], f"{tls.detail.rstrip('.')}{sent}{': ' if told else ''}{told}")]
    if tls.certificate is not None and tls.certificate.not_after - tls.now < _SOON:
        return [finding(ADVICE["cert-expires-soon"], told)]
    return []


def _told(certificate: Certificate | None, now: float) -> str:
    """Return what a certificate says, in one sentence."""
    if certificate is None:
        return ""
    names = ", ".join(certificate.names) or "no names"
    days = (certificate.not_after - now) / _DAY
    if certificate.not_before > now:
        span = f"valid in {(certificate.not_before - now) / _DAY:.0f} days"
    elif days < 0:
        span = f"expired {-days:.0f} days ago"
    else:
        span = f"valid for {days:.0f} more days"
    return f"issued by {certificate.issuer} for {names}, {span}"


def certificate_text(certificate: Certificate, now: float) -> str:
    """Say in one sentence what a certificate says."""
    return _told(certificate, now)


def slow(step: Step, seconds: float) -> list[Finding]:
    """Judge the time that a step took."""
    if seconds < SLOW[step]:
        return []
    return [finding(ADVICE["slow"], f"{seconds:.1f} s, where {SLOW[step]:.1f} s are plenty", step=step)]
