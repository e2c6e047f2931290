"""Taking changes of a text back: what undoes an edit, and steps that are taken back and done again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from appliance.drafts.edits import Edit, applied, minimal

Edits = tuple[Edit, ...]
_SOON = 3.0  # seconds in which typing goes on
_MOST = 200  # edits that one step is made of


class Step(msgspec.Struct, frozen=True):
    """What was done at once, as people see it: edits one after the other, and what takes them back, in that order.

    `size` are the characters that it keeps.
    """

    forward: tuple[Edits, ...]
    backward: tuple[Edits, ...]
    label: str
    at: float

    @property
    def size(self) -> int:
        every = (edit for edits in (*self.forward, *self.backward) for edit in edits)
        return sum(len(edit.insert) + 16 for edit in every)


def step(text: str, edits: Edits, label: str, at: float) -> Step:
    """What these edits of a text do. They must apply to it."""
    return Step((edits,), (inverse(text, edits),), label, at)


def inverse(text: str, edits: Iterable[Edit]) -> Edits:
    """The edits of the text after `edits` that lead back."""
    wide = not text.isascii()
    units = text.encode("utf-16-le", "surrogatepass") if wide else b""
    found: list[Edit] = []
    moved = 0
    for edit in edits:
        taken = units[2 * edit.start : 2 * edit.end].decode("utf-16-le") if wide else text[edit.start : edit.end]
        length = len(edit.insert) if edit.insert.isascii() else len(edit.insert.encode("utf-16-le")) // 2
        start = edit.start + moved
        found.append(Edit(start, start + length, taken))
        moved += length - (edit.end - edit.start)
    return tuple(found)


def joined(before: Step, after: Step) -> Step | None:
    """Typing that goes on is one step; None where `after` is one of its own."""
    goes_on = before.label == after.label == "typing" and 0 <= after.at - before.at <= _SOON
    if not goes_on or len(before.forward) + len(after.forward) > _MOST:
        return None
    return Step(before.forward + after.forward, after.backward + before.backward, after.label, after.at)


def after(text: str, rounds: Sequence[Edits]) -> str:
    """The text after all of these, one after the other."""
    for edits in rounds:
        text = applied(text, edits)
    return text


def done(text: str, rounds: Sequence[Edits]) -> tuple[str, Edits]:
    """The text after all of these, and the edits that bring an editor there at once."""
    new = after(text, rounds)
    return new, rounds[0] if len(rounds) == 1 else minimal(text, new)
