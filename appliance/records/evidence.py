"""What an evidence package says of itself: its README for a court, its keys, and what a check of it finds."""

from __future__ import annotations

import base64
import hashlib
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from appliance.records import bag
from appliance.records.bag import BagError
from appliance.records.checkpoint import Key, NoteError, parse_key
from appliance.records.merkle import ProofError
from appliance.records.proof import SUFFIX, check_proof, parse_proof
from crypto.notes import SEAL_NAMESPACE, pem_public, sealed_by, signed_by, ssh_public

KEYS = "data/keys"
AUDIT = "data/audit"
POLICY = "data/policy"
_GENERATION = b"reef generation 1\0"  # what keyd puts before the digest of a bundle that it signs


class Sealer(msgspec.Struct, frozen=True):
    """Who sealed: `records` is the verifier key of the trail and the seals, `generations` that of the bundles, b""
    where there are none."""

    records: Key
    generations: bytes = b""


class Found(msgspec.Struct, frozen=True):
    """What a check of a package found; no problem: it is as it was sealed."""

    identifier: str
    sealer: str
    proofs: int
    problems: tuple[str, ...]


def key_files(sealer: Sealer) -> dict[str, str]:
    """The public keys, as each tool takes them."""
    records = sealer.records
    files = {
        f"{KEYS}/allowed_signers": f"{records.name} {ssh_public(records.public, '').strip()}\n",
        f"{KEYS}/records.pem": pem_public(records.public),
        f"{KEYS}/records.vkey": f"{records.encode()}\n",
    }
    if sealer.generations:
        files[f"{KEYS}/generations.pem"] = pem_public(sealer.generations)
    return files


def readme(site: str, identifier: str, made: str, by: str, generation: int, sealer: Sealer) -> str:
    """For who has to judge the package and has none of our tools."""
    name = sealer.records.name
    bundle = f"{POLICY}/generation-{generation}"
    return f"""\
Evidence about the alert {identifier} at the gateway of {site}
made {made} by {by}

WHAT IS IN IT
  data/alerts.ndjson   the alert, as the gateway wrote it (one JSON object a line, Suricata's EVE format)
  data/events.ndjson   what else the gateway saw and decided of the same hosts around that time
  data/flows.json      the connections of its flow log that the same rules decided
  data/packets/        the packets of the connection (pcap), where the gateway was told to keep them
  data/files/          the files that it carried, likewise; they may be harmful
  data/rules.txt       the text of the signatures that alerted
  data/policy/         the policy that was in force: text, sealed bundle, signature
  data/audit/          who changed or did what about it, each entry with a proof (.tlog-proof) that it is in the
                       gateway's audit trail, and the trail's signed checkpoint
  data/keys/           the public keys of the gateway. Compare them with those that its owner gave you before:
                       keys in a package prove nothing about the package that they came with.

HOW TO CHECK IT, with public tools, in this folder
  1. The seal: nobody changed the list of digests since the gateway signed it (OpenSSH 8.1 or later).
       ssh-keygen -Y verify -f data/keys/allowed_signers -I {name} -n {SEAL_NAMESPACE} \\
           -s {bag.SEAL} < {bag.SEALED}
  2. The digests: nothing was changed, added or removed (coreutils; or any BagIt validator, RFC 8493).
       sha512sum --check --strict tagmanifest-sha512.txt && sha512sum --check --strict manifest-sha512.txt
  3. The policy: the bundle is one that the gateway sealed (OpenSSL 3).
       (printf 'reef generation 1\\0'; sha256sum < {bundle}.bundle | cut -d' ' -f1 | tr -d '\\n') > message
       openssl pkeyutl -verify -pubin -inkey data/keys/generations.pem -rawin -in message -sigfile {bundle}.signature
  4. Each entry of the audit trail: the proof leads from its hash, SHA-256 of a zero byte and the file, to the root
     in the checkpoint (RFC 9162, 2.1.3.2; the format is C2SP tlog-proof). `reef audit verify --entry FILE --proof
     FILE --key data/keys/records.vkey` does it; so do other tools for C2SP transparency logs.
  `reef evidence verify FOLDER` does all four.

WHAT IT PROVES, AND WHAT NOT
  That this is what the gateway had when the package was made, that the policy is the one it sealed, and that the
  entries of the trail stood there in that order. It does not prove that the gateway's clock was right, nor who sat at
  an address. Times are UTC.
"""


def short_readme(site: str, identifier: str, made: str, by: str, key: Key, missing: Sequence[str]) -> str:
    """Of a package that was made in the console, of what the gateway tells its people."""
    left_out = "".join(f"  - {words}\n" for words in missing)
    return f"""\
Evidence about the alert {identifier} at the gateway of {site}
made {made} by {by} in the gateway's console

WHAT IS IN IT
  data/alerts.ndjson   the alert, as the gateway gives it to who may have it (one JSON object a line, EVE format)
  data/events.ndjson   what else it saw and decided of the same connection
  data/policy/         the text of the policy that was in force
  data/audit/          who changed or did what about it, each entry with a proof (.tlog-proof) that it is in the
                       gateway's audit trail, and the trail's signed checkpoint
  data/keys/           the public key of the gateway. Compare it with the one that its owner gave you before: a key in
                       a package proves nothing about the package that it came with.

WHAT IS NOT IN IT
{left_out}
HOW TO CHECK IT, with public tools, in this folder
  1. The seal: nobody changed the list of digests since the gateway signed it (OpenSSH 8.1 or later).
       ssh-keygen -Y verify -f data/keys/allowed_signers -I {key.name} -n {SEAL_NAMESPACE} \\
           -s {bag.SEAL} < {bag.SEALED}
  2. The digests: nothing was changed, added or removed (coreutils; or any BagIt validator, RFC 8493).
       sha512sum --check --strict tagmanifest-sha512.txt && sha512sum --check --strict manifest-sha512.txt
  3. Each entry of the audit trail: the proof leads from its hash, SHA-256 of a zero byte and the file, to the root
     in the checkpoint (RFC 9162, 2.1.3.2; the format is C2SP tlog-proof).
  `reef evidence verify FOLDER` does all three.

WHAT IT PROVES, AND WHAT NOT
  That this is what the gateway told when the package was made, and that the entries of the trail stood there in that
  order. It does not prove that the gateway's clock was right, nor who sat at an address. Times are UTC.
"""


# --- checking ---------------------------------------------------------------------------------------------


def check(folder: Path, trusted: Key | None) -> Found:
    """Check a package; `trusted` is the key that its seal must be of, None to take the one in it. Raises `BagError`,
    `NoteError`."""
    info = bag.check(folder)
    key = parse_key((folder / KEYS / "records.vkey").read_text(errors="replace"))
    problems: list[str] = []
    if trusted is not None and trusted != key:
        problems.append(f"it is sealed by {key.name}, not by {trusted.name}")
    seal = folder / bag.SEAL
    if not seal.is_file():
        problems.append("it has no seal")
    elif not sealed_by(key.public, hashlib.sha512((folder / bag.SEALED).read_bytes()).digest(), seal.read_text()):
        problems.append(f"the seal is not that of {key.name} over {bag.SEALED}")
    proofs = list(_proofs(folder, key, problems))
    problems += _policy(folder)
    return Found(info.get("External-Identifier", ""), key.name, len(proofs), tuple(problems))


def _proofs(folder: Path, key: Key, problems: list[str]) -> Iterator[str]:
    for entry in sorted((folder / AUDIT).glob("*.json")):
        try:
            check_proof(parse_proof(entry.with_suffix(SUFFIX).read_bytes()), entry.read_bytes(), key)
        except (NoteError, ProofError, OSError) as error:
            problems.append(f"{entry.relative_to(folder)}: {error}")
        else:
            yield entry.name


def _policy(folder: Path) -> Iterator[str]:
    bundles = sorted((folder / POLICY).glob("*.bundle"))
    pem = (folder / KEYS / "generations.pem").read_text() if bundles else ""
    for bundle in bundles:
        message = _GENERATION + hashlib.sha256(bundle.read_bytes()).hexdigest().encode()
        if not signed_by(_raw(pem), message, bundle.with_suffix(".signature").read_bytes()):
            yield f"{bundle.relative_to(folder)} is not what the gateway sealed"


def _raw(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))[-32:]


# --- one file ---------------------------------------------------------------------------------------------


def pack(folder: Path, file: Path, seconds: int) -> None:
    """A package as one tar file: nothing of whose machine it was made on is in it. Raises OSError."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = seconds
        info.mode = 0o700 if info.isdir() else 0o600
        return info

    with tarfile.open(file, "x:", format=tarfile.PAX_FORMAT) as archive:
        archive.add(folder, folder.name, filter=plain)


def unpack(file: Path, folder: Path) -> Path:
    """The package in a tar file, below an empty folder; only plain files and folders. Raises `BagError`, OSError."""
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                _unpack_one(archive, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise BagError([f"{file.name} is no package: {error}"]) from error
    found = [path for path in folder.iterdir() if path.is_dir()]
    if len(found) != 1:
        raise BagError([f"{file.name} holds no package"])
    return found[0]


def _unpack_one(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
        raise BagError([f"{member.name!r} is no plain file below the package"])
    path = folder / name
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    if source is not None:
        with source, path.open("xb") as target:
            shutil.copyfileobj(source, target)
