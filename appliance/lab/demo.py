"""`make run` and `reef lab`: a lab in the foreground, with what its gateway decides, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from appliance.lab import site
from appliance.lab.gateway import GatewayError
from appliance.lab.netns import NamespaceError
from appliance.lab.screen import Paper, Screen, Summary
from appliance.lab.site import POLICIES, Lab, LabError
from appliance.lab.traffic import PACE, Attempt
from appliance.lab.watch import Watch

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, None: 1}
TICK = 0.2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """Somebody asked for the end while the lab started."""


class Wish:
    """Whether a signal asked for the end. The handler only notes it: raised from there, an exception comes out of the
    middle of anything, and whatever was locked at that moment (`Popen.poll` has a lock) stays so for ever.
    """

    def __init__(self) -> None:
        self.uttered = False

    def hear(self) -> None:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # started with nohup(1), it outlives the terminal
                signal.signal(number, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.uttered = True


def _duration(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 20s, 5m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="reef lab",
        description="Start a lab: a ministry's site made of network namespaces, with the gateway's daemons in it. "
        "It runs until Ctrl-C, which removes everything it made.",
    )
    words.add_argument("verb", nargs="?", default="start", choices=("start", "list", "clean"), help="default: start")
    words.add_argument("--id", help="the lab's id: small letters and digits (default: the lowest free number)")
    words.add_argument("--for", dest="seconds", type=_duration, metavar="TIME", help="end by itself, e.g. after 20s")
    words.add_argument(
        "--policy", type=Path, metavar="FILE", help="the ministry's first policy (default: the lab's own)"
    )
    words.add_argument("--two", action="store_true", help="the second ministry runs Reef too")
    words.add_argument("--no-traffic", action="store_true", help="the hosts only answer; all traffic is yours")
    words.add_argument(
        "--pace", type=_duration, default=PACE, metavar="TIME", help=f"between deeds (default: {PACE}s)"
    )
    words.add_argument("--verbose", action="store_true", help="show what the daemons print, and every attempt")
    return words


def main(argv: list[str]) -> int:
    """Run one verb of `reef lab`. Returns the exit code: 0, or 1 with words on stderr when a lab cannot be."""
    options = parser().parse_args(argv)
    try:
        if options.verb == "list":
            print("\n".join(site.running()) or "no lab runs", flush=True)
            return 0
        if options.verb == "clean":
            print("\n".join(f"removed what lab {lab} had left" for lab in site.clean()) or "nothing to clean")
            return 0
        return _start(options)
    except (LabError, GatewayError, NamespaceError) as error:
        print(f"reef lab: {error}", file=sys.stderr)
        return 1


def _start(options: argparse.Namespace) -> int:
    paper, wish = Paper(), Wish()
    began = time.monotonic()

    def stage(what: str, seconds: float) -> None:
        paper.line(f"  {seconds:6.2f} s  {what}", "dim")
        if wish.uttered:
            raise Ended

    def log(who: str, line: str) -> None:
        if options.verbose or who == "lab":
            paper.line(f"  {who}: {line}", "dim")

    wish.hear()
    lab = Lab(
        options.id,
        policies=POLICIES if options.policy is None else {**POLICIES, "gw": options.policy},
        traffic=not options.no_traffic,
        pace=options.pace,
        two_gateways=options.two,
        console=True,
        log=log,
        stage=stage,
    )
    paper.line("Starting the lab ...")
    summary = Summary()
    try:
        lab.start()
        paper.line(f"Lab {lab.lab} is up after {time.monotonic() - began:.1f} s.", "bold")
        _what_to_try(lab, paper)
        _run(lab, options, paper, summary, wish)
    except Ended:
        paper.line()
    finally:
        lab.stop()
    summary.write(paper)
    paper.line(f"Lab {lab.lab} is gone; nothing of it is left.")
    return 0


def _run(lab: Lab, options: argparse.Namespace, paper: Paper, summary: Summary, wish: Wish) -> None:
    until = time.monotonic() + options.seconds if options.seconds else None
    several = len(lab.gateways) > 1
    screens = [
        Screen(Watch(gateway.instance), paper, summary, f"{name:<4} " if several else "")
        for name, gateway in lab.gateways.items()
    ]
    while not wish.uttered and (until is None or time.monotonic() < until):
        for attempt in lab.poll(TICK):
            summary.count(attempt)
            if attempt.meant != attempt.reached:
                paper.line(f"{attempt.host}: {attempt.what}: {_outcome(attempt)}", "yellow")
            elif attempt.grave or options.verbose:
                paper.line(f"{attempt.host}: {attempt.what}: {_outcome(attempt)}", "dim")
        for screen in screens:
            screen.show()
    if wish.uttered:
        paper.line()  # behind the terminal's ^C


def _outcome(attempt: Attempt) -> str:
    """What came of it; "now" marks what is not as the lab's first policy has it: somebody changed the policy."""
    now = "" if attempt.meant == attempt.reached else "now "
    return f"{now}reached ({attempt.words})" if attempt.reached else f"{now}not reached ({attempt.words})"


def _what_to_try(lab: Lab, paper: Paper) -> None:
    sudo = "sudo " if "SUDO_USER" in os.environ else ""
    reef = f"{sudo}.venv/bin/reef --lab {lab.lab}"
    inside = f"{sudo}ip netns exec {lab.namespace('{}')}"
    paper.line("Its map is in docs/lab.md. To try, in another terminal of this directory:")
    for command, words in (
        (f"{reef} show status", "what runs"),
        (f"{reef} show rules", "the policy, with counters"),
        (f"{reef} show flows", "the connections of this moment"),
        (f"{reef} findings", "what was found without signatures, and why it is one"),
        (f"{reef} ban list", "who is banned, by whom, why"),
        (f"{reef} ban gate", "what was dropped at the line"),
        (f"{inside.format('lan1')} curl http://www.example.org/", "allowed: R-3"),
        (f"{inside.format('lan2')} nc -w 2 -vz mail.example.org 25", "rejected: R-6"),
        (f"{inside.format('hostile')} nc -w 2 -vz 203.0.113.2 22", "dropped, and logged"),
        (
            f"{inside.format('csirt')} .venv/bin/python -m appliance.lab.csirt alerts --lab {lab.lab}",
            "what the CSIRT reads",
        ),
        (f"{inside.format('m2')} curl http://www.health.example/", "the published web site: P-1"),
        (f"{inside.format('lan1')} ssh -F {lab.ssh_config} gw", "manage the gateway, as its officer"),
    ):
        paper.line(f"  {command}")
        paper.line(f"      {words}", "dim")
    if lab.console_url:
        paper.line(f"The console, for a browser on this machine: {lab.console_url}", "bold")
        paper.line(f"  {reef} console invite ana")
        paper.line("      a link for the first account (Ana Ruiz, administrator); then invite amara, ben, olu", "dim")
        paper.line(f"  {lab.console_certificate}")
        paper.line("      the certificate that the browser has to trust", "dim")
    paper.line("Ctrl-C ends the lab and removes everything it made.")
    paper.line()
