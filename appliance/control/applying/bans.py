"""Bans and the allow-list: who is banned until when, by whom and why, and whom no ban holds for.

They belong to no generation, survive every apply and are kept in a file. The kernel's sets are `bantable`. The text
says whom the gateway bans by itself (`policy/banning.py`); who asks for such a ban is not believed more than that.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import msgspec

from appliance.control.applying.banlist import BanRegister
from appliance.control.auditing import Write
from appliance.control.kernel.bantable import BanTable, Held
from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import ElementError
from appliance.control.messages.bans import Allow, Allowed, AllowEntry, AllowList, BanFound, Disallow
from appliance.control.messages.gateway import Ban, BanEntry, BanList, BanTried, Refused, Reply, TryBan, Unban
from appliance.control.messages.gateway import Bans as BansRequest
from appliance.durable import replace
from appliance.events import record
from appliance.policy import addresses, banning
from appliance.policy.addresses import AddressError
from appliance.policy.banning import Spared
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.model import Banning, Range

MOST_ALLOWED = 10_000
MOST_SHOWN = 5_000  # bans in one answer
_MOST_OFFENDERS = 20_000  # of whom it is remembered how often they were banned
_MINUTE = 60.0
_MOST_WORDS = 500


class BanRefused(Exception):
    """The bans were refused and are as they were. `reply` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Refused(code, message)


class Log(Protocol):
    """Where it is said what was done."""

    def __call__(self, words: str) -> None: ...

    def event(self, event: record.Event) -> None: ...

    @property
    def audit(self) -> Write: ...


class Earlier(msgspec.Struct, frozen=True):
    """How often the gateway banned an address by itself, and when last."""

    times: int
    last: float


class _Kept(msgspec.Struct, frozen=True):
    """`bans.json`."""

    bans: tuple[BanEntry, ...] = ()
    allowed: tuple[AllowEntry, ...] = ()
    offenders: dict[str, Earlier] = {}


class Bans:
    """The bans of this gateway: in the kernel, and in a file for the next start."""

    def __init__(self, netfilter: Netfilter, path: Path, own: Callable[[], frozenset[str]], log: Log) -> None:
        self._table = BanTable(netfilter)
        self._path = path
        self._own = own
        self._log = log
        self._entries = BanRegister()
        self._allowed: dict[str, AllowEntry] = {}
        self._offenders: dict[str, Earlier] = {}
        self._policy = Banning()
        self._resolvers: tuple[str, ...] = ()
        self._inside: tuple[Spared, ...] = ()
        self._in_kernel: tuple[Range, ...] | None = None
        self._begun: deque[float] = deque()  # when automatic bans began, monotonic
        self._said_full = -_MINUTE
        self._site = ""

    def answer(
        self, request: Ban | Unban | BansRequest | TryBan | BanFound | Allow | Disallow | AllowList, asker: str
    ) -> Reply:
        """Raises `BanRefused`. `asker` is who asks where the request does not say it."""
        match request:
            case Ban():
                by = request.by or asker
                return BanList(self.ban(request.addresses, request.seconds, request.reason, request.owner, by))
            case Unban():
                return BanList(self.unban(request.addresses, request.by or asker))
            case BansRequest():
                return self.current(request)
            case TryBan():
                return self.tried(request.addresses)
            case BanFound():
                return BanList(self.found(request))
            case Allow():
                by = request.by or asker
                return Allowed(self.allow(request.addresses, request.seconds, request.reason, request.owner, by))
            case Disallow():
                return Allowed(self.disallow(request.addresses, request.by or asker))
            case AllowList():
                return Allowed(self.allowed())

    # --- what holds -----------------------------------------------------------------------------------

    def restore(self, bundle: Bundle | None) -> None:
        """Put the kept bans that still hold into the kernel. Damaged files are reported and left aside."""
        kept = self._read()
        now = time.time()
        self._entries = BanRegister()
        self._entries.put(entry for entry in kept.bans if not entry.until or entry.until > now)
        self._allowed = {entry.address: entry for entry in kept.allowed if not entry.until or entry.until > now}
        self._offenders = dict(kept.offenders)
        self._take(bundle)
        wanted = self._wanted()
        self._table.restore([_held(entry, now) for entry in self._entries.all()], wanted)
        self._in_kernel = wanted

    def _read(self) -> _Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept()
        except (OSError, ValueError) as error:
            self._log(f"{self._path}: the bans cannot be read and are not in force: {error}")
            return _Kept()

    def follow(self, bundle: Bundle | None) -> None:
        """Another generation runs: whom it allows, and what it bans for."""
        self._take(bundle)
        self.tick()

    def _take(self, bundle: Bundle | None) -> None:
        if bundle is None:
            return
        self._policy = bundle.bans
        self._resolvers = bundle.nameservers
        networks = {zone: tuple(map(addresses.literal, said)) for zone, said in bundle.networks.items()}
        self._inside = banning.inside(networks, (zone.name for zone in bundle.zones if zone.external))
        self._site = bundle.site

    def tick(self) -> None:
        """What has ended is no more, and the kernel allows whom it shall. To be called now and then."""
        self._forget_ended()
        self._entries.warm()
        wanted = self._wanted()
        if wanted == self._in_kernel:
            return
        try:
            self._table.allow(wanted)
            self._in_kernel = wanted
        except NetlinkError as error:
            self._log(f"the allow-list is not as it should be: {error}")

    def _wanted(self) -> tuple[Range, ...]:
        return addresses.normal(one.part for one in self._always())

    def _always(self) -> list[Spared]:
        """Whom no ban holds for, whoever makes it."""
        found = self._vital()
        found += [Spared(part, "on the allow-list of the policy") for part in self._policy.allow.ranges]
        found += [Spared(addresses.literal(entry.address), _why(entry)) for entry in self._allowed.values()]
        return found

    def needed(self) -> list[Spared]:
        """Whom nobody blocks: what the gateway cannot do without, and the site's own networks."""
        return [*self._vital(), *self._inside]

    def spared(self) -> list[Range]:
        """Whom the operators and the text allow, whatever else would be done to them."""
        return [one.part for one in self._always()]

    def _vital(self) -> list[Spared]:
        """Those among them that nobody can do without."""
        own = [Spared(addresses.literal(word), "an address of the gateway") for word in sorted(self._own())]
        return own + [Spared(addresses.literal(word), "a resolver of the gateway") for word in self._resolvers]

    def _forget_ended(self) -> None:
        now = time.time()
        self._entries.end(now)
        for name in [name for name, entry in self._allowed.items() if entry.until and entry.until <= now]:
            del self._allowed[name]

    # --- bans that somebody asks for -------------------------------------------------------------------

    def ban(self, words: tuple[str, ...], seconds: int, reason: str, owner: str, by: str) -> tuple[BanEntry, ...]:
        """Raises `BanRefused`."""
        _short(reason, owner)
        parts = [_parsed(word) for word in words]
        vital, always = self._vital(), self._always()
        for part in parts:
            self._bannable(part, vital, always)
        now = time.time()
        until = now + seconds if seconds else 0.0
        entries = {name: BanEntry(name, by, reason, now, until, owner) for name in map(addresses.words_of, parts)}
        self._enforce(entries, now)
        self._log(f"banned by {by} {_until(seconds)}: {', '.join(entries)}{_because(reason)}")
        return tuple(entries.values())

    def _bannable(self, part: Range, vital: Iterable[Spared], always: Iterable[Spared]) -> None:
        if banning.everybody(part):
            raise BanRefused("everybody", f"{addresses.words_of(part)}: this is everybody; name a smaller network")
        if (needed := banning.held(vital, part)) is not None:
            raise BanRefused("own", f"{banning.said(needed, part)}; what is banned must not hold it")
        if (allowed := banning.around(always, part)) is not None:
            raise BanRefused("allowed", f"{banning.said(allowed, part)}: no ban holds there")

    def _enforce(self, entries: dict[str, BanEntry], now: float) -> None:
        """Into the kernel and into the file. Raises `BanRefused`."""
        try:
            for name in entries:
                if other := self._overlapped(name):
                    raise BanRefused("overlap", other)
            renewed = [name for name in entries if name in self._entries]
            if renewed:
                self._remove(renewed)
            self._table.add(_held(entry, now) for entry in entries.values())
        except (NetlinkError, ElementError) as error:
            raise BanRefused("kernel", f"the kernel refuses the ban: {error}") from error
        self._entries.put(entries.values())
        self._save()

    def unban(self, words: tuple[str, ...], by: str) -> tuple[BanEntry, ...]:
        """Take bans back; those that there were. Raises `BanRefused` when one is not banned."""
        names = [addresses.words_of(_parsed(word)) for word in words]
        self._forget_ended()
        unknown = [name for name in names if name not in self._entries]
        if unknown:
            raise BanRefused("not-banned", f"not banned: {', '.join(unknown)}; `reef ban list` lists what is")
        self._remove(names)
        gone = tuple(self._entries.pop(name) for name in dict.fromkeys(names))
        for name in names:
            self._offenders.pop(name, None)
        self._save()
        self._log(f"no longer banned, by {by}: {', '.join(entry.address for entry in gone)}")
        return gone

    def current(self, request: BansRequest) -> BanList:
        """A page of what holds, the newest first."""
        self._forget_ended()
        limit = max(0, min(request.limit, MOST_SHOWN))
        shown, found = self._entries.find(request.word.strip(), max(request.after, 0), limit)
        return BanList(shown, found.total, found.after, found.exact)

    def tried(self, words: tuple[str, ...]) -> BanTried:
        """What would come of a ban; nothing is banned."""
        refused, inside, banned = [], [], []
        vital, always = self._vital(), self._always()
        self._forget_ended()
        for word in words:
            try:
                part = _parsed(word)
                self._bannable(part, vital, always)
                if other := self._overlapped(addresses.words_of(part)):
                    raise BanRefused("overlap", other)
            except BanRefused as error:
                refused.append((word, error.reply.code, error.reply.message))
                continue
            if (own := banning.held(self._inside, part)) is not None:
                inside.append((word, banning.said(own, part)))
            banned += [self._entries[name] for name in self._entries.holding(word)]
        return BanTried(tuple(refused), tuple(inside), tuple(banned))

    def _overlapped(self, name: str) -> str:
        """Why a network cannot be banned beside what is; "" when it can."""
        if ("/" not in name and "-" not in name) or name in self._entries:
            return ""
        other = self._table.overlapping(name)
        return f"{name} overlaps the banned network {other}; unban that first" if other else ""

    def _remove(self, names: Iterable[str]) -> None:
        for error in self._table.remove(names):
            self._log(f"a ban was gone already: {error}")

    # --- the allow-list --------------------------------------------------------------------------------

    def allow(self, words: tuple[str, ...], seconds: int, reason: str, owner: str, by: str) -> tuple[AllowEntry, ...]:
        """Raises `BanRefused`."""
        _short(reason, owner)
        parts = [_parsed(word) for word in words]
        for part in parts:
            if banning.everybody(part):
                raise BanRefused("everybody", f"{addresses.words_of(part)}: this is everybody; no ban would hold")
        now = time.time()
        until = now + seconds if seconds else 0.0
        entries = {name: AllowEntry(name, by, owner, reason, now, until) for name in map(addresses.words_of, parts)}
        if len(self._allowed | entries) > MOST_ALLOWED:
            raise BanRefused("too-many", f"the allow-list holds {MOST_ALLOWED:,} entries at most; take some back")
        self._allowed |= entries
        self._save()
        self.tick()
        self._log(f"allowed by {by} {_until(seconds)}: {', '.join(entries)}{_because(reason)}")
        return tuple(entries.values())

    def disallow(self, words: tuple[str, ...], by: str) -> tuple[AllowEntry, ...]:
        """Raises `BanRefused` when one of them was not allowed at run time."""
        names = [addresses.words_of(_parsed(word)) for word in words]
        self._forget_ended()
        unknown = [name for name in names if name not in self._allowed]
        if unknown:
            raise BanRefused("not-allowed-now", f"not allowed by hand: {', '.join(unknown)}; see `reef allow list`")
        gone = tuple(self._allowed.pop(name) for name in dict.fromkeys(names))
        self._save()
        self.tick()
        self._log(f"no longer allowed, by {by}: {', '.join(entry.address for entry in gone)}")
        return gone

    def allowed(self) -> tuple[AllowEntry, ...]:
        """Whom no ban holds for: those of a person first, then those of the text, then the gateway's own."""
        self._forget_ended()
        why = "on the allow-list of the policy"
        texts = [
            AllowEntry(addresses.words_of(part), "", "", why, origin="policy") for part in self._policy.allow.ranges
        ]
        own = [AllowEntry(addresses.words_of(one.part), "", "", one.why, origin="gateway") for one in self._vital()]
        return (*self._allowed.values(), *texts, *own)

    # --- bans that nobody asks for ---------------------------------------------------------------------

    def found(self, request: BanFound) -> tuple[BanEntry, ...]:
        """Ban for what was found, if the policy says so. Raises `BanRefused`."""
        automatic = next((one for one in self._policy.automatic if one.id == request.rule), None)
        if automatic is None or not banning.of_author(automatic, request.author):
            raise BanRefused("not-automatic", f"{request.rule}: the policy bans nobody for that")
        try:
            part = addresses.literal(str(ip_address(request.address)))
        except ValueError as error:
            raise BanRefused("bad-address", str(error)) from error
        name = addresses.words_of(part)
        spared = banning.held((*self._always(), *self._inside), part)
        if spared is not None:
            raise BanRefused("spared", f"{banning.said(spared, part)}: never banned by itself")
        self._forget_ended()
        if name in self._entries:
            return (self._entries[name],)
        now = time.time()
        self._bounded()
        earlier = self._offenders.get(name, Earlier(0, 0.0))
        times = earlier.times if now - earlier.last <= automatic.memory else 0
        seconds = banning.lasting(automatic, times)
        words = request.words[:_MOST_WORDS]
        entry = BanEntry(name, request.author, f"{request.rule}: {words}", now, now + seconds, automatic.owner)
        self._remember(name, Earlier(times + 1, now))
        self._enforce({name: entry}, now)
        self._begun.append(time.monotonic())
        self._log.audit(request.author, "ban.automatic", name, why=f"{request.rule}: {words}", durable=False)
        self._log.event(record.banned(_explained(entry, seconds, times), name, seconds=now, host=self._site))
        return (entry,)

    def _bounded(self) -> None:
        """Raises `BanRefused` when there are too many already, or they come too fast."""
        now = time.monotonic()
        while self._begun and now - self._begun[0] >= _MINUTE:
            self._begun.popleft()
        standing = self._entries.automatic
        if standing >= self._policy.most:
            words = f"{standing} automatic bans hold, as many as the policy lets there be"
        elif len(self._begun) >= self._policy.rate:
            words = f"{len(self._begun)} automatic bans began in a minute, as many as the policy lets"
        else:
            return
        if now - self._said_full >= _MINUTE:
            self._said_full = now
            self._log(f"{words}; nobody more is banned by itself for now")
        raise BanRefused("too-many", words)

    def _remember(self, name: str, times: Earlier) -> None:
        self._offenders.pop(name, None)
        self._offenders[name] = times  # the one that was longest ago stands first
        while len(self._offenders) > _MOST_OFFENDERS:
            del self._offenders[next(iter(self._offenders))]

    def _save(self) -> None:
        kept = _Kept(tuple(self._entries.all()), tuple(self._allowed.values()), self._offenders)
        try:
            replace(self._path, msgspec.json.encode(kept))
        except OSError as error:
            raise BanRefused("store", f"this is in force but cannot be kept: {error.strerror}") from error


def _held(entry: BanEntry, now: float) -> Held:
    return Held(entry.address, max(entry.until - now, 0.001) if entry.until else 0.0)


def _short(*words: str) -> None:
    """Raises `BanRefused`: everybody is told these words."""
    if any(len(one) > _MOST_WORDS for one in words):
        raise BanRefused("bad-words", f"a reason or an owner has {_MOST_WORDS} characters at most")


def _parsed(words: str) -> Range:
    try:
        return addresses.literal(words)
    except AddressError as error:
        raise BanRefused("bad-address", str(error)) from error


def _why(entry: AllowEntry) -> str:
    return f"allowed by {entry.by}" + (f" ({entry.reason})" if entry.reason else "")


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _until(seconds: int) -> str:
    return f"for {banning.length(seconds)}" if seconds else "until it is taken back"


def _explained(entry: BanEntry, seconds: int, times: int) -> str:
    again = f" (it was {times} time{'s' if times > 1 else ''} before)" if times else ""
    return (
        f"{entry.address} is banned for {banning.length(seconds)}{again} by {entry.by}, {entry.reason} "
        f"Take it back: reef unban {entry.address}. Never again: reef allow {entry.address} --reason WORDS"
    )
