"""The report on one site with fixed facts: as text, as JSON, as HTML.

`python -m tests.golden.test_report` writes the files again: read the difference before you keep it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.report import render_html, render_text
from appliance.report.catalogue import load
from appliance.report.facts import Facts
from appliance.report.report import make
from tests.unit.report.cases import SITE, facts_of, setting, within

FOLDER = Path(__file__).parent / "report"


def mixed() -> Facts:
    """A gateway of which some things hold, some do not, and some cannot be told."""
    text = SITE.replace(" limit: 100/second per source,", "").replace("likelihood: low", "likelihood: high")
    text = text.replace("threat: copied", 'threat: "<b>copied</b> & sold"')
    facts = setting("net/ipv4/conf/lan0/send_redirects", "1")(
        within("status", drift="somebody changed it")(facts_of(text))
    )
    clock = msgspec.structs.replace(facts.clock, value=None, missing="there is no `timedatectl` here; install it")
    return msgspec.structs.replace(facts, clock=clock)


def as_text() -> str:
    return render_text.render(make(mixed(), load(), ("nist-800-41",)))


def as_json() -> str:
    return msgspec.json.format(msgspec.json.encode(make(mixed(), load(), ("cis-8.1",))), indent=2).decode() + "\n"


def as_html() -> str:
    return render_html.render(make(mixed(), load(), ("x805",)))


MADE = {"report.txt": as_text, "report.json": as_json, "report.html": as_html}


@pytest.mark.parametrize("name", MADE)
def test_the_report_says_this(name: str) -> None:
    assert MADE[name]() == (FOLDER / name).read_text()


if __name__ == "__main__":
    for name, made in MADE.items():
        (FOLDER / name).write_text(made())
