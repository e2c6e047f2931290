"""Fetches one feed: what an https address gives, checked as the policy says, and taken apart into files.

`python -m dataplane.feedfetch` is a program of its own, so that a process without any privilege reads what strangers
send: one `Order` as JSON on its input, one `Fetched` or `Failed` as MessagePack on its output.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import sys
import tarfile
import zlib
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from pathlib import PurePosixPath
from urllib.parse import urljoin, urlsplit

import msgspec

from crypto.web import fetching_context, signed_beside

DOWNLOAD_MAX = 128 << 20  # bytes of what an address gives
UNPACKED_MAX = 512 << 20  # bytes of all files in it
FILES_MAX = 1000
_DIGEST_MAX = 4096  # bytes of what says a digest or a signature
_SECONDS = 60.0  # without a byte
_PIECE = 1 << 20
_REDIRECTS = 5
_ELSEWHERE = (301, 302, 303, 307, 308)
_HEADERS = {"User-Agent": "reef", "Accept-Encoding": "identity"}
_KINDS = (".rules", ".config", ".lst", ".list", ".txt", ".csv", ".dat")
_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}


class FeedError(Exception):
    """The feed was not fetched, or is not what it should be; nothing of it is used."""


class Order(msgspec.Struct, frozen=True):
    """What to fetch, and how it must be vouched for: see `appliance.policy.model.Feed`."""

    address: str
    sha256: str = ""
    checksum: str = ""
    key: str = ""


class Fetched(msgspec.Struct, frozen=True, tag="fetched"):
    """The files by name, without folders, and the SHA-256 of what the address gave."""

    files: dict[str, bytes]
    sha256: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    reason: str


def fetch(order: Order) -> Fetched:
    """Fetch, check, take apart. Raises `FeedError`."""
    content = _get(order.address, DOWNLOAD_MAX)
    _check(order, content)
    return Fetched(unpack(PurePosixPath(urlsplit(order.address).path).name, content), _sha256(content))


def _get(address: str, most: int) -> bytes:
    """What an address gives. It may lead to others, all https: what begins checked does not go on unchecked."""
    asked = address
    for _ in range(_REDIRECTS):
        parts = urlsplit(asked)
        if parts.scheme != "https" or not parts.hostname:
            raise FeedError(f"{asked[:200]!r} is no https address")
        try:
            connection = HTTPSConnection(parts.hostname, parts.port, timeout=_SECONDS, context=fetching_context())
            with closing(connection):
                connection.request(
                    "GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/", headers=_HEADERS
                )
                answer = connection.getresponse()
                if answer.status in _ELSEWHERE:
                    asked = urljoin(asked, answer.getheader("Location", ""))
                    continue
                if answer.status != HTTPStatus.OK:
                    raise FeedError(f"{asked}: answered {answer.status} {answer.reason}")
                return _taken(asked, answer, most)
        except (OSError, HTTPException, ValueError) as error:
            raise FeedError(f"{asked}: {error}") from error
    raise FeedError(f"{address}: leads from address to address, {_REDIRECTS} times")


def _taken(address: str, answer: HTTPResponse, most: int) -> bytes:
    taken = bytearray()
    while piece := answer.read(_PIECE):
        taken += piece
        if len(taken) > most:
            raise FeedError(f"{address}: gives more than {most} bytes")
    if answer.length:  # what the server said there would be and is not
        raise FeedError(f"{address}: broke off after {len(taken)} bytes, {answer.length} before its end")
    return bytes(taken)


def _check(order: Order, content: bytes) -> None:
    if order.sha256 and not hmac.compare_digest(order.sha256.lower(), _sha256(content)):
        raise FeedError(f"{order.address}: its SHA-256 is {_sha256(content)}, the policy wants {order.sha256}")
    if order.checksum:
        wanted = digest_in(_get(order.checksum, _DIGEST_MAX), order.checksum)
        found = hashlib.new(_DIGESTS[len(wanted)], content, usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(wanted, found):
            raise FeedError(f"{order.address}: its digest is {found}, {order.checksum} says {wanted}")
    if order.key:
        signature = _get(f"{order.address}.sig", _DIGEST_MAX)
        if not signed_beside(order.key, content, signature):
            raise FeedError(f"{order.address}: the signature beside it is not that of the policy's key")


def digest_in(text: bytes, where: str) -> str:
    """The digest that a checksum file says: its first word, in lower case. Raises `FeedError`."""
    words = text.decode("ascii", "replace").split()
    word = words[0].lower() if words else ""
    if len(word) not in _DIGESTS or not all(digit in "0123456789abcdef" for digit in word):
        raise FeedError(f"{where}: begins with no digest in hexadecimal digits (MD5, SHA-1, SHA-256 or SHA-512)")
    return word


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# --- taking apart -----------------------------------------------------------------------------------------


def unpack(name: str, content: bytes) -> dict[str, bytes]:
    """The files of a tar archive (plain, gzip, bzip2, xz), or the one rule file. Raises `FeedError`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
            files = _members(archive)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        if name.endswith(".rules"):
            files = {name: content}
        else:
            raise FeedError(
                f"{name or 'the answer'}: neither a tar archive nor a file that ends in .rules"
            ) from error
    if not any(file.endswith(".rules") for file in files):
        raise FeedError(f"{name}: holds no file that ends in .rules")
    return files


def is_wanted(name: str) -> bool:
    """Is a file of that name one that rules need?"""
    return name.endswith(_KINDS) and not name.startswith(".")


def _members(archive: tarfile.TarFile) -> dict[str, bytes]:
    """Plain files of kinds that rules need; their folders are left out, so no name leads anywhere."""
    files: dict[str, bytes] = {}
    whole = 0
    for member in archive:
        name = PurePosixPath(member.name).name
        if not member.isreg() or not is_wanted(name):
            continue
        whole += member.size
        if whole > UNPACKED_MAX or len(files) >= FILES_MAX:
            raise FeedError(f"holds more than {FILES_MAX} files or {UNPACKED_MAX >> 20} MiB")
        taken = archive.extractfile(member)
        if taken is None or name in files:
            raise FeedError(f"{name} is in it twice")
        files[name] = taken.read()
    return files


def digest_of(files: Mapping[str, bytes]) -> str:
    """The digest of a set of files, whatever their order."""
    whole = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            whole.update(len(part).to_bytes(8, "little"))
            whole.update(part)
    return whole.hexdigest()


def main() -> None:
    try:
        answer: Fetched | Failed = fetch(msgspec.json.decode(sys.stdin.buffer.read(1 << 16), type=Order))
    except (FeedError, msgspec.DecodeError) as error:
        answer = Failed(str(error))
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
