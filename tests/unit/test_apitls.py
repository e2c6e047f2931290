"""The TLS side of the API: whose certificate it shows, and whose it takes."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from crypto.apitls import CERTIFICATE, KEY, CertificateError, identity, serving_context
from crypto.selfsigned import self_signed

NOW = datetime.datetime.now(datetime.UTC)


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Key and certificate that sign themselves."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = self_signed([name], NOW)
    (folder / KEY).write_bytes(key)
    (folder / CERTIFICATE).write_bytes(certificate)
    return folder / KEY, folder / CERTIFICATE


def shown(server: ssl.SSLContext, trusted: Path, client: tuple[Path, Path] | None) -> bytes | None:
    """What the server sees of the client's certificate after a handshake and an answer. Raises ssl.SSLError,
    ConnectionError, on the client's side."""
    ours, theirs = socket.socketpair()
    seen: list[bytes | None] = []

    def serve() -> None:
        try:
            with server.wrap_socket(ours, server_side=True) as line:
                seen.append(line.getpeercert(binary_form=True))
                line.sendall(b"hello")
        except (ssl.SSLError, ConnectionError):
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cafile=str(trusted))
    if client is not None:
        context.load_cert_chain(client[1], client[0])
    theirs.settimeout(20)
    try:
        with context.wrap_socket(theirs, server_hostname="gateway.example") as line:
            if line.recv(5) != b"hello":
                raise ConnectionError("no answer")
    finally:
        thread.join()
    return seen[0]


def test_the_certificate_that_was_given_goes_before_its_own(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    first = identity(tmp_path / "given", own, ["gateway.example"], NOW)
    assert identity(tmp_path / "given", own, ["another.example"], NOW).fingerprint == first.fingerprint, "it is kept"
    assert (own / KEY).stat().st_mode & 0o777 == 0o600
    pair(tmp_path / "given", "gateway.example")
    given = identity(tmp_path / "given", own, ["gateway.example"], NOW)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "given" / CERTIFICATE).read_text())
    assert given.fingerprint == sha256(der).hexdigest() != first.fingerprint


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    pair(tmp_path, "gateway.example")
    (tmp_path / CERTIFICATE).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(CertificateError, match=CERTIFICATE):
        identity(tmp_path, tmp_path, ["gateway.example"], NOW)


def test_clients_may_show_a_certificate_that_is_known_and_no_other(tmp_path: Path) -> None:
    clients = tmp_path / "clients"
    known, stranger = pair(tmp_path / "known", "csirt"), pair(tmp_path / "stranger", "csirt")
    clients.mkdir()
    (clients / "csirt.pem").write_bytes(known[1].read_bytes())
    own = identity(tmp_path / "none", tmp_path, ["gateway.example"], NOW)
    context = serving_context(own, clients)
    assert shown(context, own.certificate, None) is None
    der = ssl.PEM_cert_to_DER_cert(known[1].read_text())
    assert shown(context, own.certificate, known) == der
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown(context, own.certificate, stranger)


def test_what_is_no_certificate_among_those_of_clients_is_named(tmp_path: Path) -> None:
    own = identity(tmp_path / "none", tmp_path, ["gateway.example"], NOW)
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "broken.pem").write_text("nothing")
    with pytest.raises(CertificateError, match=r"broken\.pem"):
        serving_context(own, tmp_path / "clients")
