"""Every command of docs/lab.md, typed as it stands there, in a lab that lives."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.lab.site import Lab
from tests.netns.conftest import lab_id, until

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "lab.md").read_text()
# What must not succeed, and what the shell says then: what gets no answer or is refused, a log that has no end.
FAILS = {"/etc/passwd": 28, "mail.example.org 25": 1, "203.0.113.2 22": 1, "log --follow": 124}


def blocks(lab: str) -> list[list[str]]:
    """The commands of the page's shell blocks, for that lab instead of lab 1, with less time to confirm in."""
    found = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for old, new in (
        ("reef1-", f"reef{lab}-"),
        ("reef-lab/1/", f"reef-lab/{lab}/"),
        ("REEF_LAB=1", f"REEF_LAB={lab}"),
        ("--lab 1", f"--lab {lab}"),
        ("--confirm-within 10", "--confirm-within 3"),
        ("> lockout.yaml", f"> /run/reef-lab/{lab}/lockout.yaml"),
        ("< lockout.yaml", f"< /run/reef-lab/{lab}/lockout.yaml"),
        ("--output report.txt", f"--output /run/reef-lab/{lab}/report.txt"),
        ("$reef log --follow", "timeout 1 $reef log --follow"),
    ):
        found = [block.replace(old, new) for block in found]
    return [block.replace("\\\n", " ").splitlines() for block in found]


def restarted(lab: Lab) -> bool:
    return any(one.alive and "restart" in one.words for one in lab.gateway.health())


def test_every_command_of_the_page_does_what_it_says() -> None:
    with Lab(lab_id("p"), traffic=False) as lab:
        every = blocks(lab.lab)
        assert len(every) == 4
        definition = every[0][0]
        assert definition.startswith("reef=")
        said = {}
        for block in every:
            for line in filter(None, block):
                done = lab.command(["sh", "-c", f"cd {ROOT}; {definition}; {line}"], timeout=30)
                wanted = next((code for words, code in FAILS.items() if words in line), 0)
                assert done.returncode == wanted, (line, done.stdout, done.stderr)
                if line.startswith("kill -9"):
                    until(lambda: restarted(lab), "applyd is there again", lab=lab)
                said[line.partition("#")[0].strip()] = done.stdout + done.stderr
        assert "web serves / to" in next(out for line, out in said.items() if "lan1 curl http://www.example" in line)
        assert "refused" in next(out for line, out in said.items() if "mail.example.org 25" in line)
        until(lambda: lab.gateway.status().running == 1, "the first generation is back", lab=lab)
        chain = ("nft", "list", "chain", "inet", "reef", "forward")
        until(lambda: lab.run("gw", *chain).stdout.count("\n") > 5, "the flushed chain is repaired", lab=lab)
