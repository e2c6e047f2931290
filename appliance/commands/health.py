"""`reef doctor`: what this gateway's kernel can, whether all is well, and what to mend."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.commands.failure import AWAY, OK, REFUSED, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, duration, local_time, size
from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import AuditHealth, AuditHealthIs
from appliance.control.messages.readback import Runs
from appliance.control.processes import PROCESSES, Instance
from appliance.events.record import RULES_STATE, RulesState

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
    instance = gateway.instance
    try:
        report = gateway.ask(messages.Doctor(), messages.DoctorReport)
        status = gateway.ask(messages.Status(), messages.StatusReport)
    except Failure as failure:
        # That nobody answers is the first finding, not the end of the examination.
        if failure.code != AWAY:
            raise
        away = Finding("wrong", f"{failure.message}; {failure.remedy}".removesuffix("; "), "its log says why")
        report = messages.DoctorReport(" ".join(os.uname()[0:3:2]), ())
        dead = _dead(with_silent(_NOTHING_KNOWN, instance))
        _show((away, *dead, *_clock(time.time()), *_disk(Path(instance.state))), report, terminal)
        return AWAY
    # What is left out is told once: where the examination finds it wrong, not again as a note.
    omitted = tuple(words for words in status.omitted if words not in report.findings)
    status = msgspec.structs.replace(status, omitted=omitted)
    findings = (
        *(Finding("wrong", words) for words in report.findings),
        *from_status(with_silent(status, instance), time.time()),
        *from_runs(report.runs),
        *from_rules(instance.events, instance.rules),
        *_trail(gateway),
        *_disk(Path(instance.state)),
        *_capabilities(report.capabilities),
    )
    return OK if _show(findings, report, terminal) else REFUSED


_NOTHING_KNOWN = messages.StatusReport("", 0, 0, 0.0, "", ())


def _show(findings: tuple[Finding, ...], report: messages.DoctorReport, terminal: Terminal) -> bool:
    """Print the examination; whether all is well."""
    well = all(finding.severity != "wrong" for finding in findings)
    if terminal.json:
        terminal.data(Examination(well, report.kernel, findings, report.capabilities))
    else:
        _print(report, findings, terminal)
    return well


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
    found = _clock(now)
    if not status.running:
        found.append(Finding("wrong", "no policy was applied: nothing is forwarded", "reef apply FILE"))
    elif status.running != status.confirmed:
        left = f"; {duration(status.confirm_by - now)} left" if status.confirm_by else ""
        found.append(Finding("note", f"generation {status.running} is not confirmed{left}", "reef confirm"))
    if status.drift:
        words = f"the kernel holds something else than the generation says: {status.drift}"
        found.append(Finding("wrong", words, "reef apply the running text again, or set `drift: repair`"))
    found += _dead(status)
    found += [Finding("note", f"left out here: {words}") for words in status.omitted]
    return found


def from_runs(runs: Runs | None) -> list[Finding]:
    """What the comparison of kernel and policy says that a person should know. Pure."""
    if runs is None or runs.equal:
        return []
    mend = "reef apply the running text again; `reef log` says who changed the ruleset and when"
    found = [
        Finding("wrong", f"the kernel does not run what the policy means: {words}", mend)
        for words in runs.differences
    ]
    if runs.more:
        found.append(Finding("wrong", f"and {runs.more} more such differences", mend))
    found += [
        Finding(
            "wrong", f"whether the kernel runs what the policy means cannot be told: {words}", "look at it with `nft`"
        )
        for words in runs.unknown
    ]
    return found


def runs_lines(runs: Runs | None) -> list[tuple[str, str]]:
    """The comparison in lines for people, each with its style."""
    if runs is None:
        return []
    at = local_time(runs.at)
    lines = []
    if runs.equal:
        words = f"what runs is what the policy means: {count(runs.places, 'place')}, {count(runs.cases, 'case')}"
        lines.append((f"{words}, read back at {at}", "green"))
    elif runs.differences:
        lines.append((f"what runs is NOT what the policy means ({at}): {runs.differences[0]}", "red bold"))
        if rest := len(runs.differences) - 1 + runs.more:
            lines.append((f"  and {count(rest, 'more difference')}; `reef doctor` lists them", "red"))
    else:
        lines.append(
            (f"whether what runs is what the policy means cannot be told ({at}): {runs.unknown[0]}", "yellow")
        )
    if runs.drifted:
        lines.append((f"the last change by hand ({local_time(runs.drifted_at)}): {runs.drifted[0]}", "yellow"))
    return lines


def _clock(now: float) -> list[Finding]:
    if now >= OLDEST_CLOCK:
        return []
    return [Finding("wrong", "the clock was never set", "set it (NTP): expiries, schedules and logs depend on it")]


def _dead(status: messages.StatusReport) -> list[Finding]:
    return [
        Finding(
            "wrong",
            f"{process.name} is dead" + (f": {process.words}" if process.words else ""),
            f"its log says why (journalctl -u reef-{process.name})",
        )
        for process in status.processes
        if not process.alive
    ]


def from_rules(events: Path, rules: Path) -> list[Finding]:
    """What became of the rules of the taps, as inspectd wrote it down."""
    try:
        state = msgspec.json.decode((events / "inspectd" / RULES_STATE).read_bytes(), type=RulesState)
    except (OSError, msgspec.DecodeError):
        return []  # no rules yet, or not ours to read
    if state.error:
        return [Finding("wrong", f"the rules of the taps are not loaded: {state.error}", f"mend them in {rules}")]
    if state.refused:
        words = f"{state.refused} of {state.loaded + state.refused} rules of the taps are refused"
        return [Finding("note", words, f"reef ips check {rules} names them")]
    return []


def _trail(gateway: Gateway) -> list[Finding]:
    """What recordd says of the audit trail; that it is dead is said with the other processes."""
    try:
        troubles = gateway.ask(AuditHealth(), AuditHealthIs, of="recordd", patience=5.0).troubles
    except Failure:
        return []
    return [Finding("wrong", words, "docs/audit.md says what the trail needs") for words in troubles]


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


def _print(report: messages.DoctorReport, findings: Sequence[Finding], terminal: Terminal) -> None:
    terminal.line(f"kernel {escape(report.kernel)}", "bold")
    rows = [
        (one.name, "yes" if one.available else "no", ", ".join(one.needed_by), one.words)
        for one in report.capabilities
    ]
    styles = ["" if one.available else "yellow" for one in report.capabilities]
    if rows:
        terminal.table(("capability", "there", "needed by", "what for"), rows, styles=styles)
        terminal.line()
    if report.runs is not None and report.runs.equal:
        for line, style in runs_lines(report.runs):
            terminal.line(escape(line), style)
        for words in report.runs.unread:
            terminal.line(f"  not looked at: {escape(words)}", "dim")
    said = ""  # a remedy that many have is said once, behind the first
    for finding in sorted(findings, key=lambda finding: finding.severity != "wrong"):
        wrong = finding.severity == "wrong"
        tail = f"; {finding.mend}" if finding.mend and finding.mend != said else ""
        said = finding.mend
        terminal.line(
            f"{'WRONG' if wrong else 'note '}  {escape(finding.what + tail)}", "red bold" if wrong else "yellow"
        )
    if not any(finding.severity == "wrong" for finding in findings):
        terminal.line("All is well.", "green bold")
