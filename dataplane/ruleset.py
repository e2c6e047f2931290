"""Rule sets: texts in Suricata's rule language compiled to one image for the engine.

`compile_rules` is pure: texts and variables in, the image and every problem out. What a rule names beside itself
(lists of digests, datasets) is asked of `read`.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from dataplane.rules import about, header, reader, requires
from dataplane.rules.addresses import Header
from dataplane.rules.draft import Draft, Support
from dataplane.rules.image import Image
from dataplane.rules.keywords import KEYWORDS, NEEDED, NONE
from dataplane.rules.problem import Problem, Refused
from dataplane.rules.settle import settle
from dataplane.rules.values import encoded

# Suricata's own defaults; the policy's zones replace them.
VARIABLES: Mapping[str, str] = {
    "HOME_NET": "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]",
    "EXTERNAL_NET": "!$HOME_NET",
    "HTTP_SERVERS": "$HOME_NET",
    "SMTP_SERVERS": "$HOME_NET",
    "SQL_SERVERS": "$HOME_NET",
    "DNS_SERVERS": "$HOME_NET",
    "TELNET_SERVERS": "$HOME_NET",
    "AIM_SERVERS": "$EXTERNAL_NET",
    "DC_SERVERS": "$HOME_NET",
    "DNP3_SERVER": "$HOME_NET",
    "DNP3_CLIENT": "$HOME_NET",
    "MODBUS_CLIENT": "$HOME_NET",
    "MODBUS_SERVER": "$HOME_NET",
    "ENIP_CLIENT": "$HOME_NET",
    "ENIP_SERVER": "$HOME_NET",
    "HTTP_PORTS": "80",
    "SHELLCODE_PORTS": "!80",
    "ORACLE_PORTS": "1521",
    "SSH_PORTS": "22",
    "DNP3_PORTS": "20000",
    "MODBUS_PORTS": "502",
    "FILE_DATA_PORTS": "[$HTTP_PORTS,110,143]",
    "FTP_PORTS": "21",
    "GENEVE_PORTS": "6081",
    "VXLAN_PORTS": "4789",
    "TEREDO_PORTS": "3544",
}

_NAMES = frozenset(KEYWORDS)
NO_CLASSES = about.Classes({}, {})


class Source(NamedTuple):
    """A rule file: its name as problems tell it, its text (bytes that are not UTF-8 as surrogates)."""

    name: str
    text: str


class RuleSet(NamedTuple):
    """What came of the texts."""

    image: bytes
    loaded: int
    refused: list[Problem]
    replaced: list[Problem]  # rules that gave way to a higher revision of the same sid
    skipped: int  # rules that say themselves that they are for another engine (requires)
    keywords: Mapping[str, int]  # how often each keyword stands in them


class _Skipped(Exception):
    """The rule is not meant for this engine."""


def _unreadable(rule_file: str, name: str) -> bytes | None:
    return None


class _Kept(NamedTuple):
    draft: Draft
    action: int
    sets: tuple[int, int, int, int]
    file: str
    line: int
    text: str


class _Compiler:
    """One run over the texts."""

    def __init__(self, variables: Mapping[str, str], classes: about.Classes, support: Support) -> None:
        self.header = Header(variables)
        self.classes = classes
        self.support = support
        self.image = Image()
        self.kept: dict[tuple[int, int], _Kept] = {}
        self.refused: list[Problem] = []
        self.replaced: list[Problem] = []
        self.skipped = 0
        self.keywords: Counter[str] = Counter()

    def file(self, source: Source) -> None:
        for line in reader.lines(source.text):
            try:
                self._keep(self._rule(source.name, line))
            except Refused as problem:
                self._refuse(source.name, line, problem)
            except _Skipped:
                self.skipped += 1

    def _refuse(self, file: str, line: reader.Line, problem: Refused) -> None:
        self.refused.append(
            Problem(file, line.number, reader.sid_of(line.text), problem.keyword, problem.reason, problem.unsupported)
        )

    def _rule(self, file: str, line: reader.Line) -> _Kept:
        written = reader.written(line.text)
        if "requires" in line.text:
            self._required(written.options)
        action = header.action(written.action)
        protocol = header.protocol(written.protocol)
        draft = Draft(self.support, file)
        draft.protocols, draft.protocols_any = protocol.protocols, protocol.any
        draft.apps = protocol.apps
        draft.flags = protocol.flags | header.direction(written.direction)
        sides = self.header
        source, destination = sides.addresses(written.source), sides.addresses(written.destination)
        source_port, destination_port = sides.ports(written.source_port), sides.ports(written.destination_port)
        if draft.flags and source is destination and source_port is destination_port:
            draft.flags &= ~header.direction("<>")
        self._options(draft, written.options)
        settle(draft)
        put = self.image
        sets = (
            put.addresses(source),
            put.addresses(destination),
            put.ports(source_port),
            put.ports(destination_port),
        )
        return _Kept(draft, action, sets, file, line.number, line.text)

    def _required(self, options: list[tuple[str, str | None]]) -> None:
        """Is the rule for this engine? Asked before anything else: what it holds may not be known here."""
        for name, value in options:
            if name == "requires" and not requires.met(value or "", _NAMES):
                raise _Skipped

    def _options(self, draft: Draft, options: list[tuple[str, str | None]]) -> None:
        keywords = KEYWORDS
        used = self.keywords
        for name, value in options:
            used[name] += 1
            keyword = keywords.get(name)
            if keyword is None:
                name = name.lower()
                keyword = keywords.get(name)
                if keyword is None:
                    raise _unknown(name)
            try:
                if value is None or value == "":
                    if keyword.value is NEEDED:
                        raise Refused("needs a value")
                    keyword.read(draft, "")
                elif keyword.value is NONE:
                    raise Refused(f"takes no value, but has {value!r}")
                elif name == "classtype":
                    about.classtype(draft, value, self.classes)
                elif name == "reference":
                    about.reference(draft, value, self.classes)
                else:
                    keyword.read(draft, value)
            except Refused as problem:
                if not problem.keyword:
                    problem.keyword = name
                raise

    def _keep(self, new: _Kept) -> None:
        """Of two rules with the same gid and sid the one with the higher revision stays."""
        key = (new.draft.gid, new.draft.sid)
        old = self.kept.get(key)
        if old is None:
            self.kept[key] = new
            return
        if new.draft.rev <= old.draft.rev:
            reason = (
                f"the same sid is in {old.file}:{old.line} with revision {old.draft.rev}, here it is {new.draft.rev}"
            )
            self.refused.append(Problem(new.file, new.line, new.draft.sid, "sid", reason, False))
            return
        reason = f"gives way to revision {new.draft.rev} in {new.file}:{new.line}"
        self.replaced.append(Problem(old.file, old.line, old.draft.sid, "sid", reason, False))
        del self.kept[key]
        self.kept[key] = new

    def result(self, engine: bytes) -> RuleSet:
        for rule in self.kept.values():
            self.image.add(rule.draft, rule.action, rule.sets, (encoded(rule.file), rule.line, encoded(rule.text)))
        image = self.image.write(self.support, engine)
        return RuleSet(image, len(self.kept), self.refused, self.replaced, self.skipped, self.keywords)


def _unknown(name: str) -> Refused:
    near = difflib.get_close_matches(name, KEYWORDS, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return Refused(f"the keyword is not known{hint}", name, unsupported=True)


def compile_rules(
    sources: Iterable[Source],
    variables: Mapping[str, str] = VARIABLES,
    classes: about.Classes = NO_CLASSES,
    read: Callable[[str, str], bytes | None] = _unreadable,
    engine: bytes = bytes(32),
) -> RuleSet:
    """Compile rule texts. Never raises for what stands in them: every problem is in the result.

    `variables` without the $, as Suricata's address-groups and port-groups; `read(rule file, name)` gives the bytes
    of a file that a rule names; `engine` is the digest of the engine's tables.
    """
    compiler = _Compiler(variables, classes, Support(read))
    for source in sources:
        compiler.file(source)
    return compiler.result(engine)
