"""The `reef` command: the tree of its verbs.

Only argparse is imported here. The file of a verb is loaded when the verb runs, so that `reef --version`, help and
completion answer at once. Arguments never pass through a shell.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from appliance.cli_changes import proposal_verbs
from appliance.cli_console import console_verbs
from appliance.cli_events import consumer_verbs, indicator_verbs, privacy_verbs
from appliance.cli_inspection import inspect_verb, ips_verbs
from appliance.cli_prevention import ban_verbs
from appliance.cli_records import records_verbs
from appliance.verbtree import Parser, everywhere
from appliance.verbtree import Tree as _Tree
from appliance.verbtree import flow as _flow
from appliance.verbtree import positive as _positive
from appliance.verbtree import seconds as _seconds

_ABOUT = """\
Reef, the gateway between this site and every other network.

A site is one policy text. Check it, see what it would change, apply it, confirm it; or let the old
generation come back by itself. Every verb explains itself: reef VERB --help."""

_EXITS = """\
exit codes: 0 done; 1 refused or bad input; 2 wrong usage; 3 the gateway's daemon does not answer;
4 not permitted; 5 the world changed meanwhile (another generation runs, or the old one came back);
130 interrupted"""


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from appliance import __version__

        print(f"reef {__version__}")
        parser.exit(0)


def build_parser() -> Parser:
    """The whole tree, as completion and the documentation test read it."""
    top = Parser(prog="reef", description=_ABOUT, epilog=_EXITS, parents=[everywhere(True)])
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    tree = _Tree(top, everywhere(False), "VERB", "verbs")
    _text_verbs(tree)
    _change_verbs(tree)
    proposal_verbs(tree)
    _look_verbs(tree)
    records_verbs(tree)
    console_verbs(tree)
    _other_verbs(tree)
    return top


def _text_verbs(tree: _Tree) -> None:
    check = tree.verb(
        "check",
        "text:check",
        "Check policy texts; every problem at once, nothing changes",
        "Each problem is printed as file:line:column, what is wrong, and what would be right.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="a policy text; - for standard input")
    check.add_argument("--all", action="store_true", help="print all problems and changes, not only the first 50")
    check.add_argument(
        "--baselines",
        metavar="DIR",
        action="append",
        help="where inherited texts lie (default: beside FILE, baselines/ beside or above it, the gateway's own)",
    )
    check.add_argument(
        "--require",
        metavar="NAME",
        action="append",
        default=[],
        help="a baseline that FILE must inherit (besides those that this gateway requires)",
    )
    fmt = tree.verb("fmt", "text:fmt", "Write policy texts in their canonical form; comments and order stay")
    fmt.add_argument(
        "files", nargs="+", metavar="FILE", help="a policy text; - for standard input to standard output"
    )
    how = fmt.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is not in canonical form")
    how.add_argument("--diff", action="store_true", help="change nothing; print what would change")
    tree.verb(
        "schema",
        "text:schema",
        "Print the JSON Schema of the policy text",
        "For editors that complete and check YAML: reef schema > reef.schema.json",
    )


def _change_verbs(tree: _Tree) -> None:
    plan = tree.verb("plan", "change:plan", "Say in words what applying a text would change; nothing changes")
    plan.add_argument("file", metavar="FILE", help="a policy text; - for standard input")
    plan.add_argument("--called", default="", help=argparse.SUPPRESS)
    plan.add_argument("--all", action="store_true", help="print all problems and changes, not only the first 50")
    apply = tree.verb(
        "apply",
        "change:apply",
        "Check, plan, ask, and apply a text as a new generation",
        "The new generation must be confirmed (reef confirm) from a session that came in through it; otherwise\n"
        "the old one comes back by itself, also after a crash or a power cut.",
    )
    apply.add_argument("file", nargs="?", metavar="FILE", help="a policy text; - for standard input (needs --yes)")
    apply.add_argument("--proposal", type=_positive, metavar="N", help="apply this proposal instead of a file")
    apply.add_argument(
        "--break-glass", default="", metavar="WHY", help="run what nobody approved; an alert, and on record"
    )
    apply.add_argument("--called", default="", help=argparse.SUPPRESS)
    apply.add_argument(
        "--confirm-within",
        type=_seconds,
        metavar="TIME",
        help="time to confirm in, like 120 or 5m; 0: no confirm needed (default: what the policy says)",
    )
    apply.add_argument("--reason", default="", metavar="WORDS", help="why, for the history")
    apply.add_argument("--yes", action="store_true", help="do not ask")
    apply.add_argument(
        "--base",
        type=_positive,
        metavar="N",
        help="the generation the text was edited from; refused if another one runs",
    )
    apply.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="stay until it is confirmed or the old one is back (default: on a terminal)",
    )
    apply.add_argument("--all", action="store_true", help="print all problems and changes, not only the first 50")
    impact = tree.verb(
        "impact",
        "impact:impact",
        "Say which logged flows a text would have decided otherwise; nothing changes",
        "The flow log of the last days is replayed against the text: which zones, whose rules, how many flows,\n"
        "when last. Places are those of the policy; --addresses names hosts, and that you asked is logged.",
    )
    impact.add_argument("file", metavar="FILE", help="a policy text; - for standard input")
    impact.add_argument("--called", default="", help=argparse.SUPPRESS)
    impact.add_argument("--days", type=_positive, default=7, metavar="N", help="how many days back (default 7)")
    impact.add_argument("--addresses", action="store_true", help="name hosts; it is logged who asked")
    impact.add_argument("--all", action="store_true", help="print all groups, not only the first 20")
    tree.verb("confirm", "change:confirm", "Keep the generation that runs unconfirmed")
    rollback = tree.verb("rollback", "change:rollback", "Go back to an earlier generation")
    rollback.add_argument("generation", nargs="?", type=_positive, help="its number (default: the one before)")
    rollback.add_argument("--reason", default="", metavar="WORDS", help="why, for the history")
    rollback.add_argument("--yes", action="store_true", help="do not ask")
    rollback.add_argument("--all", action="store_true", help="print all changes, not only the first 50")


def _look_verbs(tree: _Tree) -> None:
    history = tree.verb("history", "past:history", "List the generations: who, when, why")
    history.add_argument("--limit", type=_positive, default=50, metavar="N", help="how many (default 50)")
    history.add_argument(
        "--verify", action="store_true", help="check again that each is what was signed; exit 1 if one is not"
    )
    show = tree.verb("show", "live:status", "Show what runs: status, rules, counters, flows and more")
    kinds = _Tree(show, tree.common, "WHAT", "what (default: status)")
    kinds.verb("status", "live:status", "What runs, whether it is confirmed, and how its daemons are")
    generation = kinds.verb("generation", "past:generation", "The text of one generation, with who, when, why")
    generation.add_argument("generation", nargs="?", type=_positive, help="its number (default: the running one)")
    _rules_verbs(kinds)
    kinds.verb("zones", "live:zones", "Zones, their interfaces and networks")
    kinds.verb("bridges", "live:bridges", "Bumps in the wire: between which lines, and whether they are inspected")
    lines = kinds.verb("lines", "lines:lines", "The lines: whether they are up, since when, and what passes them")
    lines.add_argument("name", nargs="?", default="", metavar="LINE", help="one of them, with its last ten minutes")
    kinds.verb(
        "connections", "lines:connections", "The register of external lines, who answers for them, their state"
    )
    flows = kinds.verb("flows", "flows:flows", "The connections that pass now: who, whom, rule, bytes")
    flows.add_argument("--rule", default="", metavar="ID", help="only those that this rule decided")
    flows.add_argument("--host", default="", metavar="ADDRESS", help="only those of this address or network")
    flows.add_argument(
        "--port", type=_positive, default=0, metavar="N", help="only those of this port, at either end"
    )
    flows.add_argument(
        "--sort", choices=("biggest", "newest"), default="biggest", help="which come first (default: biggest)"
    )
    flows.add_argument("--all", action="store_true", help="also those that have ended and are only remembered")
    flows.add_argument("--limit", type=_positive, default=1000, metavar="N", help="how many (default 1000)")
    sets = kinds.verb("sets", "live:sets", "The sets that change while a generation runs: DNS names, people, bans")
    sets.add_argument("name", nargs="?", default="", help="one of them, with its addresses")
    kinds.verb("services", "devices:services", "The services of our own hosts that were ever seen to answer")
    used = tree.verb(
        "where-used",
        "whereused:where_used",
        "Every place that names an object, service, zone, schedule, person, group, profile, rule or address",
        "Also what names it through something that contains it, with what the rules there matched.",
    )
    used.add_argument(
        "name", nargs="?", default="", metavar="NAME", help="what is looked for; an address finds what holds it"
    )
    used.add_argument("--unused", action="store_true", help="instead: what is defined and used by nothing")
    used.add_argument("--file", default="", metavar="FILE", help="in this text (default: in what runs)")
    used.add_argument(
        "--seen",
        type=_seconds,
        nargs="?",
        const=30 * 86_400,
        metavar="TIME",
        help="also how many connections of each rule it was in for so long (default 30d), from the flow log",
    )
    suggest = tree.verb(
        "suggest",
        "suggest:suggest",
        "Say what rules could be narrowed to without losing what they matched; nothing changes",
        "Of the rules that allow: fewer zones, addresses and services, from what was seen; and what was never hit.",
    )
    suggest.add_argument("rule", nargs="?", default="", metavar="RULE", help="this one, and why not (default: all)")
    suggest.add_argument(
        "--window", type=_seconds, default=90 * 86_400, metavar="TIME", help="look back so far (default 90d)"
    )
    suggest.add_argument(
        "--at-least",
        type=_seconds,
        default=7 * 86_400,
        metavar="TIME",
        help="suggest nothing for rules seen for less (default 7d)",
    )
    suggest.add_argument("--most", type=_positive, default=16, metavar="N", help="words of one key (default 16)")
    suggest.add_argument("--diff", action="store_true", help="print only the edits, as one unified diff")
    diff = tree.verb("diff", "past:diff", "Compare two generations or texts: lines, words, traffic")
    diff.add_argument("old", metavar="A", help="a generation number or a file")
    diff.add_argument("new", metavar="B", help="a generation number or a file")
    diff.add_argument("--all", action="store_true", help="print all changes, not only the first 50")
    diff.add_argument("--baselines", action="append", metavar="DIR", help="where inherited texts lie")
    _why_verb(tree)
    inspect_verb(tree)
    ips_verbs(tree)
    _watch_verbs(tree)
    consumer_verbs(tree)
    indicator_verbs(tree)
    privacy_verbs(tree)
    log = tree.verb("log", "log:log", "Print what the gateway decided and saw, one line per event")
    log.add_argument("--follow", "-f", action="store_true", help="go on with what comes")
    log.add_argument("--since", metavar="TIME", help="from then on: 15m, 2h, 17:05 or 2027-03-31T17:05")
    log.add_argument("--until", metavar="TIME", help="until then, written likewise")
    log.add_argument("--rule", action="append", default=[], metavar="ID", help="only events of this rule")
    log.add_argument("--zone", action="append", default=[], metavar="ZONE", help="only events from or to this zone")
    log.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="only events of this address, network or object",
    )
    log.add_argument(
        "--action", action="append", default=[], choices=["allow", "deny", "reject"], help="only these verdicts"
    )
    log.add_argument(
        "--type",
        action="append",
        default=[],
        metavar="TYPE",
        help="only these events: drop, flow, dns, tls, http, anomaly …",
    )
    log.add_argument("--limit", type=_positive, metavar="N", help="only the last N")


def _rules_verbs(kinds: _Tree) -> None:
    rules = kinds.verb(
        "rules",
        "rules:rules",
        "The rules in their order, with what they matched",
        "Hits are new connections, and running ones that a new generation decided again. They are counted over\n"
        "applies, restarts and boots; the last line says since when, and what was not watched.",
    )
    rules.add_argument(
        "--unused",
        type=_seconds,
        nargs="?",
        const=90 * 86_400,
        metavar="TIME",
        help="only rules without a hit for so long (default 90d), and watched for all of it",
    )
    rules.add_argument("--never-hit", action="store_true", help="only rules without a hit since they are known")
    rules.add_argument(
        "--expiring",
        type=_seconds,
        nargs="?",
        const=30 * 86_400,
        metavar="TIME",
        help="only rules that end or wait for their review within that time (default 30d)",
    )
    rules.add_argument(
        "--sort", choices=["hits", "recent", "last", "until", "owner", "id"], help="default: the order of the policy"
    )
    rules.add_argument("--csv", action="store_true", help="comma-separated values, for a spreadsheet")
    kinds.verb("counters", "rules:counters", "Hits and bytes of every rule, most first")


def _why_verb(tree: _Tree) -> None:
    why = tree.verb(
        "why",
        "why:why_verb",
        "Say why a packet passes or does not: zone, route, NAT, the rule, and the rules that nearly decided",
        "For example: reef why --from 10.20.0.12 --to 198.51.100.80 tcp/443\n"
        "or, of a line of the log: reef log --limit 1 | reef why -",
    )
    why.add_argument(
        "what",
        nargs="?",
        default="",
        metavar="SERVICE|LINE",
        help="with --from and --to a service, like tcp/443, dns, ping; else a line of the log; - for standard input",
    )
    ends = "an address, an object, a person, a DNS name of the policy, a zone, or gateway"
    why.add_argument("--from", dest="from_", default="", metavar="WHO", help=f"who opens the connection: {ends}")
    why.add_argument("--to", default="", metavar="WHOM", help="to whom, as the sender sees it: likewise")
    why.add_argument(
        "--flow", type=_flow, default=0, metavar="ID", help="a flow, by its number in reef show flows or the log"
    )
    why.add_argument(
        "--as", dest="as_", default="", metavar="PERSON", help="as if that person were behind the source"
    )
    why.add_argument("--at", default="", metavar="TIME", help="at that time, like 17:05 or 2027-03-31T17:05")
    why.add_argument("--in", dest="in_", default="", metavar="ZONE", help="the zone or interface where it enters")
    why.add_argument("--file", default="", metavar="FILE", help="of this text (default: of what runs)")
    why.add_argument("--live", action="store_true", help="send a packet through the kernel and compare (root)")
    why.add_argument("--follow", action="store_true", help="wait for a real packet instead, and compare")
    why.add_argument("--wait", type=_seconds, default=30, metavar="TIME", help="how long to --follow (default 30)")
    why.add_argument("--deliver", action="store_true", help="let the packet of --live go on to its destination")


def _watch_verbs(tree: _Tree) -> None:
    findings = tree.verb(
        "findings",
        "findings:findings",
        "What was found without signatures: scans, guessing, beacons, tunnels, new devices and services",
        "Each says in words who did what, since when, from which threshold on it is told, and what to do.",
    )
    findings.add_argument("--since", metavar="TIME", help="from then on: 15m, 2h, 17:05 or 2027-03-31T17:05")
    findings.add_argument("--host", action="append", default=[], metavar="ADDRESS", help="only those of this address")
    findings.add_argument("--kind", action="append", default=[], metavar="KIND", help="only these, like port-scan")
    findings.add_argument("--limit", type=_positive, metavar="N", help="only the last N (default 20)")
    devices = tree.verb("devices", "devices:listing", "The devices that were ever seen on our own networks")
    kinds = _Tree(devices, tree.common, "WHAT", "what (default: list)")
    listing = kinds.verb("list", "devices:listing", "List the devices")
    listing.add_argument("--unknown", action="store_true", help="only those that nobody accepted")
    accept = kinds.verb("accept", "devices:accept", "Say that devices belong here")
    accept.add_argument("devices", nargs="*", metavar="MAC", help="a hardware address, like b8:27:eb:01:02:03")
    accept.add_argument("--learned", action="store_true", help="also all that were noted in the time of learning")
    held = kinds.verb("quarantine", "devices:quarantine", "Hold devices again where their zone has a quarantine")
    held.add_argument("devices", nargs="+", metavar="MAC", help="a hardware address, like b8:27:eb:01:02:03")
    forget = kinds.verb("forget", "devices:forget", "Forget devices: they are told of when they come again")
    forget.add_argument("devices", nargs="+", metavar="MAC", help="a hardware address, like b8:27:eb:01:02:03")


def _other_verbs(tree: _Tree) -> None:
    tree.verb(
        "doctor",
        "health:doctor",
        "Examine kernel, daemons, disk and clock, and say what to mend",
        "Exit code 0: all is well; 1: something needs a person; 3: the daemon does not answer.",
    )
    _report_verb(tree)
    ban_verbs(tree)
    # Named here for help and completion; `main` hands it over before anything is parsed.
    tree.verbs.add_parser("lab", help="Start and use the lab: a ministry's site made of network namespaces")
    completion = tree.verb(
        "completion",
        "completion:script",
        "Print the completion script of a shell",
        'bash: eval "$(reef completion bash)"; zsh likewise; fish: reef completion fish | source',
    )
    completion.add_argument("shell", choices=["bash", "zsh", "fish"])


_WITH_VALUE = ("--lab", "--instance", "--gateway")


def spelled_out(words: Sequence[str]) -> list[str]:
    """`reef ban 192.0.2.1` is `reef ban add 192.0.2.1`, and likewise `reef allow`."""
    found = list(words)
    at = 0
    while at < len(found) and found[at].startswith("-"):
        at += 2 if found[at] in _WITH_VALUE else 1
    if found[at : at + 1] in (["ban"], ["allow"]):
        said = found[at + 1 : at + 2]
        # An address has a digit or a colon, which no verb has.
        if said and not said[0].startswith("-") and any(letter.isdigit() or letter == ":" for letter in said[0]):
            found.insert(at + 1, "add")
    return found


def _report_verb(tree: _Tree) -> None:
    report = tree.verb(
        "report",
        "report:report",
        "Judge a gateway, or a text, by security standards and its risks, with evidence",
        "Standards: ISO/IEC 27033-4, ITU-T X.805, NIST SP 800-41r1, CIS Controls v8.1. Each answer is pass, fail or\n"
        "cannot be evaluated. Run as root on the gateway, so that the kernel can be asked.",
    )
    report.add_argument(
        "file", nargs="?", default="", metavar="POLICY", help="of this text alone (default: of what runs)"
    )
    report.add_argument("--called", default="", help=argparse.SUPPRESS)
    report.add_argument(
        "--standard",
        action="append",
        default=[],
        choices=["iso-27033-4", "x805", "nist-800-41", "cis-8.1"],
        help="only this one; may be given again (default: all)",
    )
    report.add_argument(
        "--format",
        choices=["text", "json", "html", "pdf", "csv"],
        default="text",
        help="how to write it (default: text)",
    )
    report.add_argument(
        "--days", type=_positive, default=30, metavar="N", help="figures of so many days (default 30, at most 366)"
    )
    report.add_argument("--brief", action="store_true", help="as text: only the figures and what to mend")
    report.add_argument("--output", metavar="FILE", help="write it there, readable by you alone (default: print it)")
    report.add_argument("--read", metavar="FILE", help="write a report again that was kept as JSON (- reads it)")
    report.add_argument(
        "--fail-on",
        choices=["never", "fail", "open"],
        default="never",
        help="exit 1 when a clause fails, or (open) when one fails or cannot be evaluated (default: never)",
    )
    report.add_argument("--baselines", action="append", metavar="DIR", help="where texts lie that POLICY inherits")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `reef` with `arguments` (default: those of the process) and return its exit code."""
    words = spelled_out(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["lab"]:
        # The lab has a command line of its own, help included.
        start: Callable[[list[str]], int] = importlib.import_module("appliance.lab.demo").main
        return start(words[1:])
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        importlib.import_module("appliance.commands.completion").complete(parser)
    options = parser.parse_args(words)
    if not hasattr(options, "runs"):
        parser.print_help()
        return 2
    return run(options, words)


def run(options: argparse.Namespace, arguments: list[str]) -> int:
    """Load the verb's file and run it; turn its `Failure`, Ctrl-C and a closed pipe into an exit code."""
    from appliance.commands.failure import INTERRUPTED, Failure
    from appliance.commands.terminal import Terminal

    terminal = Terminal(json=options.json)
    module, function = options.runs.split(":")
    try:
        if options.gateway and not options.gateway.startswith("https://"):
            module, function = "remote", "verb"
            options.arguments = arguments
        verb: Callable[[argparse.Namespace, Terminal], int]
        verb = getattr(importlib.import_module(f"appliance.commands.{module}"), function)
        code = verb(options, terminal)
        sys.stdout.flush()
    except Failure as failure:
        from appliance.commands.problems import show_failure

        show_failure(terminal, failure, everything=getattr(options, "all", False))
        return failure.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`reef log | head`): quiet, and nothing left to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
