"""Reading and writing policy texts: plain words for every way that can fail, and never half a file."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from appliance.commands.failure import Failure
from appliance.control.deciding.sources import BASELINE_NAME, LIST_NAME, SourceError, Texts, named_lists
from appliance.control.messages.gateway import Finding
from appliance.policy.limits import MAX_LIST_FILE_BYTES, MAX_TEXT_BYTES

STDIN = "-"
# Far above the parser's own limit, which has the better words; this one keeps /dev/zero out of memory.
MAX_READ = 64 * 1024 * 1024


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


class _Named(Texts):
    """Texts by name; one that is there and cannot be read ends the verb."""

    def __getitem__(self, name: str) -> str:
        try:
            return super().__getitem__(name)
        except SourceError as error:
            raise Failure(f"{error.path}: {error.message}", error.remedy, name="unreadable") from error


class Baselines(_Named):
    """The texts that a policy may inherit; the first of `folders` that has one wins."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__(tuple(folders), ".yaml", BASELINE_NAME, MAX_TEXT_BYTES)


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


class ListFiles(_Named):
    """The list files that a text names: those below the text's folder, no others."""

    def __init__(self, folder: Path) -> None:
        super().__init__((folder,), "", LIST_NAME, MAX_LIST_FILE_BYTES)


def list_files(text: str, file: str) -> dict[str, str]:
    """The contents of every list file that the text names and that is there: what travels with it to the gateway.

    The pattern may find more than the parser will; a file too many does no harm, and a big text is not parsed twice.
    """
    files = ListFiles(folder_of(file))
    return {name: files[name] for name in named_lists(text) if name in files}
