"""The rules of a gateway: its rules folder and its feeds, compiled and loaded beside the packet loop.

A site puts rule files into the folder `rules` beside its baselines; what the policy's feeds gave lies below it
(`feedstore.py`). Whatever changes there, or in the zones' networks (the rules' HOME_NET), becomes another compiled
set; whatever changes in what the policy has rules do (profiles, suppressions, trials that end) becomes other
reactions to the same set. The loop swaps them in between two packets, and flows keep their state. A set that cannot
be loaded leaves the old one running.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.control.messages.gateway import NameBook
from appliance.events import record
from ctypes_ext.engine import EngineError, Rules
from ctypes_ext.reactions import Reactions
from dataplane.countries import changed, know
from dataplane.feeds import Key, on_trial
from dataplane.feedstore import FeedStore, FeedStoreError
from dataplane.feedupdate import FOLDER
from dataplane.reacting import Known, react
from dataplane.rulefiles import SUFFIX, Loaded, RulesError, load

_LOOK_EVERY = 1.0  # seconds
_TRIALS_EVERY = 600  # seconds: how late the end of a trial may be seen
_NICE = 5  # appliance/control/syscalls.py lets inspectd say just this
_SAID = 5  # refused rules that are named; `reef ips check` names all


class RuleChange(NamedTuple):
    """What the loop takes: rules, and what the policy has them do."""

    rules: Rules
    reactions: Reactions | None  # None: what each rule says


class _Seen(NamedTuple):
    """What a compiled set was made from."""

    loose: tuple[tuple[str, int, int], ...]
    feeds: tuple[tuple[str, str], ...]  # feed, folder of its current revision
    variables: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, int, int], ...]  # files of the gateway itself
    countries: tuple[int, int]  # the file that says them: its time and size


def home_networks(book: NameBook | None) -> dict[str, str]:
    """HOME_NET: every network that lies in a zone of the policy. Nothing before the policy is known."""
    networks = sorted({network for zone in book.networks.values() for network in zone}) if book is not None else []
    return {"HOME_NET": f"[{','.join(networks)}]"} if networks else {}


class RuleWatch(threading.Thread):
    """Looks into the folder once a second; `take` gives what is new, `words` what a person should read of it."""

    def __init__(self, folder: Path, cache: Path, state: Path, more: Path | None = None) -> None:
        """`more` is a folder of rules that the gateway writes itself."""
        super().__init__(name="rules", daemon=True)
        self._folder = folder
        self._more = more
        self._store = FeedStore(folder / FOLDER)
        self._cache = cache
        self._state = state
        self._changes: queue.SimpleQueue[RuleChange] = queue.SimpleQueue()
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = False
        self._look_now = threading.Event()
        self._loaded: Loaded | None = None
        self._book: NameBook | None = None
        self.looked = False  # what is there was loaded once, or is not to be had

    @property
    def book(self) -> NameBook | None:
        """What the running generation calls things; another one is looked at without waiting for the next second."""
        return self._book

    @book.setter
    def book(self, book: NameBook | None) -> None:
        if book is not self._book:
            self._book = book
            self._look_now.set()

    def take(self) -> RuleChange | None:
        """The newest change that was not taken yet."""
        newest = None
        while not self._changes.empty():
            newest = self._changes.get()
        return newest

    def words(self) -> list[str]:
        said = []
        while not self._words.empty():
            said.append(self._words.get())
        return said

    def stop(self) -> None:
        self._ended = True
        self._look_now.set()

    def run(self) -> None:
        with contextlib.suppress(OSError):  # it is nicer already
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)  # of this thread: Linux keeps one for each
        seen: _Seen | None = None
        reacted: tuple[NameBook, int] | None = None
        while True:
            self._look_now.clear()
            if self._ended:  # asked behind `clear`, so that no `stop` is missed
                return
            book, due = self._book, int(time.time()) // _TRIALS_EVERY
            if book is not None:
                now = self._look(book)
                if now != seen and (now.loose or now.feeds or now.more or self._loaded is not None):
                    reacted = (book, due) if self._load(now, book) else reacted
                elif self._loaded is not None and reacted != (book, due):
                    self._react(book)
                    reacted = book, due
                seen = now
                self.looked = True
            self._look_now.wait(_LOOK_EVERY)

    def _look(self, book: NameBook) -> _Seen:
        paths = ((feed.name, self._store.path(feed.name)) for feed in book.feeds)
        return _Seen(
            _signature(self._folder),
            tuple((name, str(path)) for name, path in paths if path is not None),
            tuple(home_networks(book).items()),
            _signature(self._more) if self._more is not None else (),
            changed(self._folder),
        )

    def _load(self, now: _Seen, book: NameBook) -> bool:
        named = {feed.file for feed in book.feeds if feed.file}
        loose = [self._folder / name for name, _, _ in now.loose if name.endswith(SUFFIX) and name not in named]
        more = (
            [self._more / name for name, _, _ in now.more if name.endswith(SUFFIX)] if self._more is not None else []
        )
        try:
            loaded = load([*loose, *(Path(path) for _, path in now.feeds), *more], dict(now.variables), self._cache)
        except (RulesError, EngineError) as error:
            self._words.put(f"rules not loaded, the old ones stay: {error}")
            self._tell(record.RulesState(0, 0, str(error)))
            return False
        if words := know(loaded.rules, self._folder, self._cache):
            self._words.put(words)
        self._loaded = loaded
        self._tell(record.RulesState(loaded.loaded, len(loaded.refused)))
        self._words.put(f"rules loaded: {loaded.loaded}; refused: {len(loaded.refused)}")
        for problem in loaded.refused[:_SAID]:
            self._words.put(f"rule refused: {problem}")
        self._react(book)
        return True

    def _react(self, book: NameBook) -> None:
        """What the policy has the loaded rules do. It goes with them, so that neither is ever without the other."""
        if self._loaded is None:
            return
        try:
            known = self._known(book, self._loaded.categories)
            self._changes.put(RuleChange(self._loaded.rules, react(self._loaded.rules, book, known, book.networks)))
        except (EngineError, FeedStoreError, OSError) as error:
            self._words.put(f"what the policy has rules do is not in force, what was before stays: {error}")

    def _known(self, book: NameBook, categories: Mapping[str, str]) -> Known:
        feeds: dict[Key, str] = {}
        trials: set[Key] = set()
        for feed in book.feeds:
            trial = self._store.trial(feed.name)
            for key in trial.signatures():
                feeds.setdefault(key, feed.name)
            trials |= on_trial(trial, feed.trial, int(time.time()))
        return Known(categories, feeds, frozenset(trials))

    def _tell(self, state: record.RulesState) -> None:
        """For `reef doctor`, which cannot ask this process."""
        partial = self._state.with_suffix(".new")
        try:
            partial.write_bytes(msgspec.json.encode(state))
            partial.rename(self._state)
        except OSError as error:
            self._words.put(f"{self._state}: {error.strerror}")


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes whenever a file in the folder does; () where there are no rules."""
    try:
        files = sorted(file for file in folder.iterdir() if not file.is_dir())
        if not any(file.suffix == SUFFIX for file in files):
            return ()
        stats = [(file.name, file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
