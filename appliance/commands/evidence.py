"""`reef evidence`: a package about an alert that a court can check without us."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import msgspec

from appliance import __version__
from appliance.commands.audit import key_of
from appliance.commands.evidencefrom import Case, Collector, find
from appliance.commands.failure import CONFLICT, FORBIDDEN, OK, REFUSED, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, size
from appliance.control.messages.audit import EvidenceSealed, SealEvidence
from appliance.control.messages.keys import PublicKey, PublicKeyIs
from appliance.records import bag, evidence
from appliance.records.bag import BagError
from appliance.records.checkpoint import NoteError, parse_key
from appliance.records.evidence import Found, Sealer

_TAR = ".tar"


class Made(msgspec.Struct, frozen=True):
    """What `make --json` prints. `missing`: what is not in the package, and why."""

    alert: str
    path: str
    alerts: int
    events: int
    packets: int
    files: int
    generation: int
    audit: int
    bytes: int
    missing: tuple[str, ...]


def choose(options: argparse.Namespace, terminal: Terminal) -> int:
    del options, terminal
    raise Failure("evidence is made or verified", "reef evidence make --alert ID", code=USAGE, name="usage")


def make(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    if os.geteuid() != 0:
        words = "packets hold what people say, so only root packs them"
        raise Failure(words, f"sudo {gateway.command('evidence make')}", code=FORBIDDEN, name="not-allowed")
    case = find(gateway, options.alert, options.around)
    out = Path(options.out or f"evidence-{_plain(options.alert)}")
    if out.exists():
        raise Failure(f"{escape(str(out))} is there already", "name what is not", code=CONFLICT, name="exists")
    try:
        if out.suffix == _TAR:
            with tempfile.TemporaryDirectory(prefix="reef-evidence-", dir=out.parent) as beside:
                folder = Path(beside) / out.stem
                made = _package(gateway, case, folder)
                evidence.pack(folder, out, int(time.time()))
        else:
            made = _package(gateway, case, out)
    except OSError as error:
        raise Failure(f"{escape(str(error.filename))}: {error.strerror}", name="unwritable") from error
    made = msgspec.structs.replace(made, path=str(out))
    if terminal.json:
        terminal.data(made)
        return OK
    _show(made, gateway, terminal)
    return OK


def _package(gateway: Gateway, case: Case, folder: Path) -> Made:
    """Collect, count, seal. A package that could not be sealed is left as it is, without a seal."""
    folder.mkdir(mode=0o700)
    collected = Collector(gateway, case, folder).collect()
    records = parse_key(collected.key)
    generations = gateway.ask(PublicKey(), PublicKeyIs, of="keyd").key
    sealer = Sealer(records, generations)
    for name, text in evidence.key_files(sealer).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    by = os.environ.get("SUDO_USER") or "root"
    readme = evidence.readme(collected.site, case.identifier, made, by, collected.generation, sealer)
    (folder / "data" / "README.txt").write_text(readme)
    info = {
        "Source-Organization": collected.site,
        "External-Identifier": case.identifier,
        "Bagging-Date": made[:10],
        "Internal-Sender-Description": f"Evidence of the gateway {records.name}, made by {by}",
        "Bag-Software-Agent": f"reef {__version__}",
    }
    digest = bag.make(folder, info)
    sealed = gateway.ask(SealEvidence(case.identifier, digest), EvidenceSealed, of="recordd")
    bag.seal(folder, sealed.signature)
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Made(
        case.identifier, "", len(case.alerts), collected.events, collected.packets, collected.files,
        collected.generation, collected.audit, held, tuple(collected.missing),
    )  # fmt: skip


def _plain(words: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in words)[:60]


def _show(made: Made, gateway: Gateway, terminal: Terminal) -> None:
    terminal.line(f"{escape(made.path)}: {size(made.bytes)}, sealed", "green")
    parts = (
        count(made.alerts, "alert"),
        f"{count(made.events, 'event')} around them",
        count(made.packets, "capture"),
        count(made.files, "file"),
        f"generation {made.generation}",
        f"{count(made.audit, 'entry', 'entries')} of the audit trail",
    )
    terminal.line(", ".join(parts))
    for words in made.missing:
        terminal.note(f"not in it: {escape(words)}", "yellow")
    terminal.note(
        f"{gateway.command('evidence verify')} {escape(made.path)} checks it; its README says how others do"
    )


# --- verify -----------------------------------------------------------------------------------------------


def verify(options: argparse.Namespace, terminal: Terminal) -> int:
    path = Path(options.path)
    try:
        trusted = key_of(options.key) if options.key else None
        if path.is_dir():
            found = evidence.check(path, trusted)
        else:
            with tempfile.TemporaryDirectory(prefix="reef-evidence-") as beside:
                found = evidence.check(evidence.unpack(path, Path(beside)), trusted)
    except BagError as error:
        found = Found("", "", 0, tuple(error.problems))
    except NoteError as error:
        raise Failure(str(error), name="wrong") from error
    except OSError as error:
        raise Failure(f"{escape(str(error.filename or path))}: {error.strerror}", name="unreadable") from error
    if terminal.json:
        terminal.data(found)
    elif found.problems:
        terminal.line("This package is NOT what was sealed:", "red bold")
        for words in found.problems:
            terminal.line(f"  {escape(words)}", "red")
    else:
        terminal.line(f"alert {escape(found.identifier)}: every file is what {escape(found.sealer)} sealed", "green")
        terminal.line(f"{count(found.proofs, 'entry', 'entries')} of its audit trail are proved")
        if not options.key:
            terminal.note("the key is the one in the package: --key KEY says whose seal it must be", "yellow")
    return REFUSED if found.problems else OK
