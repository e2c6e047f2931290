"""Where names are used: every key that names something is known, and every place is found with its position."""

from __future__ import annotations

import msgspec
import pytest

from appliance.policy.meant.uses import NAMING, Kind, UnknownName, Uses
from appliance.policy.written import kinds
from appliance.policy.written.document import BaselineText, DocumentText, InvariantText, RiskText, SiteText
from appliance.policy.written.keys import Record
from appliance.policy.written.kinds import Many, Named, Part, Parts, Shape
from appliance.policy.written.schema import declared

BASE = """\
reef: 1
baseline: base
objects:
  blocked: {networks: [192.0.2.0/24]}
  spare: {networks: [198.51.100.0/24]}
services:
  mail: [tcp/25, tcp/465]
first:
  - {id: B-1, from: "role:internal", to: any, destination: blocked, service: mail, action: deny}
locked: {zones.lan.antispoofing: yes}
"""
TEXT = """\
reef: 1
site: s
inherits: [base]
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24], role: dmz}
objects:
  records: {addresses: [10.21.0.10]}
  servers: {members: [records], networks: [10.21.0.16/28]}
  all-servers: {members: [servers]}
  idle: {networks: [10.22.0.0/24]}
  listed: {file: lists/some.txt}
services:
  app: [tcp/8443]
  apps: [app, mail]
  unused-app: [app]
schedules:
  office: mon-fri 08:00-17:00
people:
  ana: {}
  ben: {}
groups:
  staff: [ana]
  everybody: ["group:staff"]
profiles:
  careful: {unavailable: fail-closed}
invariants:
  - {id: I-1, never: "lan -> records", except: [R-1]}
risks:
  - {id: T-1, threat: loss, assets: [records], likelihood: low, impact: high, owner: it, safeguards: [I-1, R-1]}
rules:
  - id: R-1
    from: lan
    to: dmz
    destination: [all-servers, not listed]
    service: apps
    people: ["group:everybody"]
    when: office
    inspect: careful
    action: allow
    owner: it
    why: a test
  - {id: R-2, from: lan, to: dmz, destination: 10.21.0.10, service: tcp/22, action: deny, enabled: no}
nat:
  source:
    - {id: N-1, out: dmz, source: servers, to: masquerade}
routes:
  - {to: 10.21.0.0/24, interface: dmz0}
"""
FILES = {"lists/some.txt": "# some\n10.21.0.20\n"}


@pytest.fixture
def uses() -> Uses:
    return Uses(TEXT, "p.yaml", inherited={"base": BASE}, files=FILES)


SOURCES = {"p.yaml": TEXT, "base.yaml": BASE} | FILES


def told(uses: Uses, kind: Kind, name: str) -> list[str]:
    """`file holder.key < through …` of every use. Each stands where the text says the word."""
    found = []
    for use in uses.of(kind, name):
        said = SOURCES[use.span.file].split("\n")[use.span.line - 1][use.span.column - 1 :]
        word = next((way for way in use.through if way == "any" or way.startswith("role:")), use.name)
        assert word in said.removeprefix("not ").lstrip('"')[: len(word) + 10], (use, said)
        found.append(f"{use.span.file} {use.holder}.{use.key}" + "".join(f" < {one}" for one in use.through))
    return found


def test_an_object_is_found_in_rules_translations_and_through_what_contains_it(uses: Uses) -> None:
    assert told(uses, "object", "records") == [
        "p.yaml object servers.members",
        "p.yaml invariant I-1.never",
        "p.yaml risk T-1.assets",
        "p.yaml object all-servers.members < object servers",
        "p.yaml translation N-1.source < object servers",
        "p.yaml rule R-1.destination < object servers < object all-servers",
    ]


def test_people_services_schedules_profiles_and_rules_are_found(uses: Uses) -> None:
    assert told(uses, "person", "ana") == [
        "p.yaml group staff.members",
        "p.yaml group everybody.members < group staff",
        "p.yaml rule R-1.people < group staff < group everybody",
    ]
    assert told(uses, "service", "mail") == [
        "base.yaml rule B-1.service",
        "p.yaml service apps.",
        "p.yaml rule R-1.service < service apps",
    ]
    assert told(uses, "service", "tcp/22") == ["p.yaml rule R-2.service"]
    assert told(uses, "schedule", "office") == ["p.yaml rule R-1.when"]
    assert told(uses, "profile", "careful") == ["p.yaml rule R-1.inspect"]
    assert told(uses, "rule", "R-1") == ["p.yaml invariant I-1.except", "p.yaml risk T-1.safeguards"]


def test_zones_are_found_by_role_by_any_and_in_locks(uses: Uses) -> None:
    assert told(uses, "zone", "lan") == [
        "base.yaml rule B-1.from < role:internal",
        "base.yaml rule B-1.to < any",
        "base.yaml lock zones.lan.antispoofing.locked",
        "p.yaml invariant I-1.never",
        "p.yaml rule R-1.from",
        "p.yaml rule R-2.from",
    ]


def test_an_address_is_found_in_what_holds_it(uses: Uses) -> None:
    found = told(uses, "address", "10.21.0.10")
    assert "p.yaml zone dmz.networks" in found
    assert "p.yaml object records.addresses" in found
    assert "p.yaml rule R-2.destination" in found
    assert "p.yaml route 10.21.0.0/24.to" in found
    assert "p.yaml rule R-1.destination < object records < object servers < object all-servers" in found
    assert "lists/some.txt object listed.file lists/some.txt" in told(uses, "address", "10.21.0.20")
    assert not any("servers" in line for line in told(uses, "address", "10.20.0.1"))


def test_what_is_alone_taken_away_or_off_is_said(uses: Uses) -> None:
    (listed,) = uses.of("object", "listed")
    assert (listed.taken, listed.alone, listed.off) == (True, False, False)
    (ssh,) = uses.of("service", "tcp/22")
    assert (ssh.alone, ssh.off) == (True, True)


def test_what_nothing_uses_is_listed_even_where_it_uses_others(uses: Uses) -> None:
    assert [(one.kind, one.name, one.baseline) for one in uses.unused()] == [
        ("object", "spare", "base"),
        ("object", "idle", ""),
        ("person", "ben", ""),
        ("service", "unused-app", ""),
    ]


def test_a_name_that_is_not_there_is_guessed(uses: Uses) -> None:
    assert uses.kinds_of("records") == ("object",)
    assert uses.kinds_of("10.0.0.0/8") == ("address",)
    with pytest.raises(UnknownName, match="nothing is called `recrods`") as caught:
        uses.kinds_of("recrods")
    assert "records" in caught.value.remedy


def test_objects_in_objects_without_end_are_followed_once() -> None:
    """The parser refuses them; a text that is looked through need not have been parsed."""
    chain = "".join(f"  o{n}: {{members: [o{n + 1}]}}\n" for n in range(3000)) + "  o3000: {members: [o0]}\n"
    found = Uses("reef: 1\nsite: s\nobjects:\n" + chain, "p.yaml", inherited={}).of("object", "o7")
    assert len(found) == 3001
    assert len(found[-1].through) == 3000


def records(record: type[Record], found: set[type[Record]]) -> set[type[Record]]:
    """Every record that a document may hold."""
    if record not in found:
        found.add(record)
        for known in declared(record).values():
            shape: Shape = known.declaration.shape
            while isinstance(shape, Named):
                shape = shape.value
            if isinstance(shape, Part | Parts):
                assert issubclass(shape.record, Record)
                records(shape.record, found)
    return found


def test_every_key_that_may_name_something_is_read() -> None:
    """A key that is added to the language must be added to `NAMING`, or to what is said here to name nothing."""
    naming = (
        kinds.ZONE_WORD,
        kinds.ADDRESS_WORD,
        kinds.SERVICE_WORD,
        kinds.PEOPLE_WORD,
        kinds.NEVER,
        kinds.NAME_KIND,
    )
    literals = (kinds.NETWORK, kinds.ADDRESS, kinds.RANGE)
    # Read where they are: services are words themselves; the rest names texts, not parts of one.
    beside = {"services", "site", "baseline", "inherits", "addresses"}
    missing = []
    for record in records(SiteText, set()) | records(BaselineText, set()):
        for key, known in declared(record).items():
            shape = known.declaration.shape
            kind = shape.kind if isinstance(shape, Many) else shape
            names = kind in (*naming, *literals) or (kind == kinds.ID and key != "id")
            if names and known.field not in NAMING.get(record, {}) and key not in beside:
                missing.append(f"{record.__name__}.{key}")
    assert missing == []
    assert {InvariantText, RiskText} <= NAMING.keys()
    fields = {record: {field.name for field in msgspec.structs.fields(record)} for record in NAMING}
    assert all(set(said) <= fields[record] for record, said in NAMING.items())
    assert issubclass(SiteText, DocumentText)
