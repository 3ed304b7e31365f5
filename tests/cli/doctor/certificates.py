"""Certificates with one fault each."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.sync.harness import AUTHORITY, HOST

_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _issued(
    name: str = HOST, *, authority: trustme.CA = AUTHORITY, **options: datetime.datetime
) -> ssl.SSLContext:
    context = _context()
    authority.issue_cert(name, **options).configure_cert(context)
    return context


def good() -> ssl.SSLContext:
    return _issued()


def expired() -> ssl.SSLContext:
    return _issued(not_before=_NOW - 9 * _DAY, not_after=_NOW - 2 * _DAY)


def not_yet_valid() -> ssl.SSLContext:
    return _issued(not_before=_NOW + 3 * _DAY, not_after=_NOW + 9 * _DAY)


def soon_over() -> ssl.SSLContext:
    return _issued(not_after=_NOW + 3 * _DAY)


def other_host() -> ssl.SSLContext:
    return _issued("other.example")


def private_authority() -> ssl.SSLContext:
    return _issued(authority=trustme.CA().create_child_ca())


def without_chain(folder: Path) -> ssl.SSLContext:
    """The authority is trusted, and the certificate between is not sent."""
    leaf = AUTHORITY.create_child_ca().issue_cert(HOST)
    return _from_files(folder, leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())


def self_signed(folder: Path) -> ssl.SSLContext:
    alone = trustme.CA()
    return _from_files(folder, alone.cert_pem.bytes(), alone.private_key_pem.bytes())


def for_clients(folder: Path) -> ssl.SSLContext:
    """It may not be used by a server: RFC 5280 §4.2.1.12."""
    leaf = AUTHORITY.issue_cert(HOST)
    old = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
        .serial_number(x509.random_serial_number())
        .public_key(old.public_key())
    )
    for extension in old.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            value = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(value, extension.critical)
    key = load_pem_private_key(AUTHORITY.private_key_pem.bytes(), None)
    made = builder.sign(key, SHA256())  # type: ignore[arg-type]
    from cryptography.hazmat.primitives.serialization import Encoding

    return _from_files(folder, made.public_bytes(Encoding.PEM), leaf.private_key_pem.bytes())


def asking_for_one() -> ssl.SSLContext:
    context = good()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)
    return context


def _from_files(folder: Path, certificate: bytes, key: bytes) -> ssl.SSLContext:
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    context = _context()
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
