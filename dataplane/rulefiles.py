"""Rule files on disk: read, compiled, kept compiled beside their digest, and loaded into the engine.

A rule file's own folder holds what goes with it: classification.config, reference.config, the lists that rules name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ctypes_ext import engine
from dataplane.rules import about
from dataplane.rules.classes import CLASSES
from dataplane.rules.problem import Problem
from dataplane.ruleset import VARIABLES, RuleSet, Source, compile_rules

SUFFIX = ".rules"
FILE_MAX = 256 << 20  # bytes of one rule file or list
_KEPT = 8  # compiled sets that stay in the cache
_WORTH = 200  # rules from which on a set is kept
_FORMAT = 1  # of the cache's files


class RulesError(Exception):
    """Rule files cannot be read; says which, and why."""


class Lists:
    """The lists that rules name, beneath the folder of their rule file. What was read is remembered by digest."""

    def __init__(self) -> None:
        self.read_so_far: dict[tuple[str, str], str] = {}

    def read(self, rule_file: str, name: str) -> bytes | None:
        """The bytes of the list, or None where there is none that may be read."""
        content = _beneath(Path(rule_file).parent, name)
        self.read_so_far[rule_file, name] = "" if content is None else hashlib.sha256(content).hexdigest()
        return content


class _Kept(msgspec.Struct):
    """A compiled set in the cache. `lists` are (rule file, name, digest) of what it was made with besides."""

    format: int
    lists: list[tuple[str, str, str]]
    loaded: int
    skipped: int
    refused: list[Problem]
    replaced: list[Problem]
    image: bytes


class Loaded(NamedTuple):
    """Rules in the engine, and what became of the others."""

    rules: engine.Rules
    loaded: int
    skipped: int
    refused: list[Problem]
    replaced: list[Problem]
    categories: dict[str, str]  # words of a class, as alerts say it, to its name
    cached: bool


def load(paths: Sequence[Path], variables: Mapping[str, str] | None = None, cache: Path | None = None) -> Loaded:
    """The rules of these files, and of folders what ends in .rules, into the engine.

    `variables` stand over Suricata's defaults. `cache` is a folder for compiled sets, made when it is not there; what
    cannot be kept is compiled again next time. Raises `RulesError`, and `engine.EngineError` when the engine has no
    room for them.
    """
    sources, classes = _sources(paths)
    wanted = {**VARIABLES, **(variables or {})}
    engine_digest = engine.rules_engine_digest()
    key = _key(sources, wanted, classes, engine_digest)
    kept = _find(cache, key) if cache is not None else None
    if kept is not None and cache is not None:
        prepared = _bytes_of(cache / f"{key}.prepared")
        return _loaded(kept, engine.Rules(kept.image, prepared), classes, cached=True)
    lists = Lists()
    made = compile_rules(sources, wanted, classes, lists.read, engine_digest)
    kept = _Kept(
        _FORMAT,
        [(file, name, digest) for (file, name), digest in lists.read_so_far.items()],
        made.loaded,
        made.skipped,
        made.refused,
        made.replaced,
        made.image,
    )
    rules = engine.Rules(made.image)
    if cache is not None and made.loaded >= _WORTH:
        _keep(cache, key, kept, rules)
    return _loaded(kept, rules, classes, cached=False)


def compiled(paths: Sequence[Path], variables: Mapping[str, str] | None = None) -> RuleSet:
    """The rules of these files, compiled and no more. Raises `RulesError`."""
    sources, classes = _sources(paths)
    return compile_rules(sources, {**VARIABLES, **(variables or {})}, classes, Lists().read)


def _sources(paths: Sequence[Path]) -> tuple[list[Source], about.Classes]:
    """The texts, and what lies beside them."""
    files = rule_files(paths)
    sources = [Source(str(file), _text(file)) for file in files]
    classes = about.Classes(
        {**CLASSES, **about.read_classes(_configured(files, "classification.config"))},
        about.read_references(_configured(files, "reference.config")),
    )
    return sources, classes


def rule_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant. Raises `RulesError` for what is not there."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not inside:
            raise RulesError(f"{path}: no rule files in this folder; they end in {SUFFIX}")
        found += inside
    return found


def variables_of(words: Iterable[str]) -> dict[str, str]:
    """`HOME_NET=10.0.0.0/8` and the like. Raises `RulesError`."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier() or not value.strip():
            raise RulesError(f"{word!r} sets nothing; write NAME=VALUE, like HOME_NET=10.20.0.0/16")
        found[name] = value.strip()
    return found


def user_cache() -> Path:
    """Where compiled sets of this user lie."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reef" / "rules"


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > FILE_MAX:
            raise RulesError(f"{file}: larger than {FILE_MAX >> 20} MiB")
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise RulesError(f"{file}: {error.strerror}") from error


def _beneath(folder: Path, name: str) -> bytes | None:
    folder = folder.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        return None
    return _bytes_of(path)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= FILE_MAX else None
    except OSError:
        return None


def _configured(files: Sequence[Path], name: str) -> str:
    """The lines of a configuration file that lies beside rule files."""
    found = (_bytes_of(folder / name) for folder in dict.fromkeys(file.parent for file in files))
    return "\n".join(content.decode("utf-8", "replace") for content in found if content is not None)


def _key(sources: Sequence[Source], variables: Mapping[str, str], classes: about.Classes, digest: bytes) -> str:
    whole = hashlib.sha256()
    for part in (
        str(_FORMAT).encode(),
        digest,
        msgspec.json.encode(sorted(variables.items())),
        msgspec.json.encode([sorted(classes.classes.items()), sorted(classes.references.items())]),
        *(piece.encode("utf-8", "surrogateescape") for source in sources for piece in source),
    ):
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)
    return whole.hexdigest()


def _find(cache: Path, key: str) -> _Kept | None:
    found = _bytes_of(cache / f"{key}.image")
    if found is None:
        return None
    try:
        kept = msgspec.msgpack.decode(found, type=_Kept)
    except msgspec.DecodeError:
        return None
    lists = Lists()
    for file, name, _digest in kept.lists:
        lists.read(file, name)
    same = all(lists.read_so_far[file, name] == digest for file, name, digest in kept.lists)
    return kept if kept.format == _FORMAT and same else None


def _keep(cache: Path, key: str, kept: _Kept, rules: engine.Rules) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for name, content in ((f"{key}.prepared", rules.prepared()), (f"{key}.image", msgspec.msgpack.encode(kept))):
            partial = cache / f"{name}.{os.getpid()}"
            partial.write_bytes(content)
            partial.rename(cache / name)
        images = sorted(cache.glob("*.image"), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in images[_KEPT:]:
            old.with_suffix(".prepared").unlink(missing_ok=True)
            old.unlink(missing_ok=True)
    except OSError:
        return  # a cache that cannot be written is none; the set is compiled again next time


def _loaded(kept: _Kept, rules: engine.Rules, classes: about.Classes, *, cached: bool) -> Loaded:
    return Loaded(
        rules,
        kept.loaded,
        kept.skipped,
        kept.refused,
        kept.replaced,
        {words: name for name, (words, _) in classes.classes.items()},
        cached,
    )
