"""Who is banned: looked for, banned at once and let in again; and whom no ban ever stops."""

from __future__ import annotations

import contextlib
import ipaddress
from http import HTTPStatus
from typing import Annotated

import msgspec

from appliance.console.context import Ctx
from appliance.console.problems import Problem
from appliance.console.registry import Answer, endpoint
from appliance.control.messages.bans import Allow, Allowed, AllowEntry, AllowList, Disallow
from appliance.control.messages.gateway import Ban, BanEntry, BanList, Bans, BanTried, TryBan, Unban
from appliance.control.messages.live import Flow, FlowList, Flows

_MOST_FLOWS = 5  # that are shown of those that a ban cuts
_DECADE = 10 * 366 * 86_400
Word = Annotated[str, msgspec.Meta(max_length=200)]
Place = Annotated[str, msgspec.Meta(pattern="^[0-9]{0,15}$")]
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\S")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=_DECADE)]
Some = Annotated[tuple[Address, ...], msgspec.Meta(min_length=1, max_length=100)]
Page = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Looked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds the address `word`, then what says it in its address, reason or author; "" for all."""

    word: Word = ""
    after: Place = ""
    limit: Page = 100


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses, networks or ranges, as `?address=…&address=…`."""

    address: Some


class BanPage(msgspec.Struct, frozen=True):
    """The newest first. `total` are meant, if not `exact` at least so many; the next page begins `after`, "" at the
    end."""

    bans: tuple[BanEntry, ...]
    total: int
    exact: bool
    after: str


class NewBan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Drop everything from and to `addresses` for `seconds` (0: until it is taken back). `anyway` also where they
    hold the address that this is asked from."""

    addresses: Some
    reason: Reason
    seconds: Seconds = 0
    owner: Word = ""
    anyway: bool = False


class Refusal(msgspec.Struct, frozen=True):
    address: str
    code: str
    why: str


class Inside(msgspec.Struct, frozen=True):
    """`where` it lies in the site's own networks."""

    address: str
    where: str


class BanEffect(msgspec.Struct, frozen=True):
    """What would come of a ban. `cut` connections of these addresses are open now, the first of them `flows`;
    `oneself` is set where it would hold who asks."""

    refused: tuple[Refusal, ...]
    inside: tuple[Inside, ...]
    banned: tuple[BanEntry, ...]
    oneself: bool
    cut: int
    flows: tuple[Flow, ...]


class AllowPage(msgspec.Struct, frozen=True):
    """Those of people first, the newest before, then those of the text and the gateway's own."""

    entries: tuple[AllowEntry, ...]
    total: int
    after: str


class NewAllow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No ban holds for `addresses`, for `seconds` (0: until it is taken back)."""

    addresses: Some
    reason: Reason
    seconds: Seconds = 0
    owner: Word = ""


@endpoint("GET", "/bans", permission="look", answers=BanPage, paged=True)
async def bans(ctx: Ctx, query: Looked) -> Answer:
    """Single bans, a page; lists of many prefixes are `/gate`."""
    found = await ctx.ask(Bans(query.word.strip(), int(query.after or 0), query.limit), BanList)
    after = str(found.after or "")
    return Answer(BanPage(found.bans, found.total, found.exact, after), after=after)


@endpoint("GET", "/bans/effect", permission="respond", answers=BanEffect)
async def effect(ctx: Ctx, query: Named) -> BanEffect:
    """What would come of a ban, which of it is refused and why, and which connections it would cut. Bans nobody."""
    tried = await ctx.ask(TryBan(query.address), BanTried)
    refused = tuple(Refusal(*one) for one in tried.refused)
    hosts = tuple(address for address in query.address if address not in {one.address for one in refused})
    found = FlowList(0, 0, ())
    if hosts:  # all at once: the table is read for each question, and a big one takes seconds
        with contextlib.suppress(Problem):  # a ban is possible while no generation runs, too
            found = await ctx.ask(Flows(limit=_MOST_FLOWS, hosts=hosts), FlowList)
    inside = tuple(Inside(*one) for one in tried.inside)
    oneself = holds(query.address, ctx.address)
    return BanEffect(refused, inside, tried.banned, oneself, found.total, found.flows)


@endpoint("POST", "/bans", permission="respond", answers=tuple[BanEntry, ...], status=201)
async def ban(ctx: Ctx, body: NewBan) -> tuple[BanEntry, ...]:
    """Ban at once, without another generation. What the gateway cannot do without is refused."""
    if not body.anyway and holds(body.addresses, ctx.address):
        words = f"this would ban {ctx.address}, which is where you come from; say `anyway` if you mean it"
        raise Problem(HTTPStatus.CONFLICT, words, code="oneself")
    request = Ban(body.addresses, body.seconds, body.reason.strip(), owner=body.owner.strip())
    return (await ctx.ask(request, BanList)).bans


@endpoint("DELETE", "/bans", permission="respond", answers=tuple[BanEntry, ...])
async def unban(ctx: Ctx, query: Named) -> tuple[BanEntry, ...]:
    """Take bans back; answers those that there were."""
    return (await ctx.ask(Unban(query.address), BanList)).bans


@endpoint("GET", "/allow", permission="look", answers=AllowPage, paged=True)
async def allowed(ctx: Ctx, query: Looked) -> Answer:
    """Whom no ban ever stops, and why."""
    entries = (await ctx.ask(AllowList(), Allowed)).entries
    people = [entry for entry in entries if entry.origin == "person"]
    found = [entry for entry in (*reversed(people), *entries[len(people) :]) if says(entry, query.word)]
    begin = int(query.after or 0)
    page = tuple(found[begin : begin + query.limit])
    after = str(begin + len(page)) if page and begin + len(page) < len(found) else ""
    return Answer(AllowPage(page, len(found), after), after=after)


@endpoint("POST", "/allow", permission="respond", answers=tuple[AllowEntry, ...], status=201)
async def allow(ctx: Ctx, body: NewAllow) -> tuple[AllowEntry, ...]:
    """No ban holds for them from now on, whoever makes it."""
    request = Allow(body.addresses, body.seconds, body.reason.strip(), body.owner.strip())
    return (await ctx.ask(request, Allowed)).entries


@endpoint("DELETE", "/allow", permission="respond", answers=tuple[AllowEntry, ...])
async def disallow(ctx: Ctx, query: Named) -> tuple[AllowEntry, ...]:
    """Take back what somebody allowed."""
    return (await ctx.ask(Disallow(query.address), Allowed)).entries


def says(entry: AllowEntry, word: str) -> bool:
    """Whether a word finds an entry: an address that it holds, or what stands in it."""
    word = word.strip().lower()
    return (
        any(word in text.lower() for text in (entry.address, entry.by, entry.owner, entry.reason))
        or holds((entry.address,), word)
    )  # fmt: skip


def holds(addresses: tuple[str, ...], host: str) -> bool:
    """Whether one of these addresses, networks or ranges holds a host."""
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(_holds(one, wanted) for one in addresses)


def _holds(words: str, host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    first, dash, last = words.partition("-")
    try:
        if dash:
            ends = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
            return ends[0].version == host.version and int(ends[0]) <= int(host) <= int(ends[1])
        return host in ipaddress.ip_network(words.strip(), strict=False)
    except ValueError:
        return False  # applyd says what is wrong with it
