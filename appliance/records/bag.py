"""A folder whose every byte is accounted for: BagIt (RFC 8493), version 1.0, with SHA-256 and SHA-512."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.durable import write_all

ALGORITHMS = ("sha256", "sha512")
SEALED = "tagmanifest-sha512.txt"  # it holds the digests of all other tag files, and those the payload's
SEAL = f"{SEALED}.sig"
_DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_PIECE = 1 << 20
_MOST_TAG = 256 << 20


class BagError(Exception):
    """It is no bag, or not what it was; `problems` names every file that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems[:20]))
        self.problems = problems


def make(folder: Path, info: Mapping[str, str]) -> bytes:
    """Make a bag of a folder whose payload lies in `data/`; the SHA-512 of what is to be sealed. Raises OSError."""
    payload = sorted(path.relative_to(folder).as_posix() for path in _files(folder / "data"))
    sizes = [(folder / name).stat().st_size for name in payload]
    told = {**info, "Payload-Oxum": f"{sum(sizes)}.{len(sizes)}"}
    _put(folder / "bagit.txt", _DECLARATION)
    _put(folder / "bag-info.txt", "".join(f"{name}: {_one_line(words)}\n" for name, words in told.items()))
    tags = ["bagit.txt", "bag-info.txt"]
    for algorithm in ALGORITHMS:
        name = f"manifest-{algorithm}.txt"
        _put(folder / name, _manifest(folder, payload, algorithm))
        tags.append(name)
    for algorithm in ALGORITHMS:
        _put(folder / f"tagmanifest-{algorithm}.txt", _manifest(folder, tags, algorithm))
    return hashlib.sha512((folder / SEALED).read_bytes()).digest()


def seal(folder: Path, signature: str) -> None:
    _put(folder / SEAL, signature)


def check(folder: Path) -> dict[str, str]:
    """What a bag says of itself, when every file is what its manifests say. Raises `BagError`."""
    problems: list[str] = []
    if _text(folder / "bagit.txt", problems) != _DECLARATION:
        problems.append("bagit.txt does not say that this is a bag")
    for algorithm in ALGORITHMS:
        for kind in ("manifest", "tagmanifest"):
            listed = _listed(folder, f"{kind}-{algorithm}.txt", problems)
            for name, digest in listed.items():
                problems += _differs(folder, name, digest, algorithm)
            if kind == "manifest":
                there = {path.relative_to(folder).as_posix() for path in _files(folder / "data")}
                problems += [f"{name} is in no {kind}-{algorithm}.txt" for name in sorted(there - set(listed))]
    if problems:
        raise BagError(list(dict.fromkeys(problems)))
    info = _text(folder / "bag-info.txt", problems)
    return {name: words.strip() for name, _, words in (line.partition(":") for line in info.splitlines())}


def _differs(folder: Path, name: str, digest: str, algorithm: str) -> Iterator[str]:
    path = folder / name
    inside = path.resolve().is_relative_to(folder.resolve())
    if not inside or path.is_symlink() or not path.is_file():
        yield f"{name} is missing" if inside else f"{name} lies outside of the bag"
    elif _digest(path, algorithm) != digest.lower():
        yield f"{name} was changed: it has not the {algorithm} that the manifest says"


def _listed(folder: Path, name: str, problems: list[str]) -> dict[str, str]:
    found = {}
    for line in _text(folder / name, problems).splitlines():
        digest, _, path = line.partition(" ")
        found[path.strip().replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")] = digest
    return found


def _text(path: Path, problems: list[str]) -> str:
    try:
        if path.stat().st_size > _MOST_TAG:
            problems.append(f"{path.name} is too large to be read")
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}")
        return ""


def _manifest(folder: Path, names: list[str], algorithm: str) -> str:
    return "".join(f"{_digest(folder / name, algorithm)}  {_escaped(name)}\n" for name in names)


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def _one_line(words: str) -> str:
    return " ".join(words.split())


def _put(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
