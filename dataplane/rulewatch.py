"""The rules of a gateway's taps: what lies in its rules folder, compiled and loaded beside the packet loop.

A site puts rule files into the folder `rules` beside its baselines. Whatever changes there, or in the zones' networks
(the rules' HOME_NET), becomes another compiled set; the loop swaps it in between two packets, and flows keep their
state. A set that cannot be loaded leaves the old one running.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.control.messages import NameBook
from appliance.events import record
from ctypes_ext.engine import EngineError
from dataplane.rulefiles import SUFFIX, Loaded, RulesError, load

_LOOK_EVERY = 1.0  # seconds
_SAID = 5  # refused rules that are named; `reef ips check` names all


def home_networks(book: NameBook | None) -> dict[str, str]:
    """HOME_NET: every network that lies in a zone of the policy. Nothing before the policy is known."""
    networks = sorted({network for zone in book.networks.values() for network in zone}) if book is not None else []
    return {"HOME_NET": f"[{','.join(networks)}]"} if networks else {}


class RuleWatch(threading.Thread):
    """Looks into the folder once a second; `take` gives what is new, `words` what a person should read of it."""

    def __init__(self, folder: Path, cache: Path, state: Path) -> None:
        super().__init__(name="rules", daemon=True)
        self._folder = folder
        self._cache = cache
        self._state = state
        self._loaded: queue.SimpleQueue[Loaded] = queue.SimpleQueue()
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = threading.Event()
        self.book: NameBook | None = None
        self.looked = False  # what is there was loaded once, or is not to be had

    def take(self) -> Loaded | None:
        """The newest set that was not taken yet."""
        newest = None
        while not self._loaded.empty():
            newest = self._loaded.get()
        return newest

    def words(self) -> list[str]:
        said = []
        while not self._words.empty():
            said.append(self._words.get())
        return said

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        seen: tuple[object, ...] = ()
        while True:
            book = self.book
            variables = home_networks(book)
            now = (_signature(self._folder), tuple(variables.items()))
            if book is not None and now != seen and (now[0] or seen):
                self._load([self._folder] if now[0] else [], variables)
            if book is not None:
                seen = now if now[0] or seen else ()
                self.looked = True
            if self._stop.wait(_LOOK_EVERY):
                return

    def _load(self, paths: Sequence[Path], variables: Mapping[str, str]) -> None:
        try:
            loaded = load(paths, variables, self._cache)
        except (RulesError, EngineError) as error:
            self._words.put(f"rules not loaded, the old ones stay: {error}")
            self._tell(record.RulesState(0, 0, str(error)))
            return
        self._loaded.put(loaded)
        self._tell(record.RulesState(loaded.loaded, len(loaded.refused)))
        self._words.put(f"rules loaded: {loaded.loaded}; refused: {len(loaded.refused)}")
        for problem in loaded.refused[:_SAID]:
            self._words.put(f"rule refused: {problem}")

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
        files = sorted(folder.iterdir())
        if not any(file.suffix == SUFFIX for file in files):
            return ()
        stats = [(file.name, file.stat()) for file in files]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
