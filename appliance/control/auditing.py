"""What policyd writes into the audit trail: who changed or asked what, in the words of the request."""

from __future__ import annotations

from typing import Protocol

from appliance.control.ipc import Peer, came_by_ssh
from appliance.control.messages.audit import NOTED, AuditNote
from appliance.control.messages.bans import Allow, Disallow
from appliance.control.messages.devices import Admit, Expel
from appliance.control.messages.gate import GateForget, GateList
from appliance.control.messages.gateway import Applied, Ban, Refused, Request, Unban
from appliance.control.messages.hits import Matched
from appliance.control.messages.impact import Impact
from appliance.control.messages.why import Trace

_MOST_CHANGES = 20  # of a generation, in words


class Write(Protocol):
    """`daemon.Log.audit`."""

    def __call__(
        self,
        actor: str,
        action: str,
        object_: str,
        *,
        why: str = "",
        generation: int = 0,
        origin: str = "",
        detail: dict[str, str] | None = None,
        durable: bool = True,
    ) -> None: ...


def origin_of(peer: Peer, session: str = "") -> str:
    """Where a person sits: `session` is what they say (SSH_CONNECTION), the kernel says whether it was ssh, and the
    console how they came to it."""
    if peer.acting:
        return f"console {peer.session.split(' ', 1)[0]}"
    address = session.split(" ", 1)[0]
    if address:
        return f"ssh {address}"
    return "ssh" if came_by_ssh(peer.pid) else "local"


def applied(write: Write, done: Applied, author: str, reason: str, origin: str) -> None:
    """A generation was sealed and runs."""
    words = [f"{change.kind} {change.what}: {change.words}" for change in done.changes]
    more = [f"and {len(words) - _MOST_CHANGES} more"] if len(words) > _MOST_CHANGES else []
    detail = {
        "digest": done.digest,
        "changes": f"{len(words)}",
        "confirm": "waits" if done.confirm_by else "none needed",
        "what": "; ".join([*words[:_MOST_CHANGES], *more]),
    }
    write(
        author, "policy.apply", f"generation {done.generation}", why=reason, generation=done.generation,
        origin=origin, detail=detail,
    )  # fmt: skip


def bans(
    write: Write, request: Ban | Unban | Allow | Disallow | GateList | GateForget, peer: Peer, *, prefixes: int = 0
) -> None:
    """Somebody banned, allowed, or took that back."""
    origin = origin_of(peer)
    match request:
        case GateList():
            write(peer.name, "ban.list", request.name, origin=origin, detail={"prefixes": f"{prefixes}"})
        case GateForget():
            write(peer.name, "ban.unlist", request.name, origin=origin)
        case Unban() | Disallow():
            action = "ban.remove" if isinstance(request, Unban) else "allow.remove"
            write(peer.name, action, _some(request.addresses), origin=origin)
        case Ban() | Allow():
            action = "ban.add" if isinstance(request, Ban) else "allow.add"
            detail = {"seconds": f"{request.seconds}", "owner": request.owner}
            write(peer.name, action, _some(request.addresses), why=request.reason, origin=origin, detail=detail)


def quarantine(write: Write, request: Admit | Expel, peer: Peer) -> None:
    """Somebody let devices out of quarantine, or had them held again."""
    action = "quarantine.admit" if isinstance(request, Admit) else "quarantine.hold"
    write(peer.name, action, _some(request.macs), origin=origin_of(peer))


def looks(write: Write, request: Impact | Matched | Trace, peer: Peer, words: str) -> None:
    """Somebody asked what names hosts or people: that is a record too (R30)."""
    actions: dict[type, str] = {Impact: "look.impact", Matched: "look.matched", Trace: "look.trace"}
    write(peer.name, actions[type(request)], words, origin=origin_of(peer), durable=False)


def refused(write: Write, request: Request, reply: Refused, peer: Peer) -> None:
    """A change that was asked for and not made."""
    session = getattr(request, "session", "")
    detail = {"refused": reply.message, "code": reply.code}
    why = getattr(request, "reason", "")
    write(
        peer.name, "policy.refuse", type(request).__name__.lower(), why=why, origin=origin_of(peer, session),
        detail=detail,
    )  # fmt: skip


def noted(write: Write, request: AuditNote, peer: Peer) -> bool:
    """What the command line did by itself; False for what is not its to say."""
    if request.action not in NOTED:
        return False
    write(peer.name, request.action, request.object, why=request.why, origin=origin_of(peer), detail=request.detail)
    return True


def _some(addresses: tuple[str, ...]) -> str:
    shown = ", ".join(addresses[:50])
    return shown if len(addresses) <= 50 else f"{shown} and {len(addresses) - 50} more"
