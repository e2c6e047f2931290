"""The `reef` command against a running gateway: data, exit codes, conflicts, a distant gateway, dead daemons."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.commands import health, lines, live, rules, why
from appliance.commands.flows import FlowLine
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.lab.site import POLICY, Lab
from tests.netns.readable import readable

ROOT = Path(__file__).parents[2]
Done = subprocess.CompletedProcess[str]


class Reef:
    """Runs `reef` for the lab's gateway while the lab is kept alive."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder

    def __call__(self, *arguments: str, prefix: tuple[str, ...] = (), stdin: str = "", **environ: str) -> Done:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REEF_", "SSH_"))}
        environment = kept | {"PYTHONPATH": str(ROOT), "REEF_LAB": self.lab.lab} | environ
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "appliance.cli", *arguments],
            cwd=self.folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=readable if prefix else None,
        )  # fmt: skip
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        while process.poll() is None:
            self.lab.poll(0.02)
        out, err = process.communicate(timeout=30)
        assert "Traceback" not in err, err
        return Done(process.args, process.returncode, out, err)

    def data(self, *arguments: str) -> dict[str, object]:
        result = self(*arguments, "--json")
        assert result.returncode == 0, result.stdout + result.stderr
        found: dict[str, object] = json.loads(result.stdout)
        return found

    def apply(self, change: Callable[[str], str], *arguments: str) -> Done:
        file = self.folder / "policy.yaml"
        file.write_text(change(POLICY.read_text()))
        return self("apply", str(file), "--yes", *arguments)


@pytest.fixture
def reef(lab: Lab, tmp_path: Path) -> Reef:
    return Reef(lab, tmp_path)


def allow_telnet(text: str) -> str:
    rule = (
        "  - {id: R-30, from: lan, to: internet, service: tcp/23, action: allow, why: a test, owner: a@b.example}\n"
    )
    return text.replace("rules:\n", f"rules:\n{rule}", 1)


@pytest.mark.parametrize(
    ("verb", "shape"),
    [
        (["show"], messages.StatusReport),
        (["show", "rules"], rules.RuleList),
        (["show", "counters"], rules.RuleList),
        (["show", "zones"], dict[str, list[live.ZoneLine]]),
        (["show", "connections"], dict[str, list[lines.ConnectionLine]]),
        (["show", "sets"], messages_live.SetList),
        (["show", "generation"], messages.Shown),
        (["history"], messages.HistoryList),
        (["doctor"], health.Examination),
        (["ban", "list"], messages.BanList),
        (["plan", str(POLICY)], messages.Planned),
        (["why", "--from", "10.20.0.12", "--to", "198.51.100.80", "https"], why.Reason),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_json_has_the_documented_shape(reef: Reef, verb: list[str], shape: type) -> None:
    assert msgspec.convert(reef.data(*verb), shape)


def test_flows_are_said_in_the_words_of_the_policy(reef: Reef) -> None:
    fetched = reef.lab.run("lan2", "curl", "-sS", "-4", "http://www.example.org/")
    assert fetched.returncode == 0, fetched.stderr
    (line,) = reef("show", "flows", "--all", "--rule", "R-3", "--host", "10.20.0.12").stdout.splitlines()[1:]
    assert line.startswith("R-3   lan → internet  10.20.0.12  example-web(198.51.100.80)  web(tcp/80)")
    found = msgspec.convert(reef.data("show", "flows", "--rule", "R-3")["flows"], list[FlowLine])
    assert {(one.source_zone, one.destination_name) for one in found} == {("lan", "example-web")}


def test_a_decision_reaches_the_log_with_rule_zones_and_names(reef: Reef) -> None:
    reef.lab.run("lan2", "nc", "-4", "-w", "2", "-z", "mail.example.org", "25")
    deadline = time.monotonic() + 10
    while not (line := reef("log", "--rule", "R-6", "--limit", "1").stdout):
        assert time.monotonic() < deadline, "no event of R-6 in the log"
    assert "REJECT   R-6           lan → internet      10.20.0.12 → example-mail(198.51.100.25)  smtp(tcp/25)" in line


def test_two_at_once_the_second_is_refused_and_told_what_changed(reef: Reef) -> None:
    base = reef.data("show")["running"]
    assert reef.apply(allow_telnet, "--confirm-within", "0", "--reason", "telnet for a test").returncode == 0
    second = reef.apply(lambda text: text, "--base", str(base))
    assert second.returncode == 5
    assert "telnet for a test" in second.stderr
    assert "R-30" in second.stderr
    back = reef("rollback", "--yes", "--reason", "the test is over")
    assert back.returncode == 0, back.stderr
    assert "rule R-30 is removed" in back.stdout


def test_a_refused_text_shows_its_places_and_changes_nothing(reef: Reef) -> None:
    before = reef.data("show")["running"]
    result = reef.apply(lambda text: text.replace("from: lan\n", "from: lann\n"))
    assert result.returncode == 1
    assert "there is no zone `lann`; did you mean `lan`?\n" in result.stderr
    assert " |     from: lann\n" in result.stderr
    assert reef.data("show")["running"] == before


def test_without_a_terminal_nobody_is_asked_and_nothing_applied(reef: Reef) -> None:
    result = reef("apply", str(POLICY), stdin="y\n")
    assert result.returncode == 2
    assert "say --yes" in result.stderr


def test_an_unconfirmed_generation_goes_and_apply_says_so(reef: Reef) -> None:
    result = reef.apply(allow_telnet, "--confirm-within", "2", "--wait")
    assert result.returncode == 5
    assert "was not confirmed" in result.stderr
    history = msgspec.convert(reef.data("history"), messages.HistoryList).generations
    assert (history[0].state, history[0].note) == ("rolled-back", "not confirmed in time")


def test_waiting_for_the_confirm_ends_with_it(reef: Reef) -> None:
    file = reef.folder / "policy.yaml"
    file.write_text(allow_telnet(POLICY.read_text()))
    command = [sys.executable, "-m", "appliance.cli", "--lab", reef.lab.lab, "apply", str(file), "--yes", "--wait"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment["PYTHONPATH"] = str(ROOT)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        while "reef --lab" not in (said := waiting.stdout.readline()):
            assert said, "it ended without saying how to confirm"
            reef.lab.poll(0.01)
        confirmed = reef.lab.run("lan1", "ssh", "-F", str(reef.lab.ssh_config), "gw", "reef", "confirm")
        assert confirmed.returncode == 0, confirmed.stderr
        while waiting.poll() is None:
            reef.lab.poll(0.05)
        assert waiting.returncode == 0
    assert reef("rollback", "--yes").returncode == 0


class Terminal:
    """A person at a terminal of 100 columns, typing one command of `reef`."""

    def __init__(self, reef: Reef, *arguments: str) -> None:
        self._lab = reef.lab
        self._seen = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance.cli", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT), "REEF_LAB": reef.lab.lab, "TERM": "xterm"},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)

    def expect(self, words: str) -> str:
        """Read on until `words` are on the screen; returns what was read since the last time."""
        deadline = time.monotonic() + 20
        while words not in self._seen:
            assert time.monotonic() < deadline, f"no {words!r} in {self._seen!r}"
            self._lab.poll(0.01)
            if select.select([self._master], [], [], 0.02)[0]:
                self._seen += os.read(self._master, 65536).decode()
        before, _, self._seen = self._seen.partition(words)
        return before + words

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        while self.process.poll() is None:
            self._lab.poll(0.02)
        os.close(self._master)
        return self.process.returncode


def test_at_a_terminal_the_plan_is_shown_and_asked_for_and_no_is_no(reef: Reef) -> None:
    before = reef.data("show")["running"]
    file = reef.folder / "policy.yaml"
    file.write_text(allow_telnet(POLICY.read_text()))
    person = Terminal(reef, "apply", str(file))
    assert "rule R-30 is new" in person.expect("Apply this? [y/N] ")
    person.type("\n")
    person.expect("not applied, nothing changed")
    assert person.end() == 1
    assert reef.data("show")["running"] == before


def test_at_a_terminal_apply_counts_down_and_ctrl_c_leaves_the_confirm_open(reef: Reef) -> None:
    file = reef.folder / "policy.yaml"
    file.write_text(allow_telnet(POLICY.read_text()))
    person = Terminal(reef, "apply", str(file), "--confirm-within", "60")
    person.expect("Apply this? [y/N] ")
    person.type("y\n")
    person.expect("from a new session, or generation")
    person.expect("waiting for the confirm: 0:5")
    person.type("\x03")
    screen = person.expect("the confirm is open until")
    assert "Traceback" not in screen
    assert person.end() == 130
    status = msgspec.convert(reef.data("show"), messages.StatusReport)
    assert status.running != status.confirmed
    back = reef("rollback", "--yes")
    assert back.returncode == 0, back.stderr
    status = msgspec.convert(reef.data("show"), messages.StatusReport)
    assert status.running == status.confirmed


def test_a_ban_cuts_at_once_and_is_listed_with_its_reason(reef: Reef) -> None:
    ping = ("ping", "-c", "1", "-W", "1", "198.51.100.80")
    assert reef.lab.run("lan1", *ping).returncode == 0
    assert reef("ban", "add", "198.51.100.80", "--for", "10m", "--reason", "a test").returncode == 0
    assert reef.lab.run("lan1", *ping).returncode != 0
    listed = reef("ban", "list").stdout
    assert "198.51.100.80" in listed
    assert "a test" in listed
    assert reef("ban", "remove", "198.51.100.80").returncode == 0
    assert reef.lab.run("lan1", *ping).returncode == 0
    assert reef("ban", "remove", "198.51.100.80").returncode == 1


def test_nobody_bans_themselves_or_the_gateway_by_mistake(reef: Reef) -> None:
    own = reef("ban", "add", "10.20.0.0/24", "--yes")
    assert own.returncode == 1
    assert "10.20.0.0/24 holds 10.20.0.1, which is an address of the gateway" in own.stderr
    mine = reef("ban", "add", "192.0.2.7", SSH_CONNECTION="192.0.2.7 40000 203.0.113.2 22")
    assert mine.returncode == 1
    assert "where you come from" in mine.stderr
    assert reef.data("ban", "list")["bans"] == []


def test_nothing_is_rolled_back_without_somebody_to_ask(reef: Reef) -> None:
    result = reef("rollback", "1")
    assert (result.returncode, "say --yes" in result.stderr) == (2, True)


def test_tab_completes_rules_and_generations_of_the_running_gateway(reef: Reef) -> None:
    for line, offered in (
        ("reef show flows --rule R-", "R-3"),
        ("reef rollback ", "1"),
        ("reef log --zone d", "dmz"),
        ("reef where-used example-", "example-web"),
        ("reef suggest R-", "R-3"),
        ("reef why --from lan --to example-w", "example-web"),
        ("reef why --from lan --to internet teln", "telnet"),
    ):
        read, write = os.pipe()
        environ = os.environ | {
            "PYTHONPATH": str(ROOT), "REEF_LAB": reef.lab.lab, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": " ",
            "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9",
        }  # fmt: skip
        with os.fdopen(read) as answers:
            asked = ["bash", "-c", f'exec "$0" -m appliance.cli 8>&{write} 9>&2', sys.executable]
            process = subprocess.Popen(asked, env=environ, pass_fds=[write], stdout=subprocess.DEVNULL)
            os.close(write)
            assert offered in answers.read().split()
        assert process.wait(timeout=30) == 0


# --- a distant gateway -------------------------------------------------------------------------------


@pytest.fixture
def home(lab: Lab, tmp_path: Path) -> Path:
    """A person's home on the administrator's workstation: the officer's key, the gateway's host key."""
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True, mode=0o700)
    configured = dict(line.split() for line in lab.ssh_config.read_text().splitlines())
    shutil.copy(configured["IdentityFile"], folder / "id_ed25519")
    (folder / "id_ed25519").chmod(0o600)
    shutil.copy(configured["UserKnownHostsFile"], folder / "known_hosts")
    return folder.parent


@pytest.fixture
def distant(reef: Reef, home: Path) -> Callable[..., Done]:
    def run(*arguments: str) -> Done:
        prefix = ("ip", "netns", "exec", reef.lab.namespace("lan1"))
        return reef("--gateway", "officer@10.20.0.1", *arguments, prefix=prefix, HOME=str(home), REEF_LAB="")

    return run


def test_a_verb_runs_on_a_distant_gateway(distant: Callable[..., Done], reef: Reef) -> None:
    shown = distant("show")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == reef("show").stdout
    file = reef.folder / "policy.yaml"
    file.write_text(POLICY.read_text().replace("from: lan\n", "from: lann\n"))
    refused = distant("plan", str(file))
    assert refused.returncode == 1
    assert f"{file}:" in refused.stderr, "problems name the file as it is called here"
    file.write_text(allow_telnet(POLICY.read_text()))
    applied = distant("apply", str(file), "--yes", "--reason", "it's from afar; $HOME `id`")
    assert applied.returncode == 0, applied.stderr
    assert distant("confirm").returncode == 0
    asked = distant("why", "--from", "10.20.0.12", "--to", "198.51.100.80", "telnet", "--file", str(file))
    assert "allowed by R-30" in asked.stdout, asked.stderr
    newest = msgspec.convert(reef.data("history"), messages.HistoryList).generations[0]
    assert (newest.author, newest.confirmed_by) == ("officer", "officer")
    assert newest.reason == "it's from afar; $HOME `id`"
    assert distant("rollback", "--yes").returncode == 0


@pytest.mark.timeout(240)  # two programs start for every verb
def test_changes_are_proposed_agreed_and_applied_from_afar(distant: Callable[..., Done], reef: Reef) -> None:
    """Four eyes over SSH: what one proposes at the gateway another looks at, approves and applies from elsewhere."""
    person = "officer: {name: An Officer, mail: officer@health.example, roles: [editor, approver]}"
    text = POLICY.read_text().replace("  people:\n    ana:", f"  approvals: 1\n  people:\n    {person}\n    ana:")
    assert text != POLICY.read_text()
    file = reef.folder / "policy.yaml"
    file.write_text(text)
    assert reef("apply", str(file), "--yes", "--confirm-within", "0").returncode == 0

    def far(*arguments: str) -> dict[str, Any]:
        said = distant(*arguments, "--json")
        assert said.returncode == 0, said.stderr
        found: dict[str, Any] = json.loads(said.stdout)
        return found

    file.write_text(allow_telnet(text))
    number = f"{reef.data('propose', str(file), '--title', 'telnet', '--why', 'an old machine')['number']}"
    refused = distant("apply", "--proposal", number, "--yes")
    assert refused.returncode != 0 and "0 of 1 others approved" in refused.stderr
    assert [f"{one['number']}" for one in far("proposals", "list", "--state", "proposed")["proposals"]] == [number]
    shown = far("proposals", "show", number)
    assert [change["what"] for change in shown["planned"]["changes"]] == ["rule R-30"]
    far("proposals", "comment", number, "it's fine; $HOME `id`", "--rule", "R-30")
    assert far("approve", number, "--yes")["state"] == "approved"
    done = far("apply", "--proposal", number, "--yes", "--confirm-within", "60")
    assert distant("confirm").returncode == 0
    newest = msgspec.convert(reef.data("history"), messages.HistoryList).generations[0]
    assert (newest.generation, newest.author, newest.confirmed_by) == (done["generation"], "officer", "officer")
    last = far("proposals", "show", number)["comments"][-1]
    assert (last["person"], last["words"], last["rule"]) == ("officer", "it's fine; $HOME `id`", "R-30")

    # The text itself goes along: a proposal of a file that lies here, amended, and taken back.
    file.write_text(text)
    mine = far("propose", str(file), "--title", "no telnet", "--ticket", "HD-9")
    assert distant("approve", f"{mine['number']}", "--yes").returncode != 0, "nobody approves their own"
    file.write_text(text.replace("The only place the gateway", "The one place the gateway"))
    amended = far("proposals", "amend", f"{mine['number']}", str(file), "--words", "a word")
    assert amended["digest"] != mine["digest"]
    assert "The one place" in distant("proposals", "show", f"{mine['number']}", "--text").stdout
    assert far("proposals", "withdraw", f"{mine['number']}", "--why", "not now")["state"] == "withdrawn"
    assert far("draft", "list")["drafts"] == []
    file.write_text(text.replace("from: lan\n", "from: lann\n"))
    wrong = distant("propose", str(file), "--title", "a slip")
    assert wrong.returncode != 0 and f"{file}:" in wrong.stderr, "problems name the file as it is called here"


def test_an_unknown_host_key_is_refused_not_learnt(distant: Callable[..., Done], home: Path) -> None:
    known = home / ".ssh" / "known_hosts"
    known.write_text(known.read_text().replace("* ", "10.9.9.9 ", 1))
    before = known.read_text()
    result = distant("show")
    assert result.returncode == 4
    assert "compare its fingerprint" in result.stderr
    assert known.read_text() == before


def test_a_person_without_a_key_is_not_let_in(distant: Callable[..., Done], home: Path) -> None:
    (home / ".ssh" / "id_ed25519").unlink()
    result = distant("show")
    assert result.returncode == 4
    assert "log in with a key it knows" in result.stderr


# --- dead daemons (last: they are started again by the lab, which takes its time) ----------------------


def test_a_user_who_is_nobody_here_is_refused(reef: Reef) -> None:
    result = reef("show", prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    assert result.returncode == 4
    assert "does not answer nobody" in result.stderr


def test_a_dead_inspectd_is_told_by_doctor(reef: Reef) -> None:
    dead = reef.lab.gateway.pid("inspectd")
    os.kill(dead, signal.SIGKILL)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)  # the lab, which would start it again, is not polled here
    process = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "doctor"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "REEF_LAB": reef.lab.lab},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == 1, process.stdout
    assert "inspectd is dead" in process.stdout


def test_a_dead_policyd_is_exit_3_and_the_log_stays_readable(reef: Reef) -> None:
    socket = reef.lab.gateway.instance.socket("policyd")
    os.kill(reef.lab.gateway.pid("policyd"), signal.SIGKILL)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "REEF_LAB": reef.lab.lab}
    for verb, code in ((["show"], 3), (["log", "--limit", "1"], 0), (["doctor"], 3)):
        command = [sys.executable, "-m", "appliance.cli", *verb]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == code, result.stderr
        assert f"policyd does not answer at {socket}" in result.stderr + result.stdout
    assert "policyd is dead" in result.stdout, "doctor goes on with what it can see by itself"
