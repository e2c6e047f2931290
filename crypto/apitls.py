"""The TLS side of the API that consumers ask: its certificate, and the certificates that they show."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.durable import replace
from crypto.selfsigned import self_signed

TlsContext = ssl.SSLContext
KEY, CERTIFICATE, CLIENTS = "key.pem", "certificate.pem", "clients"
# Who trusts it trusts this very certificate, by its fingerprint: that it ends would only cut them off one day.
_LIFETIME = datetime.timedelta(days=3650)


class CertificateError(Exception):
    """A key or a certificate cannot be used; the text says which and why."""


class Identity:
    """A key and its certificate, in files of PEM. Raises `CertificateError`."""

    def __init__(self, key: Path, certificate: Path) -> None:
        self.key = key
        self.certificate = certificate
        try:
            found = x509.load_pem_x509_certificate(certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise CertificateError(f"{certificate}: {error}") from error
        self.fingerprint = found.fingerprint(hashes.SHA256()).hex()
        self._certificate = found

    def covers(self, names: Iterable[str]) -> bool:
        """Whether it is a certificate for all of these DNS names and addresses."""
        try:
            known = self._certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        addresses = {str(one) for one in known.get_values_for_type(x509.IPAddress)}
        return set(names) <= addresses | set(known.get_values_for_type(x509.DNSName))


def identity(
    given: Path, own: Path, names: Sequence[str], now: datetime.datetime, *, covers: bool = False
) -> Identity:
    """The one in the directory `given`; where there is none, the one in `own`, which signs itself and is made when it
    is first asked for; with `covers` also when it is not for all the names. Raises `CertificateError`."""
    if (given / CERTIFICATE).exists():
        return Identity(given / KEY, given / CERTIFICATE)
    there = (own / CERTIFICATE).exists()
    if not there or (covers and not Identity(own / KEY, own / CERTIFICATE).covers(names)):
        key, certificate = self_signed(names, now, _LIFETIME)
        try:
            replace(own / KEY, key, mode=0o600)
            replace(own / CERTIFICATE, certificate, mode=0o600)
        except OSError as error:
            raise CertificateError(f"{own}: {error.strerror}; the certificate of the API is kept there") from error
    return Identity(own / KEY, own / CERTIFICATE)


def serving_context(own: Identity, clients: Path) -> TlsContext:
    """A server with TLS 1.2 or later. Clients may show a certificate: one of the `*.pem` files in `clients`, or one
    that an authority among these has signed. Any other is refused. Raises `CertificateError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(own.certificate, own.key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"{own.key}, {own.certificate}: {error}") from error
    known = sorted(clients.glob("*.pem")) if clients.is_dir() else []
    for path in known:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(f"{path}: {error}") from error
    if known:
        # A certificate of a client is trusted as it is, whoever signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
