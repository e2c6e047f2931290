"""Revisions of feeds on disk: each a folder that is never changed, and a link to the one that is looked for.

    <folder>/<feed>/000012-5f0c…/{*.rules, classification.config, …, revision.json}
    <folder>/<feed>/current -> 000012-5f0c…
    <folder>/<feed>/trial.json, asked

A power cut leaves the old revision or the new one, and perhaps a folder without `revision.json`, which counts as
none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from appliance.durable import replace, sync, write_all
from dataplane.feedfetch import digest_of
from dataplane.feeds import Key, Signature, Trial, begin, index

KEPT = 5  # revisions of a feed
_ABOUT = "revision.json"
_CURRENT = "current"
_TRIAL = "trial.json"
_ASKED = "asked"  # its time of change is when
_RULES = ".rules"


class FeedStoreError(Exception):
    """The store cannot do what it was asked; says why. What was current stays current."""


class Revision(msgspec.Struct, frozen=True):
    """`at` is when it came (seconds since the epoch), `origin` where from, `digest` that of its files."""

    serial: int
    digest: str
    at: int
    origin: str
    signatures: int

    @property
    def folder(self) -> str:
        return f"{self.serial:06d}-{self.digest[:12]}"


class FeedStore:
    """The feeds in one folder. Raises OSError where the disk does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def feeds(self) -> list[str]:
        """Those that have a current revision."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if (path / _CURRENT).is_symlink())
        except FileNotFoundError:
            return []

    def kept(self) -> list[str]:
        """Every feed that takes room here, whether anything of it is current or not."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.is_dir() and path.name[0] != ".")
        except FileNotFoundError:
            return []

    def revisions(self, feed: str) -> list[Revision]:
        """Oldest first."""
        found = []
        for path in (self._folder / feed).glob(f"*/{_ABOUT}"):
            if not path.parent.is_symlink():
                found.append(_about(path))
        return sorted(found, key=lambda revision: revision.serial)

    def current(self, feed: str) -> Revision | None:
        path = self.path(feed)
        return _about(path / _ABOUT) if path is not None else None

    def path(self, feed: str) -> Path | None:
        """The folder of the current revision."""
        try:
            target = self._folder / feed / (self._folder / feed / _CURRENT).readlink()
        except OSError:
            return None
        return target if (target / _ABOUT).is_file() else None

    def signatures(self, feed: str, revision: Revision) -> dict[Key, Signature]:
        """What a revision holds."""
        return index(_texts(self._folder / feed / revision.folder))

    def asked(self, feed: str) -> int | None:
        """When the feed last gave its files, new or not (seconds since the epoch); None: never."""
        try:
            return int((self._folder / feed / _ASKED).stat().st_mtime)
        except OSError:
            return None

    def trial(self, feed: str) -> Trial:
        """Since when each signature of the current revision has stood; nothing where that is not known."""
        try:
            return msgspec.json.decode((self._folder / feed / _TRIAL).read_bytes(), type=Trial)
        except (FileNotFoundError, msgspec.DecodeError):
            return Trial({})

    # --- changes --------------------------------------------------------------------------------------

    def put(self, feed: str, files: Mapping[str, bytes], origin: str, now: int) -> Revision | None:
        """Keep these files as the newest revision and make it current; None when the current one is the same."""
        digest = digest_of(files)
        with self._locked(feed) as folder:
            revisions = self.revisions(feed)
            standing = self.current(feed)
            if standing is not None and standing.digest == digest:
                _touch(folder / _ASKED, now)
                return None
            serial = max((revision.serial for revision in revisions), default=0) + 1
            signatures = index(
                content.decode("utf-8", "surrogateescape") for name, content in files.items() if name.endswith(_RULES)
            )
            if not signatures:
                raise FeedStoreError(f"feed {feed}: there is no rule in what came from {origin}")
            revision = Revision(serial, digest, now, origin, len(signatures))
            _write(folder / revision.folder, files, revision)
            self._make_current(folder, revision, signatures, now)
            self._tidy(folder, [*revisions, revision], revision)
            _touch(folder / _ASKED, now)
            return revision

    def take(self, feed: str, serial: int, now: int) -> Revision:
        """Make another revision current. Raises `FeedStoreError` when there is none of that number."""
        with self._locked(feed) as folder:
            for revision in self.revisions(feed):
                if revision.serial == serial:
                    self._make_current(folder, revision, self.signatures(feed, revision), now)
                    return revision
        known = ", ".join(str(revision.serial) for revision in self.revisions(feed)) or "none"
        raise FeedStoreError(f"feed {feed}: there is no revision {serial}; there are: {known}")

    def back(self, feed: str, now: int) -> Revision:
        """Make the revision before the current one current. Raises `FeedStoreError` when there is none."""
        standing = self.current(feed)
        before = [one for one in self.revisions(feed) if standing is not None and one.serial < standing.serial]
        if not before:
            raise FeedStoreError(f"feed {feed}: there is no revision before the current one")
        return self.take(feed, before[-1].serial, now)

    def forget(self, feed: str) -> None:
        """All revisions of a feed go. What is current goes first, so that never a half one is looked for."""
        with self._locked(feed) as folder:
            (folder / _CURRENT).unlink(missing_ok=True)
            sync(folder)
            shutil.rmtree(folder)

    @contextmanager
    def _locked(self, feed: str) -> Iterator[Path]:
        if not feed or "/" in feed or feed.startswith("."):
            raise FeedStoreError(f"{feed!r} is no name of a feed")
        folder = self._folder / feed
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(descriptor)

    def _make_current(self, folder: Path, revision: Revision, signatures: Mapping[Key, Signature], now: int) -> None:
        # The trial first: a power cut between the two leaves signatures on trial that were there before, not the
        # other way round.
        trial = begin(self.trial(folder.name), signatures, now)
        replace(folder / _TRIAL, msgspec.json.encode(trial), mode=0o644)
        partial = folder / f"{_CURRENT}.tmp"
        partial.unlink(missing_ok=True)
        partial.symlink_to(revision.folder)
        partial.rename(folder / _CURRENT)
        sync(folder)

    def _tidy(self, folder: Path, revisions: list[Revision], current: Revision) -> None:
        newest = sorted(revisions, key=lambda one: one.serial)[-KEPT:]
        keep = {revision.folder for revision in (*newest, current)}
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink() and path.name not in keep:
                shutil.rmtree(path)


def _write(folder: Path, files: Mapping[str, bytes], revision: Revision) -> None:
    """All of a revision on disk, and what says that it is whole last."""
    if folder.exists():
        shutil.rmtree(folder)  # left of a power cut
    folder.mkdir(mode=0o755)
    for name, content in files.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    replace(folder / _ABOUT, msgspec.json.encode(revision), mode=0o644)
    sync(folder.parent)


def _touch(path: Path, now: int) -> None:
    path.touch(mode=0o644)
    os.utime(path, (now, now))


def _about(path: Path) -> Revision:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Revision)
    except msgspec.DecodeError as error:
        raise FeedStoreError(f"{path}: damaged: {error}") from error


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob(f"*{_RULES}")):
        yield path.read_text(encoding="utf-8", errors="surrogateescape")
