"""The process table, its order, and who may talk to whom."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec
import pytest

from appliance.control.processes import (
    OPERATORS,
    PROCESSES,
    ROOT,
    Identity,
    Instance,
    InstanceError,
    encode_instance,
    load_instance,
    process,
    start_order,
)
from appliance.control.sandbox import CAPABILITIES
from appliance.control.syscalls import FORBIDDEN, allowed

INSTANCE = Instance(
    "a lab",
    "/run/reef",
    "/var/lib/reef",
    "/etc/reef",
    {row.name: Identity(500 + n, 600 + n) for n, row in enumerate(PROCESSES)},
    operators=700,
)


def test_every_row_names_only_what_exists() -> None:
    names = {row.name for row in PROCESSES}
    assert len(names) == len(PROCESSES)
    for row in PROCESSES:
        assert importlib.util.find_spec(row.module), row.module
        assert set(row.calls) <= names
        assert set(row.peers) <= names | {ROOT, OPERATORS}
        assert {*row.opens, *row.keeps} <= set(CAPABILITIES)


def test_a_process_may_only_call_who_lets_it_in() -> None:
    for row in PROCESSES:
        for called in row.calls:
            assert row.name in process(called).peers, f"{row.name} calls {called}, whose row does not list it"


def test_each_process_starts_after_those_it_calls() -> None:
    order = [row.name for row in start_order(PROCESSES)]
    assert sorted(order) == sorted(row.name for row in PROCESSES)
    for row in PROCESSES:
        for called in row.calls:
            assert order.index(called) < order.index(row.name)


def test_processes_that_call_each_other_in_a_circle_are_refused() -> None:
    a = msgspec.structs.replace(process("keyd"), calls=("applyd",))
    with pytest.raises(ValueError, match="circle: keyd, applyd"):
        start_order([a, process("applyd")])


def test_only_the_key_holder_and_nobody_from_outside_talks_to_applyd() -> None:
    """The process with privilege takes orders from policyd, the resolver and root; an operator goes to policyd."""
    operator = (1000, (1000, 700))
    assert INSTANCE.allows("policyd", *operator)
    assert not INSTANCE.allows("applyd", *operator)
    assert not INSTANCE.allows("keyd", *operator)
    assert not INSTANCE.allows("policyd", 1000, (1000,))
    assert INSTANCE.allows("applyd", INSTANCE.identity("policyd").uid)
    assert INSTANCE.allows("applyd", 0)
    assert not INSTANCE.allows("policyd", INSTANCE.identity("inspectd").uid)


def test_who_is_lent_the_spools_to_read_is_no_operator() -> None:
    policyd = INSTANCE.identity("policyd").uid
    assert INSTANCE.operates(1000, (700,))
    assert not INSTANCE.operates(1000, (1000,))
    assert not INSTANCE.operates(policyd, (700,))
    assert not INSTANCE.allows("watchd", INSTANCE.identity("namesd").uid, (700,))


def test_nobody_but_policyd_watches_whether_others_listen() -> None:
    uids = {row.name: INSTANCE.identity(row.name).uid for row in PROCESSES}
    assert [name for name, uid in uids.items() if INSTANCE.watches(uid)] == ["policyd"]
    assert not INSTANCE.watches(0)


def test_an_instance_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "instance.json"
    file.write_bytes(encode_instance(INSTANCE))
    assert load_instance(file) == INSTANCE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is a gateway running here"),
        (b"{", "not an instance file"),
        (b'{"name": 1}', "not an instance file"),
        (b'{"surprise": 1}', "not an instance file"),
    ],
)
def test_a_wrong_instance_file_is_refused_with_words(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "instance.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InstanceError, match=words):
        load_instance(file)


@pytest.mark.parametrize("row", PROCESSES, ids=lambda row: row.name)
def test_no_class_lists_a_call_that_none_may_make(row: object) -> None:
    assert isinstance(row, type(PROCESSES[0]))
    listed = {rule.name for rule in allowed(row.seccomp, own=1)}
    assert not listed & FORBIDDEN


def test_only_the_holder_of_the_gate_may_call_bpf_and_it_may_load_nothing() -> None:
    for row in PROCESSES:
        commands = [rule.conditions for rule in allowed(row.seccomp, own=1) if rule.name == "bpf"]
        assert bool(commands) == (row.name == "gated")
        loading = {0, 5, 18}  # BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_BTF_LOAD
        assert all(len(found) == 1 and found[0].value not in loading for found in commands)


def test_only_who_must_keeps_a_capability() -> None:
    """The kernel asks for CAP_NET_ADMIN at every change of rules and at every verdict."""
    kept = {row.name: row.keeps for row in PROCESSES if row.keeps}
    assert kept == dict.fromkeys(("applyd", "verdictd"), ("CAP_NET_ADMIN",))
