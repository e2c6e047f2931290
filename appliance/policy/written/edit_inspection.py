"""Changes of what inspection does: a suppression more, another action in a profile. Every other line of a text stays.

Nothing here judges what is written: parse the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.policy.written.edit import EditError
from appliance.policy.written.layout import Branch, Entry, Leaf, last_of, tree_of
from appliance.policy.written.text import unix_lines

_INDENT = "  "


def suppress(text: str, keys: Mapping[str, str]) -> str:
    """The text with a suppression more, as the last; `keys` are written as they are. Raises `EditError`."""
    text = unix_lines(text)
    lines = [f"{key}: {value}" for key, value in keys.items()]
    item = [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]
    section = _section(text, "suppressions")
    if section is None:
        return _appended(text, ["suppressions:", *(_INDENT + line for line in item)])
    if not isinstance(section.value, Branch) or section.value.flow:
        if isinstance(section.value, Branch) and section.value.entries:
            raise EditError("`suppressions` is written on one line", "bring it into its form with reef fmt")
        return _instead(text, section, ["suppressions:", *(_INDENT + line for line in item)])
    margin = " " * section.value.column
    return _behind(text, section.value, [margin + line for line in item])


def react(text: str, profile: str, signatures: str, action: str) -> str:
    """The text with `signatures: action` in a profile of it. Raises `EditError`, also when it is not defined here."""
    text = unix_lines(text)
    defined = _child(_section(text, "profiles"), profile)
    if defined is None:
        raise EditError(f"the text does not define the profile `{profile}`", "change one that it defines")
    line = f"{signatures}: {action}"
    body = defined.value
    if not isinstance(body, Branch) or body.flow:
        raise EditError(f"`{profile}` is written on one line", "bring it into its form with reef fmt")
    actions = _child(defined, "actions")
    inner = " " * _column(body)
    if actions is None:
        return _behind(text, body, [f"{inner}actions:", f"{inner}{_INDENT}{line}"])
    said = actions.value
    if not isinstance(said, Branch) or (said.flow and said.entries):
        raise EditError(
            f"the `actions` of `{profile}` are written on one line", "bring it into its form with reef fmt"
        )
    if not said.entries:
        return _instead(text, actions, [f"{inner}actions:", f"{inner}{_INDENT}{line}"])
    known = next((entry for entry in said.entries if entry.key is not None and entry.key.value == signatures), None)
    if known is not None and isinstance(known.value, Leaf):
        return text[: known.value.first] + action + text[last_of(known.value, text) + 1 :]
    return _behind(text, said, [" " * _column(said) + line])


def own_profile(text: str, name: str, base: str, signatures: str, action: str) -> str:
    """The text with a new profile that does what `base` does and one thing more, in every rule and published service
    that named `base`. Raises `EditError` when there is none."""
    text = unix_lines(text)
    named = [
        leaf
        for section in ("rules", "publish")
        for item in _entries(_section(text, section))
        for leaf in [_child(item, "inspect")]
        if leaf is not None and isinstance(leaf.value, Leaf) and leaf.value.value == base
    ]
    if not named:
        raise EditError(f"no rule of the text is inspected under `{base}`", "name the profile that is meant")
    for entry in reversed(named):
        assert isinstance(entry.value, Leaf)
        text = text[: entry.value.first] + name + text[last_of(entry.value, text) + 1 :]
    lines = [f"{name}:", f"  extends: {base}", "  actions:", f"    {signatures}: {action}"]
    profiles = _section(text, "profiles")
    if profiles is None:
        return _appended(text, ["profiles:", *(_INDENT + line for line in lines)])
    if not isinstance(profiles.value, Branch) or profiles.value.flow:
        if isinstance(profiles.value, Branch) and profiles.value.entries:
            raise EditError("`profiles` is written on one line", "bring it into its form with reef fmt")
        return _instead(text, profiles, ["profiles:", *(_INDENT + line for line in lines)])
    margin = " " * _column(profiles.value)
    return _behind(text, profiles.value, [margin + line for line in lines])


def free_name(taken: Iterable[str], stem: str) -> str:
    """`stem` with the lowest number behind it that makes a name nobody has."""
    known = set(taken)
    return next(name for number in range(1, len(known) + 2) if (name := f"{stem}{number}") not in known)


def _section(text: str, name: str) -> Entry | None:
    root = tree_of(text)[0]
    return next((entry for entry in root.entries if entry.key is not None and entry.key.value == name), None)


def _entries(entry: Entry | None) -> tuple[Entry, ...]:
    return tuple(entry.value.entries) if entry is not None and isinstance(entry.value, Branch) else ()


def _child(entry: Entry | None, name: str) -> Entry | None:
    return next((one for one in _entries(entry) if one.key is not None and one.key.value == name), None)


def _column(branch: Branch) -> int:
    first = branch.entries[0]
    return first.key.column if first.key is not None else branch.column


def _behind(text: str, branch: Branch, lines: list[str]) -> str:
    """The lines behind the last line of a block."""
    end = text.find("\n", last_of(branch, text))
    end = len(text) if end < 0 else end
    return text[:end] + "".join(f"\n{line}" for line in lines) + text[end:]


def _instead(text: str, entry: Entry, lines: list[str]) -> str:
    """The lines in the place of a key whose value is empty."""
    assert entry.key is not None
    begin = text.rfind("\n", 0, entry.key.first) + 1
    end = text.find("\n", entry.key.last if isinstance(entry.value, Leaf) else entry.value.last)
    end = len(text) if end < 0 else end
    return text[:begin] + "\n".join(lines) + text[end:]


def _appended(text: str, lines: list[str]) -> str:
    return text.rstrip("\n") + "\n\n" + "\n".join(lines) + "\n"
