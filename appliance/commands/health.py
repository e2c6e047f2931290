"""`reef doctor`: what this gateway's kernel can, whether all is well, and what to mend."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import time
from pathlib import Path

import msgspec

from appliance.commands.failure import OK, REFUSED
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import duration, size
from appliance.control import messages
from appliance.control.processes import PROCESSES, Instance

# Below this much space a spool or a history may not be written whole; `policyd` refuses applies at less.
LOW_DISK = 64 * 1000 * 1000
# The Linux kernel of Debian 12 is from 2023: a clock before that was never set.
OLDEST_CLOCK = 1_672_531_200


class Finding(msgspec.Struct, frozen=True):
    """`severity` "wrong" needs a person, "note" does not; `mend` says what to do."""

    severity: str
    what: str
    mend: str = ""


class Examination(msgspec.Struct, frozen=True):
    """What `reef doctor --json` prints."""

    well: bool
    kernel: str
    findings: tuple[Finding, ...]
    capabilities: tuple[messages.Capability, ...]


def doctor(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    report = gateway.ask(messages.Doctor(), messages.DoctorReport)
    status = with_silent(gateway.ask(messages.Status(), messages.StatusReport), gateway.instance)
    findings = [
        *(Finding("wrong", words) for words in report.findings),
        *from_status(status, time.time()),
        *_disk(Path(gateway.instance.state)),
        *_capabilities(report.capabilities),
    ]
    well = all(finding.severity != "wrong" for finding in findings)
    if terminal.json:
        terminal.data(Examination(well, report.kernel, tuple(findings), report.capabilities))
    else:
        _print(report, findings, terminal)
    return OK if well else REFUSED


def with_silent(
    status: messages.StatusReport, instance: Instance, proc: Path = Path("/proc")
) -> messages.StatusReport:
    """The report with those processes that have no socket to be asked at: each runs as a user of its own."""
    told = {process.name for process in status.processes}
    running = _users(proc)
    more = [
        messages.ProcessHealth(row.name, instance.identity(row.name).uid in running)
        for row in PROCESSES
        if row.name not in told and row.name in instance.identities
    ]
    return msgspec.structs.replace(status, processes=(*status.processes, *more))


def _users(proc: Path) -> set[int]:
    """The users that processes run as."""
    found: set[int] = set()
    for path in proc.glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            facts = dict(
                line.split(":\t", 1) for line in path.read_text(errors="replace").splitlines() if ":\t" in line
            )
            if not facts.get("State", "Z").startswith(("Z", "X")):
                found.add(int(facts["Uid"].split()[0]))
    return found


def from_status(status: messages.StatusReport, now: float) -> list[Finding]:
    """What the status says that a person should know. Pure."""
    found = []
    if now < OLDEST_CLOCK:
        found.append(
            Finding("wrong", "the clock was never set", "set it (NTP): expiries, schedules and logs depend on it")
        )
    if not status.running:
        found.append(Finding("wrong", "no policy was applied: everything is denied", "reef apply FILE"))
    elif status.running != status.confirmed:
        left = f"; {duration(status.confirm_by - now)} left" if status.confirm_by else ""
        found.append(Finding("note", f"generation {status.running} is not confirmed{left}", "reef confirm"))
    if status.drift:
        found.append(
            Finding(
                "wrong",
                f"the kernel holds something else than the generation says: {status.drift}",
                "reef apply the running text again, or set `drift: repair`",
            )
        )
    for process in status.processes:
        if not process.alive:
            found.append(
                Finding(
                    "wrong",
                    f"{process.name} is dead: {process.words or 'no word from it'}",
                    f"its log says why (journalctl -u reef-{process.name})",
                )
            )
    found += [Finding("note", f"left out, this kernel cannot: {words}") for words in status.omitted]
    return found


def _disk(state: Path) -> list[Finding]:
    try:
        usage = shutil.disk_usage(state)
    except OSError as error:
        return [Finding("wrong", f"{state}: {error.strerror}", "the directory of the gateway's state must exist")]
    if usage.free < LOW_DISK:
        return [
            Finding(
                "wrong",
                f"{size(usage.free)} left on the disk of {state}",
                "make room; until then applies are refused and events are lost",
            )
        ]
    return []


def _capabilities(capabilities: tuple[messages.Capability, ...]) -> list[Finding]:
    return [
        Finding(
            "wrong",
            f"{one.name} is not there ({one.words}), and is needed by {', '.join(one.needed_by)}",
            "use a kernel that has it, or take it out of the policy",
        )
        for one in capabilities
        if not one.available and one.needed_by
    ]


def _print(report: messages.DoctorReport, findings: list[Finding], terminal: Terminal) -> None:
    terminal.line(f"kernel {escape(report.kernel)}", "bold")
    rows = [
        (one.name, "yes" if one.available else "no", ", ".join(one.needed_by), one.words)
        for one in report.capabilities
    ]
    styles = ["" if one.available else "yellow" for one in report.capabilities]
    terminal.table(("capability", "there", "needed by", "what for"), rows, styles=styles)
    terminal.line()
    for finding in sorted(findings, key=lambda finding: finding.severity != "wrong"):
        wrong = finding.severity == "wrong"
        tail = f"; {finding.mend}" if finding.mend else ""
        terminal.line(
            f"{'WRONG' if wrong else 'note '}  {escape(finding.what + tail)}", "red bold" if wrong else "yellow"
        )
    if not any(finding.severity == "wrong" for finding in findings):
        terminal.line("All is well.", "green bold")
