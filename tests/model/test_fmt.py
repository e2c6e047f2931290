"""The formatter changes no meaning, loses no comment, and has nothing left to do the second time."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from yaml.cyaml import CBaseLoader

from appliance.policy.meant.parse import parse
from appliance.policy.problem import PolicyError
from appliance.policy.written.fmt import fmt

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

# Pieces of YAML, put together at random: most are nonsense, a tenth is a text nobody would write.
PLAIN = [
    "a",
    "b: ",
    "- ",
    "  ",
    "    ",
    "\n",
    "\n\n",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "key: ",
    "key:\n",
    "foo bar",
    ": ",
    "x",
]
ITEMS = ["id: q\n", "- id: r\n", "? ", "::/0", "\n- x", "\n  - x: y", "'x'", "'it''s'", '"y z"', '"a\\nb"', '"\\\\"']
REMARKS = ["# one", "  # two\n", " # three\n", "\n    # four\n", ">-  # five\n"]
BLOCKS = ["|\n", "|-\n", ">\n", "|+\n", "|2-\n"]
PIECES = st.sampled_from(PLAIN + ITEMS + REMARKS + BLOCKS)
TEXTS = st.lists(PIECES, max_size=25).map(lambda pieces: "k: " + "".join(pieces))


def values(text: str) -> object:
    return yaml.load(text, CBaseLoader)  # noqa: S506


def comments(text: str) -> list[str]:
    """The comments of a text, told apart from `#` in scalars by the marks of PyYAML's own scanner, in order."""
    covered: list[tuple[int, int]] = []
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken):
            first = token.start_mark.index
            if token.style in ("|", ">"):
                first = text.find("\n", first) + 1 or len(text)
            covered.append((first, token.end_mark.index))
    found: list[str] = []
    index = 0
    for line in text.split("\n"):
        for column, character in enumerate(line):
            at = index + column
            begins = character == "#" and (column == 0 or line[column - 1] == " ")
            if begins and not any(first <= at < last for first, last in covered):
                found.append(line[column:].lstrip("# ").rstrip())
                break
        index += len(line) + 1
    return found


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_a_formatted_text_is_the_same_and_stays_so(text: str) -> None:
    try:
        formatted = fmt(text)
    except PolicyError as error:
        assert "canonical" not in str(error)
        return
    assert values(formatted) == values(text)
    assert fmt(formatted) == formatted
    assert sorted(comments(formatted)) == sorted(comments(text))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_an_ill_formatted_policy_means_the_same(data: st.DataObject) -> None:
    """The templates, with indents, blank lines, quotes and comments changed at random."""
    path = data.draw(st.sampled_from(sorted(EXAMPLES.glob("*.yaml"))))
    lines = path.read_text().split("\n")
    widen = data.draw(st.integers(1, 3))
    for number in data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=12)):
        line = lines[number]
        if line.strip() and not line.lstrip().startswith("#"):
            lines[number] = line + data.draw(st.sampled_from(["   ", "   # added", "\n\n\n", "\n# between"]))
    widened = []
    for line in lines:
        words = line.lstrip()
        margin = " " * (len(line) - len(words)) * widen
        widened.append(margin + (f"-{' ' * (2 * widen - 1)}{words[2:]}" if words.startswith("- ") else words))
    text = "\n".join(widened)
    assert values(fmt(text)) == values(path.read_text())
    assert fmt(fmt(text)) == fmt(text)


def test_a_formatted_policy_parses_to_an_equal_one() -> None:
    inherited = {path.stem: path.read_text() for path in EXAMPLES.glob("baselines/*.yaml")}
    files = {f"lists/{path.name}": path.read_text() for path in EXAMPLES.glob("lists/*")}
    for path in EXAMPLES.glob("*.yaml"):
        text = path.read_text().replace(", ", " ,  ").replace(": [", ":   [ ").replace("'", '"')
        before, _ = parse(text, path.name, inherited=inherited, files=files)
        after, _ = parse(fmt(text), path.name, inherited=inherited, files=files)
        assert before == after


WANTED = """\
# head

# more

reef: 1  # version
site: "x"

zones:  # all of them
  # the first
  lan:
    interfaces:
      - lan0
      # the second
      - lan1
    networks: [10.0.0.0/8]  # tail
  # foot of zones
# above objects
objects: {}
description: |
  some
    words

  # no comment
rules:
  - id: R-1  # one
    why: folded text
  # above the second
  - id: R-2
    # in between

    service:  # long
      - tcp/1111111111111111111111111
      - tcp/22222222222222222222222222222222
      - tcp/33333333333333333333333
      - tcp/44444444
      - tcp/5
# the end
"""
WRITTEN = """\
# head

# more


reef:   1   #version
site: 'x'


zones: # all of them
    # the first
    lan: {interfaces: [lan0,
      # the second
      lan1], networks: [10.0.0.0/8]} # tail
    # foot of zones
# above objects
objects: {}
description: |
   some
     words

   # no comment
rules:
- id: R-1  # one
  why: folded
    text
# above the second
-  id: R-2
   # in between


   service: [tcp/1111111111111111111111111, tcp/22222222222222222222222222222222, tcp/33333333333333333333333, tcp/44444444, tcp/5] # long
# the end
"""  # noqa: E501


def test_the_canonical_form() -> None:
    assert fmt(WRITTEN) == WANTED
    assert fmt(WRITTEN.replace("\n", "\r\n")) == WANTED


@pytest.mark.parametrize("text", ["", "- a\n", "a: b: c\n", "a: &x 1\n", "a: 1\na: 2\n", "\tx: y\n", "just words"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        fmt(text)
