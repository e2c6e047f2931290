"""Updates of feeds: fetch what the policy names, compare it with what stands, keep it as a revision.

What an address gives is fetched by a program of its own (`feedfetch.py`) under a user without privilege.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from appliance.policy.model import Feed
from dataplane.feedfetch import FILES_MAX, UNPACKED_MAX, Failed, FeedError, Fetched, Order, is_wanted
from dataplane.feeds import Difference, difference, index
from dataplane.feedstore import FeedStore, Revision

FOLDER = "feeds"  # of the gateway's rules
_HOUR = 3600
_PATIENCE = 900.0  # seconds for one feed, whatever the line


class Updated(msgspec.Struct, frozen=True):
    """What became of one feed. `revision` is None where nothing new came, or where it was only looked at."""

    feed: str
    origin: str
    revision: Revision | None
    difference: Difference


class Account(msgspec.Struct, frozen=True):
    """The user under whom strangers' answers are read; None leaves it as it is (for who has no choice of user)."""

    user: int | None = None
    group: int | None = None


def update(store: FeedStore, feed: Feed, rules: Path, account: Account, now: int, *, keep: bool = True) -> Updated:
    """Take in what a feed gives now, or only compare. Raises `FeedError`, `FeedStoreError`, OSError."""
    origin = feed.address or str(rules / feed.file)
    files = _fetched(feed, account) if feed.address else _read(rules, feed)
    standing = store.current(feed.name)
    before = store.signatures(feed.name, standing) if standing is not None else {}
    texts = (content.decode("utf-8", "surrogateescape") for name, content in files.items() if name.endswith(".rules"))
    told = difference(before, index(texts))
    revision = store.put(feed.name, files, origin, now) if keep else None
    return Updated(feed.name, origin, revision, told)


def due(store: FeedStore, feeds: Iterable[Feed], now: int) -> list[Feed]:
    """Feeds with nothing yet, and those of an address that were last asked `refresh` hours ago or more."""
    found = []
    for feed in feeds:
        asked = store.asked(feed.name)
        if asked is None or not 0 <= now - asked < feed.refresh * _HOUR:
            found.append(feed)
    return found


def _fetched(feed: Feed, account: Account) -> dict[str, bytes]:
    order = Order(feed.address, feed.sha256, feed.checksum, feed.key)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dataplane.feedfetch"],
            input=msgspec.json.encode(order),
            stdout=subprocess.PIPE,
            check=False,
            timeout=_PATIENCE,
            user=account.user,
            group=account.group,
            extra_groups=None if account.group is None else [],
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        raise FeedError(f"feed {feed.name}: {feed.address} gave no whole answer in {_PATIENCE:.0f} s") from error
    try:
        answer = msgspec.msgpack.decode(done.stdout, type=Fetched | Failed)
    except msgspec.DecodeError as error:
        raise FeedError(f"feed {feed.name}: fetching it ended with exit code {done.returncode}") from error
    if isinstance(answer, Failed):
        raise FeedError(f"feed {feed.name}: {answer.reason}")
    return answer.files


def _read(rules: Path, feed: Feed) -> dict[str, bytes]:
    """A file or folder of the gateway itself."""
    path = (rules / feed.file).resolve()
    if not path.is_relative_to(rules.resolve()):
        raise FeedError(f"feed {feed.name}: {path} does not lie in {rules}")
    if path.is_dir():
        paths = sorted(one for one in path.iterdir() if one.is_file() and is_wanted(one.name))
    else:
        paths = [path]
    if len(paths) > FILES_MAX or sum(one.stat().st_size for one in paths) > UNPACKED_MAX:
        raise FeedError(f"feed {feed.name}: more than {FILES_MAX} files or {UNPACKED_MAX >> 20} MiB in {path}")
    return {one.name: one.read_bytes() for one in paths}
