"""`reef ips feeds`, `update`, `revisions`, `difference`, `take`: where signatures come from, what is new in them."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

import msgspec

from appliance.commands.failure import OK, REFUSED, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time
from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import AuditNote
from appliance.control.messages.why import Noted
from appliance.policy.model import Feed

if TYPE_CHECKING:
    from dataplane.feeds import Difference
    from dataplane.feedstore import FeedStore, Revision

SHOWN = 20  # signatures of each kind that are printed; `--all` and `--json` have the rest


class FeedRow(msgspec.Struct, frozen=True):
    """A feed as `--json` tells it. `revision` 0: nothing came yet; `on_trial`: signatures that only alert as yet."""

    feed: str
    origin: str
    revision: int
    at: int
    asked: int
    signatures: int
    on_trial: int
    trial_days: int
    named: bool = True  # by the policy that runs; another one is only kept


class SignatureRow(msgspec.Struct, frozen=True):
    gid: int
    sid: int
    rev: int
    action: str
    message: str


class UpdateRow(msgspec.Struct, frozen=True):
    """What an update did. `error` is empty where it went well; `revision` 0: nothing new, or only looked at."""

    feed: str
    revision: int
    added: list[SignatureRow]
    removed: list[SignatureRow]
    changed: list[SignatureRow]
    error: str = ""


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    from dataplane.feeds import on_trial

    gateway = Gateway(options)
    if options.forget:
        return _forget(gateway, terminal)
    store, now, rows = _store(gateway), int(time.time()), []
    feeds = _named(gateway, ())
    unnamed = [Feed(name) for name in store.kept() if name not in {feed.name for feed in feeds}]
    for feed in (*feeds, *unnamed):
        standing = store.current(feed.name)
        rows.append(
            FeedRow(
                feed.name,
                feed.address or feed.file,
                standing.serial if standing else 0,
                standing.at if standing else 0,
                store.asked(feed.name) or 0,
                standing.signatures if standing else 0,
                len(on_trial(store.trial(feed.name), feed.trial, now)),
                feed.trial,
                named=feed not in unnamed,
            )
        )
    if terminal.json:
        terminal.data(rows)
        return OK
    heads = ("feed", "from", "revision", "since", "asked", "signatures", "on trial")
    terminal.table(
        heads,
        [
            (
                row.feed,
                escape(row.origin) if row.named else "the policy no longer names it",
                str(row.revision or "none yet"),
                local_time(row.at) if row.at else "-",
                local_time(row.asked) if row.asked else "never",
                str(row.signatures),
                f"{row.on_trial} ({count(row.trial_days, 'day')})" if row.trial_days else "-",
            )
            for row in rows
        ],
        right={5},
        empty="the policy names no feeds; `feeds:` in its text does",
    )
    return OK


def _forget(gateway: Gateway, terminal: Terminal) -> int:
    """Those go that the policy no longer names; not while another one may come back by itself."""
    _as_root(gateway, "ips feeds --forget")
    status = gateway.ask(messages.Status(), messages.StatusReport)
    if status.running != status.confirmed:
        words = f"generation {status.running} is not confirmed; the one before it may name other feeds"
        raise Failure(words, "reef confirm", name="pending")
    store, named = _store(gateway), {feed.name for feed in _named(gateway, ())}
    gone = [name for name in store.kept() if name not in named]
    for name in gone:
        store.forget(name)
    if terminal.json:
        terminal.data(gone)
    else:
        terminal.line(f"forgotten: {', '.join(gone)}" if gone else "nothing to forget: the policy names every feed")
    return OK


def update(options: argparse.Namespace, terminal: Terminal) -> int:
    from dataplane.feedfetch import FeedError
    from dataplane.feedstore import FeedStoreError
    from dataplane.feedupdate import Account, due
    from dataplane.feedupdate import update as take_in

    gateway = Gateway(options)
    _as_root(gateway)
    store, now = _store(gateway), int(time.time())
    feeds = _named(gateway, options.feeds)
    if options.due:
        feeds = due(store, feeds, now)
    identity = gateway.instance.identities["inspectd"]
    account = Account(identity.uid, identity.gid)
    rows = []
    for feed in feeds:
        terminal.note(f"{feed.name}: {escape(feed.address or feed.file)} …", "dim")
        try:
            done = take_in(store, feed, gateway.instance.rules, account, now, keep=not options.dry_run)
        except (FeedError, FeedStoreError, OSError) as error:
            rows.append(UpdateRow(feed.name, 0, [], [], [], str(error)))
        else:
            rows.append(_row(feed.name, done.revision, done.difference))
            if done.revision is not None:
                _note(gateway, terminal, "feed.update", feed.name, done.revision)
        if not terminal.json:
            _show(rows[-1], terminal, every=options.all, kept=not options.dry_run)
    if terminal.json:
        terminal.data(rows)
    return REFUSED if any(row.error for row in rows) else OK


def difference(options: argparse.Namespace, terminal: Terminal) -> int:
    from dataplane.feeds import difference as between

    gateway = Gateway(options)
    store = _store(gateway)
    revisions = {revision.serial: revision for revision in store.revisions(options.feed)}
    standing = store.current(options.feed)
    new = options.to or (standing.serial if standing else 0)
    old = options.since or max((serial for serial in revisions if serial < new), default=0)
    for serial in (old, new):
        if serial not in revisions:
            known = ", ".join(map(str, revisions)) or "none"
            raise Failure(
                f"feed {options.feed} has no revision {serial or 'before the current one'}",
                f"its revisions: {known}",
                name="revision",
            )
    told = between(store.signatures(options.feed, revisions[old]), store.signatures(options.feed, revisions[new]))
    row = _row(options.feed, revisions[new], told)
    if terminal.json:
        terminal.data(row)
    else:
        terminal.line(f"revision {old} to {new}")
        _show(row, terminal, every=options.all, kept=True)
    return OK


def revisions(options: argparse.Namespace, terminal: Terminal) -> int:
    store = _store(Gateway(options))
    found, standing = store.revisions(options.feed), store.current(options.feed)
    if terminal.json:
        terminal.data(found)
        return OK
    terminal.table(
        ("revision", "since", "signatures", "digest", "from"),
        [
            (
                f"{one.serial}{' (current)' if one == standing else ''}",
                local_time(one.at),
                str(one.signatures),
                one.digest[:12],
                escape(one.origin),
            )
            for one in found
        ],
        right={2},
        empty=f"feed {options.feed} gave nothing yet; `reef ips update` fetches it",
    )
    return OK


def take(options: argparse.Namespace, terminal: Terminal) -> int:
    from dataplane.feedstore import FeedStoreError

    gateway = Gateway(options)
    _as_root(gateway)
    store, now = _store(gateway), int(time.time())
    try:
        revision = (
            store.take(options.feed, options.revision, now) if options.revision else store.back(options.feed, now)
        )
    except FeedStoreError as error:
        raise Failure(str(error), f"`reef ips revisions {options.feed}` lists them", name="revision") from error
    _note(gateway, terminal, "feed.take", options.feed, revision)
    if terminal.json:
        terminal.data(revision)
    else:
        terminal.line(
            f"feed {options.feed}: revision {revision.serial} of {local_time(revision.at)} is current, "
            f"{count(revision.signatures, 'signature')}; it is loaded within seconds",
            "green",
        )
    return OK


# --- common ---------------------------------------------------------------------------------------------------


def _store(gateway: Gateway) -> FeedStore:
    from dataplane.feedstore import FeedStore
    from dataplane.feedupdate import FOLDER

    return FeedStore(gateway.instance.rules / FOLDER)


def _named(gateway: Gateway, names: tuple[str, ...] | list[str]) -> list[Feed]:
    """The feeds of the running policy, or those of them that are named. Raises `Failure` for another name."""
    feeds = {feed.name: feed for feed in gateway.ask(messages.Names(), messages.NameBook).feeds}
    for name in names:
        if name not in feeds:
            raise Failure(
                f"the policy that runs names no feed {name!r}",
                f"its feeds: {', '.join(feeds) or 'none'}",
                name="feed",
            )
    return [feeds[name] for name in names] if names else list(feeds.values())


def _as_root(gateway: Gateway, verb: str = "ips update") -> None:
    if os.geteuid() != 0:
        raise Failure("only root changes feeds", f"sudo {gateway.command(verb)}", code=USAGE, name="root")


def _note(gateway: Gateway, terminal: Terminal, action: str, feed: str, revision: Revision) -> None:
    """For the audit trail: which signatures are asked from now on, and who saw to that."""
    detail = {"revision": f"{revision.serial}", "signatures": f"{revision.signatures}"}
    try:
        gateway.ask(AuditNote(action, feed, detail=detail), Noted)
    except Failure as failure:
        terminal.note(f"not in the audit trail: {failure.message}", "yellow")


def _row(feed: str, revision: Revision | None, told: Difference) -> UpdateRow:
    return UpdateRow(
        feed,
        revision.serial if revision else 0,
        [SignatureRow(one.gid, one.sid, one.rev, one.action, one.message) for one in told.added],
        [SignatureRow(one.gid, one.sid, one.rev, one.action, one.message) for one in told.removed],
        [
            SignatureRow(one.after.gid, one.after.sid, one.after.rev, one.after.action, one.after.message)
            for one in told.changed
        ],
    )


def _show(row: UpdateRow, terminal: Terminal, *, every: bool, kept: bool) -> None:
    if row.error:
        terminal.line(escape(row.error), "red")
        return
    if not (row.added or row.removed or row.changed):
        terminal.line(f"{row.feed}: nothing new")
        return
    standing = f"revision {row.revision}" if row.revision else ("the same files" if kept else "not kept")
    terminal.line(
        f"{row.feed}: {standing}; {len(row.added)} new, {len(row.changed)} changed, {len(row.removed)} gone", "green"
    )
    for sign, signatures in (("+", row.added), ("~", row.changed), ("-", row.removed)):
        most = len(signatures) if every else SHOWN
        for one in signatures[:most]:
            terminal.line(f"  {sign} {one.sid} rev {one.rev} {escape(one.action)}: {escape(one.message)}")
        if len(signatures) > most:
            terminal.note(f"  {sign} … and {len(signatures) - most} more; --all prints them")
