"""Changes of a text as a form makes them: keys of a rule, rules more and fewer, their order, objects. Pure.

Only the lines that a change is about are different in the result, and comments go where their rule goes. Several
changes are one: the edits lead from the text before the first to that after the last. Nothing here judges what a text
means: parse and prove it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from appliance.drafts.edits import Edit, between
from appliance.drafts.sheet import Part, PieceCache, Section, sheet
from appliance.drafts.written import entry_lines, with_values
from appliance.policy.written.edit import EditError, item
from appliance.policy.written.kinds import NAME_KIND, did_you_mean

# Sections whose entries may be set by name.
Named = Literal["objects", "services", "schedules", "people", "groups"]
MOST = 20_000  # changes at a time


class SetKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="set"):
    """Other values under keys of a rule or published service; null takes a key away."""

    rule: str
    keys: dict[str, str | list[str] | None]


class Insert(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="insert"):
    """A new rule behind `after`; "" is the first place, null the last."""

    yaml: str
    after: str | None = None


class Replace(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="replace"):
    """Another rule or published service in the place of one; the comments above it stay."""

    rule: str
    yaml: str


class Delete(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="delete"):
    """Rules and published services, with the comments above them."""

    rules: list[str]


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="move"):
    """Rules, in the order that they have, behind `after`; "" is the first place, null the last."""

    rules: list[str]
    after: str | None = None


class Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="copy"):
    """A rule once more under another id, behind `after`; null is behind itself."""

    rule: str
    id: str
    after: str | None = None


class SetObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="object"):
    """What a name stands for, as it is written behind it; null takes it away."""

    name: str
    yaml: str | None
    section: Named = "objects"


Operation = SetKeys | Insert | Replace | Delete | Move | Copy | SetObject


class Operated(msgspec.Struct, frozen=True):
    """The text after, the edits that lead there, and the rules that are new or written otherwise. `moved` says that
    rules came, went or changed their order."""

    text: str
    edits: tuple[Edit, ...]
    changed: tuple[str, ...]
    moved: bool


class OperationError(EditError):
    """A change that cannot be made; `number` is its place among those asked for, from 0."""

    def __init__(self, number: int, error: EditError) -> None:
        super().__init__(str(error), error.remedy)
        self.number = number


def operate(text: str, operations: Sequence[Operation], cache: PieceCache | None = None) -> Operated:
    """A text after changes, all of them or none. Raises `OperationError`, and `EditError` for a text that is none."""
    if len(operations) > MOST:
        raise EditError(f"{len(operations):,} changes at a time", f"at most {MOST:,}")
    desk = _Desk(text, cache)
    for number, operation in enumerate(operations):
        try:
            desk.make(operation)
        except EditError as error:
            raise OperationError(number, error) from error
    return desk.result()


class _Desk:
    """A text in parts that are changed one after the other."""

    def __init__(self, text: str, cache: PieceCache | None) -> None:
        self.sheet = sheet(text, cache)
        self.given = text
        self.heads = {section.name: section for section in self.sheet.sections}
        self.parts = {name: {part.name: part for part in one.parts} for name, one in self.heads.items()}
        self.order = [part.name for part in self._parts("rules")]

    def _parts(self, section: str) -> tuple[Part, ...]:
        return self.heads[section].parts if section in self.heads else ()

    def make(self, operation: Operation) -> None:
        match operation:
            case SetKeys():
                section, part = self._rule(operation.rule)
                body = with_values(part.body, section, operation.keys)
                self._put(section, part, body, self._named(body) if "id" in operation.keys else part.name)
            case Replace():
                section, part = self._rule(operation.rule)
                body = self._written(operation.yaml, section)
                self._put(section, part, body, self._named(body))
            case Insert():
                body = self._written(operation.yaml, "rules")
                self._place([self._new(body)], operation.after)
            case Copy():
                section, part = self._rule(operation.rule)
                if section != "rules":
                    raise EditError(f"`{operation.rule}` is a published service", "copy it in the text")
                body = with_values(part.body, "rules", {"id": operation.id})
                after = operation.rule if operation.after is None else operation.after
                self._place([self._new(body)], after)
            case Delete():
                for name in operation.rules:
                    section, _ = self._rule(name)
                    del self.parts[section][name]
                gone = set(operation.rules)
                self.order = [name for name in self.order if name not in gone]
            case Move():
                self._move(operation)
            case SetObject():
                self._object(operation)

    # --- rules --------------------------------------------------------------------------------------

    def _rule(self, name: str) -> tuple[str, Part]:
        for section in ("rules", "publish"):
            if name in self.parts.get(section, {}):
                return section, self.parts[section][name]
        for section in ("rules", "publish"):
            head = self.heads.get(section)
            if head is not None and head.whole:
                raise EditError(
                    f"`{section}` is written on one line, or two of its entries have one id",
                    "give every rule an id of its own, and bring the text into its form with `reef fmt`",
                )
        known = [*self.parts.get("rules", {}), *self.parts.get("publish", {})]
        raise EditError(
            f"there is no rule `{name}` in the text", did_you_mean(name, known) or "name one of its rules"
        )

    def _put(self, section: str, part: Part, body: str, name: str) -> None:
        self.parts[section][part.name] = msgspec.structs.replace(part, body=body)
        if name != part.name:
            self._rename(section, part.name, name)

    def _rename(self, section: str, old: str, new: str) -> None:
        self._free(new)
        self.parts[section] = {
            (new if name == old else name): (msgspec.structs.replace(part, name=new) if name == old else part)
            for name, part in self.parts[section].items()
        }
        self.order = [new if name == old else name for name in self.order]

    def _free(self, name: str) -> None:
        if any(name in parts for parts in (self.parts.get("rules", {}), self.parts.get("publish", {}))):
            raise EditError(f"there is a rule `{name}` already", "give it another id")

    def _written(self, yaml: str, section: str) -> str:
        column = self.heads[section].column if section in self.heads else 2
        body = "".join(f"{line}\n" for line in item(yaml, column))
        if not self._named(body):
            raise EditError("the rule has no id", "write `- id: ...` and its keys below")
        return body

    def _named(self, body: str) -> str:
        parts = sheet(f"x:\n{body}").sections[0].parts
        return parts[0].name if len(parts) == 1 else ""

    def _new(self, body: str) -> str:
        name = self._named(body)
        self._free(name)
        self.parts.setdefault("rules", {})[name] = Part(name, "", body)
        return name

    def _place(self, names: list[str], after: str | None) -> None:
        """Puts rules behind another one."""
        if after is None:
            at = len(self.order)
        elif not after:
            at = 0
        else:
            if after not in self.order:
                guess = did_you_mean(after, self.order)
                raise EditError(f"there is no rule `{after}` to stand behind", guess or "name one of the rules")
            at = self.order.index(after) + 1
        self.order[at:at] = names

    def _move(self, operation: Move) -> None:
        wanted = set(operation.rules)
        for name in operation.rules:
            if self._rule(name)[0] != "rules":
                raise EditError(f"`{name}` is a published service", "their order does not matter")
        if operation.after in wanted:
            raise EditError(f"`{operation.after}` cannot stand behind itself", "name a rule that is not moved")
        moved = [name for name in self.order if name in wanted]
        before = self.order
        self.order = [name for name in self.order if name not in wanted]
        try:
            self._place(moved, operation.after)
        except EditError:
            self.order = before
            raise

    # --- objects ------------------------------------------------------------------------------------

    def _object(self, operation: SetObject) -> None:
        name, section = operation.name, operation.section
        wrong = NAME_KIND.wrong(name)
        if wrong is not None:
            raise EditError(*wrong)
        head = self.heads.get(section)
        if head is not None and head.whole:
            raise EditError(f"`{section}` is written on one line", "bring the text into its form with `reef fmt`")
        known = self.parts.setdefault(section, {})
        if operation.yaml is None:
            if name not in known:
                raise EditError(f"the text does not define `{name}`", did_you_mean(name, list(known)) or "name one")
            del known[name]
            return
        body = entry_lines(name, operation.yaml, head.column if head is not None else 2)
        known[name] = msgspec.structs.replace(known[name], body=body) if name in known else Part(name, "", body)

    # --- the text again -----------------------------------------------------------------------------

    def result(self) -> Operated:
        before: list[str] = [self.sheet.preamble]
        after: list[str] = [self.sheet.preamble]
        for section in self.sheet.sections:
            before += _pieces(section, section.parts)
            after += _pieces(section, self._now(section.name))
        for name in self.parts:
            if name not in self.heads and self.parts[name]:
                after += ["\n", f"{name}:\n", *[part.text for part in self._now(name)]]
        old = {part.name: part.body for one in ("rules", "publish") for part in self._parts(one)}
        changed = [
            part.name for one in ("rules", "publish") for part in self._now(one) if old.get(part.name) != part.body
        ]
        text = "".join(after)
        # Where it had no line feed at its end, or those of Windows, the parts are not the text that was given.
        edits = between(before, after) if self.given == self.sheet.text else between([self.given], [text])
        moved = self.order != [part.name for part in self._parts("rules")]
        return Operated(
            text, edits, tuple(changed), moved or len(self._now("publish")) != len(self._parts("publish"))
        )

    def _now(self, section: str) -> tuple[Part, ...]:
        known = self.parts.get(section, {})
        return tuple([known[name] for name in self.order]) if section == "rules" else tuple(known.values())


def _pieces(section: Section, parts: Sequence[Part]) -> list[str]:
    head = section.head
    if bool(parts) != bool(section.parts) and not section.whole:
        mark = f"{section.name}:"
        empty = "[]" if section.name in ("rules", "publish") else "{}"
        for written in (f"{mark} []", f"{mark} {{}}"):
            head = head.replace(written, mark, 1)
        head = head if parts else head.replace(mark, f"{mark} {empty}", 1)
    return [section.above, head, section.gap, *[part.text for part in parts], section.foot]
