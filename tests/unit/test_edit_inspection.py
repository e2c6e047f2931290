"""What is edited is what was meant, every other line stays, and the result is a policy."""

from __future__ import annotations

import difflib

import pytest

from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy, Reaction, Signatures
from appliance.policy.written import edit_inspection as edit
from appliance.policy.written.edit import EditError

HEAD = """\
reef: 1  # the language
site: s
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24]}
"""
RULES = """\
rules:
  - id: R-1
    from: lan
    to: dmz
    service: tcp/80
    action: allow
    inspect: strict  # all of it
    owner: a@s.example
    why: w
  - {id: R-2, from: dmz, to: lan, service: tcp/81, action: allow, inspect: strict, owner: o, why: w}
  - {id: R-3, from: dmz, to: lan, service: tcp/82, action: allow, inspect: standard, owner: o, why: w}
"""
KEYS = {
    "id": "S-7", "signatures": "sid 1:2019401", "host": "10.20.0.9", "owner": '"o"', "why": '"w: x"',
    "expires": "2027-03-31",
}  # fmt: skip
SILENT = "- {id: S-1, signatures: sid 5, host: 10.20.0.8, owner: o, why: w, expires: 2027-01-01}"


def policy(text: str) -> Policy:
    return parse(text, "s.yaml", inherited={})[0]


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that went and that came."""
    lines = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    return [line[2:] for line in lines if line[0] == "-"], [line[2:] for line in lines if line[0] == "+"]


@pytest.mark.parametrize(
    "section",
    [
        "",
        "suppressions: []\n",
        "suppressions:\n",
        f"suppressions:\n{SILENT}\n",
        f"suppressions:\n  # why\n    {SILENT}  # until then\n    # more\n\n",
        f"suppressions:\n  {SILENT}\n  - id: S-2\n    signatures: [sid 6]\n    host: 10.20.0.7\n    owner: o\n"
        "    why: w\n    expires: 2027-01-01",
    ],
)
@pytest.mark.parametrize("behind", ["", "settings: {history: 30}\n"])
def test_a_suppression_is_the_last_and_every_other_line_stays(section: str, behind: str) -> None:
    before = HEAD + section + ("\n" if section and not section.endswith("\n") else "") + behind
    after = edit.suppress(before, KEYS)
    gone, come = changed(before, after)
    assert gone in ([], ["suppressions: []"])
    written = ["- id: S-7", *(f"{key}: {value}" for key, value in KEYS.items() if key != "id")]
    assert [line.strip() for line in come if line.strip()][-6:] == written
    found = policy(after).suppressions
    assert [one.id for one in found[:-1]] == [one.id for one in policy(before).suppressions]
    assert (found[-1].id, found[-1].signatures, found[-1].why) == ("S-7", (Signatures(sid=2019401, gid=1),), "w: x")


PROFILE = "profiles:\n  own:\n    extends: strict\n"


@pytest.mark.parametrize(
    "actions",
    [
        "",
        "    actions: {}\n",
        "    actions:\n      sid 5: alert  # wrong\n",
        "    actions:\n        sid 2019401: alert  # wrong\n        severity 1: drop\n",
    ],
)
@pytest.mark.parametrize("behind", ["", "  other: {extends: own}\n", "settings: {history: 30}\n"])
def test_an_action_is_said_once_in_the_profile_and_nothing_else_changes(actions: str, behind: str) -> None:
    before = HEAD + PROFILE + actions + behind
    after = edit.react(before, "own", "sid 2019401", "drop")
    said = policy(after).profiles["own"].reactions
    assert said.count(Reaction(Signatures(sid=2019401), "drop")) == 1
    assert not [one for one in said if one.signatures.sid == 2019401 and one.action != "drop"]
    others = {one for one in policy(before).profiles["own"].reactions if one.signatures.sid != 2019401}
    assert others == {one for one in said if one.signatures.sid != 2019401}
    gone, come = changed(before, after)
    assert len(gone) <= 1
    assert len(come) - len(gone) <= 2
    if "wrong" in actions:
        assert "# wrong" in after


def test_a_built_in_profile_gets_one_of_its_own_in_its_place() -> None:
    after = edit.own_profile(HEAD + RULES, "strict-here-1", "strict", "sid 5", "drop")
    found = policy(after)
    assert [rule.inspect for rule in found.rules] == ["strict-here-1", "strict-here-1", "standard"]
    own, strict = found.profiles["strict-here-1"], found.profiles["strict"]
    assert set(own.reactions) == {*strict.reactions, Reaction(Signatures(sid=5), "drop")}
    assert own.unavailable == strict.unavailable
    assert "inspect: strict-here-1  # all of it" in after
    again = edit.own_profile(after, "standard-here-1", "standard", "sid 6", "off")
    assert policy(again).rules[2].inspect == "standard-here-1"
    assert policy(again).profiles["strict-here-1"].reactions == own.reactions


def test_what_cannot_be_edited_is_refused_with_a_remedy() -> None:
    with pytest.raises(EditError, match="does not define the profile `own`"):
        edit.react(HEAD, "own", "sid 5", "drop")
    with pytest.raises(EditError, match="no rule of the text is inspected under `strict`"):
        edit.own_profile(HEAD, "x", "strict", "sid 5", "drop")
    for text in ("profiles: {own: {extends: strict}}\n", "profiles:\n  own: {extends: strict}\n"):
        with pytest.raises(EditError, match="one line") as caught:
            edit.react(HEAD + text, "own", "sid 5", "drop")
        assert "reef fmt" in caught.value.remedy
    with pytest.raises(EditError, match="one line"):
        edit.suppress(HEAD + f"suppressions: [{SILENT[2:]}]\n", KEYS)


@pytest.mark.parametrize(
    ("taken", "name"), [([], "S-1"), (["S-1", "S-2"], "S-3"), (["S-2"], "S-1"), (["S-1", "S-3", "x"], "S-2")]
)
def test_the_lowest_free_name_is_taken(taken: list[str], name: str) -> None:
    assert edit.free_name(taken, "S-") == name
