"""The texts that belong to one policy, read from disk: the site's own, its baselines, its list files.

The pure core takes texts; this is where they come from. Baselines and lists are read when the parser asks for
them, so that only what a policy names is opened, and `read` says afterwards what that was. Nothing outside
the given folders is ever opened, also not through a symbolic link.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from appliance.policy.limits import MAX_LIST_FILE_BYTES, MAX_TEXT_BYTES

BASELINE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}")
LIST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,4}")
_FILE_KEY = re.compile(r"""\bfile["']?\s*:\s*["']?([^\s,}\]"'#]+)""")


class SourceError(Exception):
    """A text that is there and cannot be read. `remedy` says what would be right."""

    def __init__(self, path: Path, message: str, remedy: str) -> None:
        super().__init__(f"{path}: {message}; {remedy}")
        self.path = path
        self.message = message
        self.remedy = remedy


class Texts(Mapping[str, str]):
    """Texts by name, from the first of `folders` that has one; read once, when asked for."""

    def __init__(self, folders: tuple[Path, ...], suffix: str, names: re.Pattern[str], limit: int) -> None:
        self.folders = folders
        self.suffix = suffix
        self.names = names
        self.limit = limit
        self.read: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self.read:
            path = self._path(name)
            if path is None:
                raise KeyError(name)
            self.read[name] = read_text(path, self.limit)
        return self.read[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.read or self._path(name) is not None)

    def __iter__(self) -> Iterator[str]:
        found: dict[str, None] = dict.fromkeys(self.read)
        if self.suffix:
            for folder in self.folders:
                if folder.is_dir():
                    stems = sorted(path.stem for path in folder.glob(f"*{self.suffix}"))
                    found.update(dict.fromkeys(stem for stem in stems if self._path(stem) is not None))
        return iter(found)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path | None:
        if self.names.fullmatch(name) is None or ".." in name:
            return None
        for folder in self.folders:
            path = folder / f"{name}{self.suffix}"
            # resolve() follows every link on the way: what it finds must still lie in the folder.
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return path
        return None


class Sources(msgspec.Struct, frozen=True):
    """What `parse` takes: the site's text, its name for problems, and where baselines and lists come from."""

    text: str
    file: str
    inherited: Texts
    files: Texts


def baselines(*folders: Path) -> Texts:
    """The baselines in `folders`: `<name>.yaml`."""
    return Texts(folders, ".yaml", BASELINE_NAME, MAX_TEXT_BYTES)


def lists(*folders: Path) -> Texts:
    """The list files below `folders`."""
    return Texts(folders, "", LIST_NAME, MAX_LIST_FILE_BYTES)


def required(path: Path) -> tuple[str, ...]:
    """The baselines that a gateway requires, from its list: names, one a line, `#` begins a comment.

    None where there is no list. Raises `SourceError`.
    """
    if not os.path.lexists(path):
        return ()
    found: dict[str, None] = {}
    for number, line in enumerate(read_text(path, MAX_TEXT_BYTES).splitlines(), 1):
        word = line.partition("#")[0].strip()
        if word and BASELINE_NAME.fullmatch(word) is None:
            raise SourceError(path, f"line {number}: `{word}` is not the name of a baseline", "write one name a line")
        if word:
            found[word] = None
    return tuple(found)


def named_lists(text: str) -> list[str]:
    """The list files that a text names, each once. It may be more than the parser finds: also those in comments."""
    return list(dict.fromkeys(_FILE_KEY.findall(text)))


def with_own_lists(given: Mapping[str, str], inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The list files for a text: `given` by whoever brings it, but what a baseline names only from its own `folder`.

    A list is as much of a baseline as its rules are: nobody below may bring another one (R9). Raises `SourceError`.
    """
    own = lists(folder)
    files = dict(given)
    for text in inherited.values():
        for name in named_lists(text):
            files.pop(name, None)
            if name in own:
                files[name] = own[name]
    return files


def read_sources(path: Path, *inherited: Path) -> Sources:
    """The text at `path`; baselines from beside it, from `baselines/` there, and from the folders `inherited`.

    Raises `SourceError`.
    """
    folder = path.parent
    return Sources(
        read_text(path, MAX_TEXT_BYTES),
        path.name,
        baselines(folder, folder / "baselines", *inherited),
        lists(folder, folder / "baselines", *inherited),
    )


def read_text(path: Path, limit: int) -> str:
    """A whole file of at most `limit` bytes as UTF-8. Raises `SourceError`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise SourceError(path, error.strerror or str(error), "give the path of a file that can be read") from error
    if len(data) > limit:
        raise SourceError(path, f"more than {limit:,} bytes", "put long address lists into files of their own")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(path, f"line {line} is not UTF-8", "save the file as UTF-8") from error
