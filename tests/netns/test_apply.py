"""Apply, confirm, roll back, on the real kernel: the good days and the bad ones of the control plane."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from appliance.control.ipc import DaemonAway, RefusedError
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.control.messages.keys import Sign
from appliance.policy.compiling.bundle import FLAG_REVISIT, GENERATION_MARKS, generation_mark, pair_mark
from appliance.policy.compiling.ruleset import Chain
from crypto.signing import load_or_create
from tests.netns.stand import Stand, as_user, policy, rule, until

HEAD_MISSING = """\
reef: 1
site: stand
zones:
  internet: {role: internet, interfaces: [wan0]}
  lan: {role: internal, interfaces: [lan0, lte9], addresses: {lte9: [10.9.0.1/24]}}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}
"""
TWO = policy(rule("R-1"), rule("R-2", "tcp/80"))


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as found:
        yield found


def test_an_apply_is_enforced_confirmed_and_told(stand: Stand) -> None:
    checked = stand.ask(messages.Check(TWO), messages.Checked)
    assert (checked.ok, checked.rules, checked.site) == (True, 2, "stand")
    planned = stand.ask(messages.Plan(TWO), messages.Planned)
    assert planned.base == 0
    assert any("R-2" in change.words for change in planned.changes)
    assert stand.marker() == ""  # a plan changes nothing
    applied = stand.apply(TWO, confirm_within=60, reason="first light")
    assert stand.marker() == f"generation_1_{applied.digest[:16]}"
    assert {"parse", "compile", "sign", "load"} <= applied.seconds.keys()
    status = stand.ask(messages.Status(), messages.StatusReport)
    assert (status.running, status.confirmed) == (1, 0)
    assert stand.ask(messages.Confirm(), messages.Confirmed).generation == 1
    history = stand.ask(messages.History(), messages.HistoryList).generations
    assert [(one.state, one.reason, one.author, one.confirmed_by) for one in history] == [
        ("confirmed", "first light", "root", "root")
    ]
    shown = stand.ask(messages.Show(), messages.Shown)
    assert shown.text == TWO


def test_without_a_confirm_the_old_generation_comes_back(stand: Stand) -> None:
    before = stand.apply(TWO)
    stand.apply(policy(rule("R-1")), confirm_within=1)
    assert stand.status().running == 2
    until(lambda: stand.status().running == 1, "generation 1 runs again")
    assert stand.marker() == f"generation_1_{before.digest[:16]}"
    assert any("r_R-2" in line for line in stand.chains())
    newest = stand.ask(messages.History(1), messages.HistoryList).generations[0]
    assert (newest.generation, newest.state, newest.note) == (2, "rolled-back", "not confirmed in time")
    # The number is used up, the next apply takes the next one.
    assert stand.apply(policy(rule("R-1"))).generation == 3


def test_the_first_generation_unconfirmed_leaves_nothing(stand: Stand) -> None:
    stand.apply(TWO, confirm_within=1)
    until(lambda: stand.status().running == 0, "no generation runs")
    assert stand.marker() == ""


def test_it_comes_back_while_policyd_is_dead_and_the_link_is_gone(stand: Stand) -> None:
    stand.apply(TWO)
    stand.apply(policy(rule("R-1")), confirm_within=1)
    stand.kill("policyd")
    stand.kill("keyd")
    stand.sh("ip link del wan0")
    until(lambda: stand.marker().startswith("generation_1_"), "generation 1 is in the kernel")


def test_a_clock_that_jumps_changes_no_deadline(stand: Stand, tmp_path: Path) -> None:
    """No namespace shifts the wall clock, so a preloaded library shifts applyd's."""
    _fake_clock(tmp_path)
    stand.apply(TWO)
    offset = tmp_path / "offset"
    offset.write_text("0")
    offset.chmod(0o644)
    stand.stop("applyd")
    stand.environment = {"LD_PRELOAD": str(tmp_path / "clock.so"), "REEF_TEST_OFFSET": str(offset)}
    stand.restart("applyd")
    begun = time.monotonic()  # the four seconds are counted from some moment after this one
    applied = stand.apply(policy(rule("R-1")), confirm_within=4)
    for jump in ("86400", "-86400", "31536000"):
        offset.write_text(jump)
        until(partial(_shifted, stand, int(jump)), "applyd sees the jump")
        running = stand.status().running
        if time.monotonic() - begun < 3.9:
            assert running == applied.generation
    until(lambda: stand.status().running == 1, "generation 1 runs again")
    assert time.monotonic() - begun > 3.9


def test_the_second_of_two_is_refused_and_told_what_changed(stand: Stand) -> None:
    stand.apply(TWO)
    results: list[object] = []
    start = threading.Barrier(2)

    def one(name: str) -> None:
        request = messages.Apply(policy(rule("R-1"), rule(name, "tcp/25")), 1, f"mail for {name}", confirm_within=0)
        start.wait()
        try:
            results.append(stand.ask(request, messages.Applied))
        except RefusedError as error:
            results.append(error.reply)

    threads = [threading.Thread(target=one, args=(name,)) for name in ("R-8", "R-9")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [result for result in results if isinstance(result, messages.Refused)]
    assert len(refused) == 1
    assert refused[0].code == "conflict"
    winner = "R-8" if any("r_R-8" in line for line in stand.chains()) else "R-9"
    assert f"mail for {winner}" in refused[0].message  # who, when, why
    assert f"rule {winner} is new" in refused[0].message  # and what
    assert "root" in refused[0].message


def test_nothing_is_applied_while_a_confirm_is_awaited(stand: Stand) -> None:
    stand.apply(TWO, confirm_within=60)
    refused = stand.refusal(messages.Apply(policy(rule("R-1")), 1, "impatient", confirm_within=0))
    assert refused.code == "busy"
    assert "confirm" in refused.message
    assert stand.ask(messages.Rollback(), messages.Applied).generation == 0


def test_rollback_makes_a_new_generation_of_an_old_text(stand: Stand) -> None:
    stand.apply(TWO)
    stand.apply(policy(rule("R-1")))
    applied = stand.ask(messages.Rollback(1, "it was better"), messages.Applied)
    assert applied.generation == 3
    assert any("R-2" in change.words for change in applied.changes)
    assert stand.ask(messages.Show(), messages.Shown).text == TWO
    states = [one.state for one in stand.ask(messages.History(), messages.HistoryList).generations]
    assert states == ["confirmed", "superseded", "superseded"]
    refused = stand.refusal(messages.Rollback(77))
    assert (refused.code, "not kept" in refused.message) == ("unknown", True)


def test_rule_numbers_are_permanent(stand: Stand) -> None:
    def numbers() -> dict[str, int]:
        return {one.id: one.number for one in stand.ask(messages.Names(), messages.NameBook).rules}

    stand.apply(TWO)
    first = numbers()
    stand.apply(policy(rule("R-3", "tcp/25"), rule("R-2", "tcp/80")))
    second = numbers()
    assert second["R-2"] == first["R-2"]
    assert second["R-3"] not in first.values()
    stand.kill("policyd")
    (stand.instance.state_of("policyd") / "numbers.json").unlink()
    stand.restart("policyd")
    stand.apply(policy(rule("R-4", "tcp/110"), rule("R-3", "tcp/25")))
    assert numbers()["R-3"] == second["R-3"]
    assert numbers()["R-4"] not in second.values()


def test_every_problem_of_a_text_is_told_and_nothing_changes(stand: Stand) -> None:
    stand.apply(TWO)
    broken = policy(rule("R-1", to="mars"), rule("R-2", "tcp/99999"), rule("R-2"))
    refused = stand.refusal(messages.Apply(broken, 1, "broken", file="mine.yaml"))
    assert refused.code == "policy"
    assert {finding.file for finding in refused.findings} == {"mine.yaml"}
    assert not any("<policy>" in finding.message + finding.remedy for finding in refused.findings)
    assert len(refused.findings) >= 3
    assert all(finding.line > 0 for finding in refused.findings)
    assert stand.marker().startswith("generation_1_")


def test_a_huge_policy_is_refused_in_words(stand: Stand) -> None:
    text = TWO + "# " + "x" * (50 << 20)
    refused = stand.refusal(messages.Check(text))
    assert refused.code == "too-large"
    assert "MiB" in refused.message
    # Also when the client does not look itself: the daemon refuses by the announced length, and lives on.
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(20)
        raw.connect(str(stand.instance.socket("policyd")))
        raw.sendall((50 << 20).to_bytes(4, "big") + b"{")
        assert b"too-large" in raw.recv(4096)
    assert stand.ask(messages.Check(TWO), messages.Checked).ok


def test_an_interface_that_is_not_there_is_told(stand: Stand) -> None:
    stand.apply(TWO)
    before = stand.sh("nft -s list table inet reef")
    refused = stand.refusal(messages.Apply(policy(rule("R-1"), head=HEAD_MISSING), 1, "no such link"))
    assert refused.code == "network"
    assert "interface lte9 does not exist; this box has" in refused.message
    assert stand.sh("nft -s list table inet reef") == before


def test_a_kernel_that_refuses_leaves_the_old_generation(stand: Stand) -> None:
    """A bundle with every seal in order whose rule the kernel does not take: a jump into a base chain."""
    stand.apply(TWO)
    before = stand.sh("nft -s list table inet reef")
    bundle = stand.bundle(1)
    chains = dict(bundle.ruleset.chains)
    chains["r_R-2"] = Chain((*chains["r_R-2"].rules[:-1], "jump forward"))
    assert "forward" in chains
    wrong = msgspec.structs.replace(
        bundle, generation=2, parent=1, ruleset=msgspec.structs.replace(bundle.ruleset, chains=chains)
    )
    refused = stand.load_as_policyd(wrong)
    assert isinstance(refused, messages.Refused)
    assert refused.code == "kernel"
    assert "rule R-2" in refused.message  # whose statement it is
    assert "jump forward" in refused.message
    assert stand.sh("nft -s list table inet reef") == before
    assert (stand.status().running, stand.status().confirmed) == (1, 1)
    failed = stand.ask(messages.History(1), messages.HistoryList, to="applyd").generations[0]
    assert (failed.generation, failed.state) == (2, "failed")
    assert stand.apply(policy(rule("R-1"))).generation == 3


def test_a_signed_bundle_cannot_leave_its_table_or_read_files(stand: Stand) -> None:
    """What a policyd that was taken over could have signed."""
    stand.apply(TWO)
    bundle = stand.bundle(1)
    before = stand.sh("nft -s list ruleset")
    chains = bundle.ruleset.chains
    secret = stand.instance.state_of("applyd") / "journal"
    for line in (f'include "{secret}"', "accept; delete table inet reef_ban", "accept\nflush ruleset"):
        hostile = chains | {"r_R-2": Chain((*chains["r_R-2"].rules, line))}
        refused = stand.load_as_policyd(
            msgspec.structs.replace(
                bundle, generation=2, parent=1, ruleset=msgspec.structs.replace(bundle.ruleset, chains=hostile)
            )
        )
        assert isinstance(refused, messages.Refused)
        assert refused.code == "format"
        assert "confirmed" not in refused.message  # nothing of the journal
    refused = stand.load_as_policyd(
        msgspec.structs.replace(bundle, generation=2, parent=1, sysctls={"net/../kernel/hostname": "1"})
    )
    assert isinstance(refused, messages.Refused)
    assert refused.code == "format"
    assert stand.sh("nft -s list ruleset") == before


def test_a_connection_with_the_mark_of_a_generation_to_come_is_decided_anew(stand: Stand) -> None:
    """The four bits come round: an idle connection of 15 generations ago is not one of this generation."""

    def marks() -> dict[str, int]:
        found = re.findall(r"sport=(\d+) dport=443 .*mark=(\d+)", stand.sh("conntrack -L 2>/dev/null"))
        return {port: int(mark) for port, mark in found}

    stand.apply(TWO)
    stale, running = generation_mark(2 + GENERATION_MARKS) | 5, generation_mark(1) | 5
    flagged = stale | pair_mark(7) | FLAG_REVISIT
    assert stale == generation_mark(2) | 5
    for port, mark in ((1001, stale), (1002, running), (1003, flagged)):
        stand.sh(
            f"conntrack -I -p tcp -s 10.20.0.5 -d 198.51.100.1 --sport {port} --dport 443 "
            f"--state ESTABLISHED -t 1000 -m {mark}"
        )
    assert marks() == {"1001": stale, "1002": running, "1003": flagged}
    stand.apply(policy(rule("R-1")))
    assert marks() == {"1001": 0, "1002": running, "1003": 0}
    assert "2 connections with an old mark like that of generation 2 are decided anew" in stand.words()
    # Nor may a generation that many failed ones came before have the mark of the one that runs.
    alike = msgspec.structs.replace(stand.bundle(2), generation=2 + GENERATION_MARKS, parent=2)
    refused = stand.load_as_policyd(alike)
    assert isinstance(refused, messages.Refused)
    assert (refused.code, "has the mark of 2" in refused.message) == ("number", True)


def test_an_interface_that_is_made_anew_carries_decided_connections_again(stand: Stand) -> None:
    """The kernel holds the number that an interface had, and the one made in its place has another number."""

    def held() -> str:
        return stand.sh("nft list set inet reef decided_forward")

    stand.apply(TWO)
    assert '"lan0" . "wan0"' in held()
    before = held().count(" . ")
    stand.sh("ip link delete lan0")
    assert '"lan0"' not in held()
    stand.sh("ip link add lan0 type veth peer name lan0p && ip link set lan0 up && ip link set lan0p up")
    until(lambda: '"lan0" . "wan0"' in held() and '"wan0" . "lan0"' in held(), "the new interface is in the set")
    assert held().count(" . ") == before  # and the number of the old one is gone
    assert stand.status().drift == ""
    # The next change finds it there.
    stand.apply(policy(rule("R-1")))
    assert '"lan0" . "wan0"' in held()
    assert "all of generation" not in stand.words()
    # One that was made anew while applyd was dead is found when it starts.
    stand.kill("applyd")
    stand.sh("ip link delete lan0")
    stand.sh("ip link add lan0 type veth peer name lan0p && ip link set lan0 up && ip link set lan0p up")
    assert '"lan0"' not in held()
    stand.start("applyd")
    until(lambda: '"lan0" . "wan0"' in held(), "the new interface is in the set")
    assert "generation 2 is in the kernel already" in stand.words()


def test_only_those_who_may_are_answered(stand: Stand) -> None:
    stand.apply(TWO)
    load = messages.Load(b"{}", b"", 0)
    for request, name in ((load, "applyd"), (Sign("0" * 64), "keyd"), (messages_live.SetUpdate("x"), "applyd")):
        assert stand.refusal(request, to=name).code == "not-allowed"
    nobody = 65534
    with as_user(nobody):
        assert stand.refusal(messages.Status()).code == "not-allowed"
        assert stand.refusal(Sign("0" * 64), to="keyd").code == "not-allowed"
    with as_user(nobody, (stand.instance.operators,)):
        assert stand.ask(messages.Status(), messages.StatusReport).running == 1
        assert stand.refusal(messages.Status(), to="applyd").code == "not-allowed"


def test_a_bundle_that_was_not_signed_here_is_refused(stand: Stand) -> None:
    stand.apply(TWO)
    bundle = msgspec.structs.replace(stand.bundle(1), generation=2, parent=1)
    other = load_or_create(stand.file.with_name("other.key"))
    refused = stand.load_as_policyd(bundle, key=other)
    assert isinstance(refused, messages.Refused)
    assert refused.code == "signature"
    assert stand.status().running == 1
    assert isinstance(stand.load_as_policyd(bundle), messages.Loaded)


def test_a_daemon_that_is_away_is_told_in_words(stand: Stand) -> None:
    stand.stop("policyd")
    with pytest.raises(DaemonAway, match=r"policyd does not answer at .*policyd.sock.*is the gateway running\?"):
        stand.ask(messages.Status(), messages.StatusReport)
    # Root at the console can still see and take back.
    assert stand.status().running == 0


def test_drift_is_noticed_and_repaired(stand: Stand) -> None:
    stand.apply(TWO)
    until(lambda: stand.status().drift == "", "no drift")
    stand.sh("nft flush chain inet reef r_R-1")
    until(lambda: "drift repaired" in stand.words(), "the repair is told")
    assert "r_R-1" in stand.sh("nft list chain inet reef r_R-1")
    pairs = stand.sh("nft list map inet reef forward_pairs")
    stand.sh("nft flush map inet reef forward_pairs")
    until(lambda: stand.sh("nft list map inet reef forward_pairs") == pairs, "the elements of a map are back")
    stand.sh("nft delete table inet reef")
    until(lambda: stand.marker().startswith("generation_1_"), "the table is back")


def test_many_changes_by_hand_are_undone_together(stand: Stand) -> None:
    stand.apply(TWO)
    before = stand.sh("nft -s list table inet reef")
    stand.sh("for n in $(seq 60); do nft add rule inet reef r_R-1 tcp dport $n accept || true; done")
    until(lambda: stand.sh("nft -s list table inet reef") == before, "every change is undone")
    until(lambda: stand.status().drift == "", "the drift is gone")
    assert stand.words().count("drift repaired") < 60


def test_drift_is_only_reported_where_the_policy_says_so(stand: Stand) -> None:
    text = TWO + "settings: {drift: report}\n"
    stand.apply(text)
    stand.sh("nft add rule inet reef r_R-1 accept")
    until(lambda: "somebody changed" in stand.status().drift, "drift is reported")
    # The next apply does not build on what somebody else made of the table.
    stand.apply(policy(rule("R-1"), rule("R-2", "tcp/81")) + "settings: {drift: report}\n")
    until(lambda: stand.status().drift == "", "the drift is gone")


def test_a_full_disk_refuses_and_the_gateway_runs_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for directory in (tmp_path, *tmp_path.parents):
        if directory == Path("/tmp"):
            break
        directory.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "reef-test", str(state)], check=True)
    try:
        with Stand(state=state) as stand:
            stand.apply(TWO)
            filler = state / "filler"
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            refused = stand.refusal(messages.Apply(policy(rule("R-1")), 1, "no room", confirm_within=0))
            assert refused.code == "store"
            assert "No space left" in refused.message
            assert stand.marker().startswith("generation_1_")
            stand.kill("applyd")
            stand.restart("applyd")
            assert stand.status().confirmed == 1
            filler.unlink()
            assert stand.apply(policy(rule("R-1"))).generation == 2
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def _fake_clock(folder: Path) -> None:
    source = folder / "clock.c"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(folder / "clock.so"), str(source), "-ldl"], check=True)
    for directory in (folder, *folder.parents):
        if directory == Path("/tmp"):
            break
        directory.chmod(0o755)


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    const char *path = getenv("REEF_TEST_OFFSET");
    if (clock == CLOCK_REALTIME && path) {
        long offset = 0;
        FILE *file = fopen(path, "r");
        if (file) { if (fscanf(file, "%ld", &offset) != 1) offset = 0; fclose(file); }
        now->tv_sec += offset;
    }
    return result;
}
"""


def _shifted(stand: Stand, seconds: int) -> bool:
    return abs(_clock(stand) - time.time() - seconds) < 60


def _clock(stand: Stand) -> float:
    """applyd's wall clock, as a ban that it makes shows it."""
    return stand.ask(messages.Ban(("192.0.2.1",)), messages.BanList).bans[0].since


def test_what_happened_is_on_the_spool(stand: Stand) -> None:
    stand.apply(TWO)
    stand.sh("nft flush chain inet reef r_R-1")
    until(lambda: "drift repaired" in stand.words(), "the repair is told")
    stand.stop("applyd")
    written = b"".join(path.read_bytes() for path in sorted(stand.instance.events_of("applyd").glob("*")))
    for words in (b"generation 1 of root is enforced", b"drift: somebody changed the table", b"drift repaired"):
        assert words in written


def test_a_kernel_that_no_longer_takes_the_confirmed_generation_forwards_nothing(stand: Stand) -> None:
    """As after an update of the kernel: the generation on disk is signed and whole, and still cannot be loaded."""
    stand.apply(TWO)
    bundle = stand.bundle(1)
    chains = dict(bundle.ruleset.chains)
    wrong = msgspec.structs.replace(bundle, generation=2, parent=1)
    assert isinstance(stand.load_as_policyd(wrong), messages.Loaded)
    stand.kill("applyd")
    chains["r_R-2"] = Chain(("jump forward",))
    stand.keep(
        msgspec.structs.replace(wrong, generation=3, ruleset=msgspec.structs.replace(bundle.ruleset, chains=chains))
    )
    stand.sh("nft flush ruleset")
    stand.restart("applyd")
    assert stand.status().running == 0
    assert "generation 3 cannot be booted, nothing is forwarded" in stand.words()
    assert "policy drop" in stand.sh("nft list chain inet reef forward")
    # And the way out is open: a policy that this kernel takes.
    assert stand.apply(TWO).generation == 4
    assert stand.marker().startswith("generation_4_")


def test_a_thousand_errors_are_told_at_once(stand: Stand) -> None:
    text = policy(*(rule(f"R-{number}", to="mars") for number in range(1_000)))
    checked = stand.ask(messages.Check(text), messages.Checked)
    assert not checked.ok
    assert len(checked.findings) == 1_000
    assert len({finding.line for finding in checked.findings}) == 1_000


def test_a_baseline_is_inherited_and_kept_with_the_generation(stand: Stand) -> None:
    baseline = stand.instance.baselines / "national.yaml"
    refused = stand.refusal(messages.Apply(INHERITING, 0, "no baseline yet", confirm_within=0))
    assert refused.code == "policy"
    assert any("national" in finding.message for finding in refused.findings)
    baseline.write_bytes(b"reef: 1\nbaseline: national\nbroken: \xff\n")
    refused = stand.refusal(messages.Apply(INHERITING, 0, "broken", confirm_within=0))
    assert (refused.code, "is not UTF-8" in refused.message) == ("baseline", True)
    baseline.write_text(BASELINE)
    stand.apply(INHERITING)
    assert any("r_N-1" in line for line in stand.chains())
    assert stand.ask(messages.Show(), messages.Shown).inherited == {"national": BASELINE}


def test_going_back_does_not_bring_an_older_baseline_back(stand: Stand) -> None:
    """R9: what a site inherits today holds for its old generations too."""
    baseline = stand.instance.baselines / "national.yaml"
    baseline.write_text(BASELINE)
    stand.apply(INHERITING)
    stricter = BASELINE.replace("N-1", "N-2")
    baseline.write_text(stricter)
    stand.apply(INHERITING.replace("R-2", "R-3"))
    stand.ask(messages.Rollback(1), messages.Applied)
    assert any("r_R-2" in line for line in stand.chains())
    assert any("r_N-2" in line for line in stand.chains())
    assert not any("r_N-1" in line for line in stand.chains())
    assert stand.ask(messages.Show(), messages.Shown).inherited == {"national": stricter}


def test_the_list_of_a_baseline_comes_from_this_gateway_and_not_from_who_applies(stand: Stand) -> None:
    folder = stand.instance.baselines
    listing = BASELINE.replace("first:", "objects:\n  bad: {file: lists/bad.txt}\nfirst:").replace(
        "service: tcp/23", "source: bad"
    )
    (folder / "national.yaml").write_text(listing)
    (folder / "lists").mkdir()
    (folder / "lists" / "bad.txt").write_text("198.51.100.0/24\n")
    own = INHERITING + "objects:\n  mine: {file: lists/mine.txt}\n"
    files = {"lists/bad.txt": "203.0.113.9\n", "lists/mine.txt": "10.20.0.7\n"}
    stand.ask(messages.Apply(own, 0, "a list of its own", files=files, confirm_within=0), messages.Applied)
    shown = stand.ask(messages.Show(), messages.Shown)
    assert shown.files == {"lists/bad.txt": "198.51.100.0/24\n", "lists/mine.txt": "10.20.0.7\n"}
    assert "198.51.100.0/24" in stand.sh("nft list ruleset")
    (folder / "lists" / "bad.txt").unlink()
    refused = stand.refusal(messages.Apply(own, 1, "none at all", files=files, confirm_within=0))
    assert (refused.code, "`lists/bad.txt` is not there" in refused.findings[0].message) == ("policy", True)


def test_an_old_generation_that_a_new_baseline_forbids_stays_old(stand: Stand) -> None:
    baseline = stand.instance.baselines / "national.yaml"
    baseline.write_text(BASELINE)
    stand.apply(INHERITING)
    stand.apply(policy(rule("R-1")))
    baseline.write_text(BASELINE + "invariants:\n  - {id: N-I, never: any -> internet}\n")
    refused = stand.refusal(messages.Rollback(1))
    assert refused.code == "rollback"
    assert "does not hold under the baselines of today (national changed" in refused.message
    assert [finding.file for finding in refused.findings]
    assert stand.status().running == 2


BASELINE = """\
reef: 1
baseline: national
first:
  - {id: N-1, from: internet, to: any, service: tcp/23, action: deny, why: no telnet, owner: csirt@gov.example}
"""
INHERITING = TWO.replace("site: stand\n", "site: stand\ninherits: [national]\n")
