"""Reading and writing policy texts: plain words for every way that can fail, and never half a file."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from appliance.commands.failure import Failure
from appliance.control.messages import Finding

STDIN = "-"
# Far above the parser's own limit, which has the better words; this one keeps /dev/zero out of memory.
MAX_READ = 64 * 1024 * 1024
_BASELINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def shown_name(file: str) -> str:
    """What messages call the file."""
    return "(standard input)" if file == STDIN else file


def read_text(file: str) -> str:
    """The text of a file, or of standard input for "-". Raises `Failure`."""
    name = shown_name(file)
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(MAX_READ + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_READ + 1)
    except OSError as error:
        remedy = "give the path of a policy text" if isinstance(error, IsADirectoryError | FileNotFoundError) else ""
        raise Failure(f"{name}: {error.strerror}", remedy, name="unreadable") from error
    if len(data) > MAX_READ:
        raise Failure(f"{name}: larger than {MAX_READ // 2**20} MiB, which no policy is", name="unreadable")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        wrong = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise Failure(
            f"{name}: not a text in UTF-8",
            findings=[Finding(name, line, column, wrong, "save the file as UTF-8")],
            texts={name: data.decode("utf-8", "replace")},
            name="unreadable",
        ) from error


def write_text(file: str, text: str) -> None:
    """Replace a file's text in one step, keeping its mode and owner. Raises `Failure`; then the old text is whole."""
    path = Path(file).resolve()
    data = text.encode()
    temporary = None
    try:
        status = path.stat()
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), status.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), status.st_uid, status.st_gid)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise Failure(f"{file}: cannot be written: {error.strerror}", name="unwritable") from error


class Baselines(Mapping[str, str]):
    """The texts that a policy may inherit, read from `folders` when they are asked for; the first folder wins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self.read: dict[str, str] = {}  # what was asked for, for the carets of its problems

    def __getitem__(self, name: str) -> str:
        if name not in self.read:
            path = self._path(name)
            if path is None:
                raise KeyError(name)
            self.read[name] = read_text(str(path))
        return self.read[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._path(name) is not None

    def __iter__(self) -> Iterator[str]:
        found: dict[str, None] = {}
        for folder in self.folders:
            with contextlib.suppress(OSError):
                found.update(dict.fromkeys(sorted(path.stem for path in folder.glob("*.yaml"))))
        return iter(found)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path | None:
        # A name is a file's stem and nothing else, so that no text can name a file elsewhere.
        if not _BASELINE_NAME.fullmatch(name):
            return None
        paths = (folder / f"{name}.yaml" for folder in self.folders)
        return next((path for path in paths if path.is_file()), None)


def baselines(file: str, given: Sequence[str] | None, own: Path | None = None) -> Baselines:
    """Where FILE's inherited texts lie: `given`, else beside it, in baselines/ beside or above it, and `own`."""
    if given:
        for folder in given:
            if not Path(folder).is_dir():
                raise Failure(
                    f"{folder}: not a directory", "--baselines names a directory of texts", name="unreadable"
                )
        return Baselines([Path(folder) for folder in given])
    beside = folder_of(file)
    folders = [beside, beside / "baselines", beside.parent / "baselines", *([own] if own is not None else [])]
    return Baselines(folders)


def folder_of(file: str) -> Path:
    """The directory that relative names in a text start from."""
    return Path.cwd() if file == STDIN else Path(file).resolve().parent


class ListFiles(Mapping[str, str]):
    """The list files that a text names, read when they are asked for: those below the text's folder, no others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self.read:
            path = self._path(name)
            if path is None:
                raise KeyError(name)
            self.read[name] = read_text(str(path))
        return self.read[name]

    def _path(self, name: str) -> Path | None:
        # A text that somebody else wrote must not make root read /etc/shadow aloud.
        if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            return None
        path = self.folder / name
        return path if path.is_file() else None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.read or self._path(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self.read)

    def __len__(self) -> int:
        return len(self.read)


_FILE_KEY = re.compile(r"""\bfile:[ ]*["']?([^\s,}\]"'#]+)""")


def list_files(text: str, file: str) -> dict[str, str]:
    """The contents of every list file that the text names and that is there: what travels with it to the gateway.

    The pattern may find more than the parser will; a file too many does no harm, and a big text is not parsed twice.
    """
    files = ListFiles(folder_of(file))
    return {name: files[name] for name in dict.fromkeys(_FILE_KEY.findall(text)) if name in files}
