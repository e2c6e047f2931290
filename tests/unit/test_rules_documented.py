"""docs/rules.md lists every keyword with its state. `REEF_GOLDEN=write` writes the tables anew."""

from __future__ import annotations

import os
from pathlib import Path

from ctypes_ext.ruleset import PROTOCOLS
from dataplane.rules.header import ACTIONS, TRANSPORTS
from dataplane.rules.keywords import ALIASES, KEYWORDS, MODIFIERS, NEEDED, NONE

DOC = Path(__file__).parents[2] / "docs" / "rules.md"
BEGIN, END = "<!-- from here on written by tests/unit/test_rules_documented.py -->\n", "<!-- to here -->\n"
_STATE = {"supported": "as Suricata", "differs": "differs", "unsupported": "refused"}
_VALUE = {NEEDED: "`: …`", NONE: ""}


def tables() -> str:
    """Every keyword by its heading, and the words of headers."""
    groups: dict[str, list[str]] = {}
    for name, keyword in sorted(KEYWORDS.items()):
        other = ALIASES.get(name) or MODIFIERS.get(name)
        remark = keyword.remark or (
            f"{'old modifier: ' if name in MODIFIERS else 'same as '}`{other}`" if other else ""
        )
        value = _VALUE.get(keyword.value, "`[: …]`")
        groups.setdefault(keyword.group, []).append(f"| `{name}` | {value} | {_STATE[keyword.state]} | {remark} |\n")
    out = [f"{len(KEYWORDS)} keywords are known.\n"]
    for group in sorted(groups):
        out.append(f"\n### {group}\n\n| keyword | value | state | |\n|---|---|---|---|\n")
        out += groups[group]
    out.append("\n### Actions and protocols of headers\n\n")
    out.append("Actions: " + ", ".join(f"`{name}`" for name in ACTIONS) + ".\n\n")
    out.append("Protocols: " + ", ".join(f"`{name}`" for name in [*TRANSPORTS, *sorted(PROTOCOLS)]) + ".\n")
    return "".join(out)


def test_every_keyword_is_listed_with_its_state() -> None:
    text = DOC.read_text("utf-8")
    before, rest = text.split(BEGIN)
    listed, after = rest.split(END)
    if os.environ.get("REEF_GOLDEN") == "write":
        DOC.write_text(before + BEGIN + "\n" + tables() + "\n" + END + after, "utf-8")
        return
    assert listed.strip() == tables().strip(), (
        "REEF_GOLDEN=write python -m pytest tests/unit/test_rules_documented.py"
    )


def test_every_difference_says_why() -> None:
    for name, keyword in KEYWORDS.items():
        assert keyword.supported or keyword.remark, name
