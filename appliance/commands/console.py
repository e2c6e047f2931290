"""`reef console`: who may come in by the browser, who is in, and the way back for who lost theirs."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

import msgspec

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time
from appliance.control.messages.console import (
    BreakGlass,
    ConsolePeople,
    ConsolePeopleAre,
    ConsolePerson,
    ConsoleSessionList,
    ConsoleSessions,
    GlassCodes,
    Invite,
    Invited,
    RevokeSessions,
    SessionsRevoked,
)

_OF = "console"


def people(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(ConsolePeople(), ConsolePeopleAre, of=_OF)
    if terminal.json:
        terminal.data(found)
        return OK
    terminal.table(
        ("person", "name", "roles", "comes in with", "sessions", "tokens"),
        [
            (one.id, one.name, ", ".join(one.roles), _ways(one), f"{one.sessions}", f"{one.tokens}")
            for one in found.people
        ],
        empty="the policy names nobody: `console.people` does",
    )
    return OK


def _ways(person: ConsolePerson) -> str:
    ways = [count(person.passkeys, "passkey")] if person.passkeys else []
    ways += ["passphrase"] if person.passphrase else []
    ways += ["certificate"] if person.certificate else []
    ways += [f"break-glass ({person.codes} left)"] if person.codes else []
    ways += [f"a link until {local_time(person.invited)}"] if person.invited else []
    return ", ".join(ways) or "nothing yet"


def invite(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    found = gateway.ask(Invite(options.name, options.reset), Invited, of=_OF)
    if found.link and gateway.forwarded:
        # What people of this machine type is not what the policy says: the lab has another port where that was taken.
        found = msgspec.structs.replace(found, link=gateway.forwarded.rstrip("/") + urlsplit(found.link).path)
    if terminal.json:
        terminal.data(found)
        return OK
    if not found.link:
        until = local_time(found.until)
        terminal.line(escape(f"an approver must agree in the console until {until}, and is told the link there"))
        return OK
    terminal.line(escape(found.link))
    terminal.note(
        f"for {escape(found.person)} alone: good once, until {local_time(found.until)}. Give it to them where nobody "
        "else reads it"
    )
    if options.reset:
        terminal.note(f"what {escape(found.person)} came in with is good no more, and they are out", "yellow")
    return OK


def sessions(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(ConsoleSessions(), ConsoleSessionList, of=_OF)
    if terminal.json:
        terminal.data(found)
        return OK
    terminal.table(
        ("session", "person", "by", "since", "last seen", "address", "device"),
        [
            (one.id, one.person, one.how, local_time(one.began), local_time(one.seen), one.address, one.device)
            for one in found.sessions
        ],
        empty="nobody is in",
    )
    return OK


def revoke(options: argparse.Namespace, terminal: Terminal) -> int:
    asked = RevokeSessions(options.name, options.session, options.tokens)
    found = Gateway(options).ask(asked, SessionsRevoked, of=_OF)
    if terminal.json:
        terminal.data(found)
        return OK
    tokens = f" and {count(found.tokens, 'token')}" if options.tokens else ""
    terminal.line(escape(f"{options.name}: {count(found.sessions, 'session')}{tokens} ended"))
    return OK


def break_glass(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(BreakGlass(options.name), GlassCodes, of=_OF)
    if terminal.json:
        terminal.data(found)
        return OK
    for code in found.codes:
        terminal.line(code)
    terminal.note(
        f"each lets {escape(found.person)} in once, for an hour, and everybody is told. They are shown now and never "
        "again: print them and lock them away. Codes from before are good no more"
    )
    return OK
