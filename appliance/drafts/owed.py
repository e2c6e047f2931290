"""Who must be told of what: owners of rules and the like, once each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.control.messages.notices import NoticeKind
from appliance.policy import times
from appliance.policy.answering.plan import plan
from appliance.policy.console import Person
from appliance.policy.model import Policy

SOON = 14 * 86_400  # seconds before an end or a review that its owner is told
LATE = 7 * 86_400  # seconds after which nobody is told any more that something ended
_NAMED = 8  # things of one owner that a notice names


class Owed(msgspec.Struct, frozen=True):
    """A notice that is due. Of one `key` an owner is told once, however often it is found."""

    key: str
    owner: str
    kind: NoticeKind
    subject: str
    words: str
    due: float = 0.0
    proposal: int = 0
    generation: int = 0


def owners(policy: Policy) -> dict[str, str]:
    """Whose everything is that has an owner, by its id."""
    found = [(one.id, one.owner) for one in policy.rules]
    found += [(one.id, one.owner) for one in policy.source_nat]
    found += [(one.id, one.owner) for one in policy.destination_nat]
    found += [(one.id, one.owner) for one in policy.suppressions]
    found += [(one.id, one.owner) for one in policy.risks]
    return {ident: owner for ident, owner in found if owner}


def dated(policy: Policy, now: float) -> Iterator[Owed]:
    """What ends or waits for a review soon, and what has just ended."""
    zone = times.zone(policy.settings.timezone)
    ends = [(f"rule {one.id}", one.owner, one.expires, one.expires_at) for one in policy.rules if one.enabled]
    ends += [(f"suppression {one.id}", one.owner, one.expires, one.expires_at) for one in policy.suppressions]
    for subject, owner, day, at in ends:
        if owner and 0 < at <= now + SOON and at > now - LATE:
            kind: NoticeKind = "expires" if at > now else "ended"
            words = f"{subject} ends on {day}" if at > now else f"{subject} ended on {day}"
            yield Owed(f"{kind} {subject} {at}", owner, kind, subject, words, at)
    reviews = [(f"rule {one.id}", one.owner, one.review) for one in policy.rules]
    reviews += [(f"risk {one.id}", one.owner, one.review) for one in policy.risks]
    for subject, owner, day in reviews:
        if owner and day and times.day_end(day, zone) <= now + SOON:
            words = f"{subject} is to be looked at again by {day}"
            yield Owed(f"review {subject} {day}", owner, "review", subject, words, times.day_end(day, zone))


def touched(old: Policy | None, new: Policy) -> dict[str, list[str]]:
    """What of whom is not as it was, in the words of the plan; by owner, those before and those after alike."""
    before, after = owners(old) if old is not None else {}, owners(new)
    found: dict[str, list[str]] = {}
    for change in plan(old, new):
        ident = change.what.rpartition(" ")[2]
        for owner in dict.fromkeys(filter(None, (before.get(ident, ""), after.get(ident, "")))):
            found.setdefault(owner, []).append(f"{change.what} {change.kind}")
    return found


def proposed(number: int, title: str, author: str, digest: str, old: Policy | None, new: Policy) -> Iterator[Owed]:
    """Somebody asks to have what is theirs changed; an amended text is another thing to be told of."""
    for owner, things in touched(old, new).items():
        words = f"{author} proposes “{title}”: {_some(things)}"
        yield Owed(f"proposed {number} {digest}", owner, "proposed", f"proposal {number}", words, proposal=number)


def applied(generation: int, author: str, reason: str, old: Policy | None, new: Policy) -> Iterator[Owed]:
    for owner, things in touched(old, new).items():
        words = f"{author} applied “{reason}”: {_some(things)}"
        subject = f"generation {generation}"
        yield Owed(f"applied {generation}", owner, "applied", subject, words, generation=generation)


def rolled_back(generation: int, note: str, old: Policy | None, new: Policy) -> Iterator[Owed]:
    """`new` is what was taken back, `old` what ran before it and runs again."""
    for owner, things in touched(old, new).items():
        words = f"taken back ({note or 'no reason given'}): {_some(things)}"
        subject = f"generation {generation}"
        yield Owed(f"rolled-back {generation}", owner, "rolled-back", subject, words, generation=generation)


def names_of(person: Person | None, login: str) -> frozenset[str]:
    """How somebody may be written as an owner, in small letters."""
    known = (login,) if person is None else (person.id, person.mail, person.name)
    return frozenset(name.casefold() for name in known if name)


def _some(things: list[str]) -> str:
    more = f" and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return f"{', '.join(things[:_NAMED])}{more}"
