"""DNS names of a policy against a real server that answers well, badly, too much, not at all, and lies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from tests.netns.stand import POLICY, Stand, policy, rule, until

SERVER = "127.0.0.53"
HEAD = (
    POLICY
    + f"settings: {{nameservers: [{SERVER}]}}\n"
    + """\
objects:
  mirrors: {names: [mirror.example, second.example], cap: 8, refresh: 60}
"""
)
TEXT = policy(rule("R-1", destination="mirrors"), head=HEAD)


class Names:
    """A stand with namesd, and a DNS server whose answers a test writes."""

    def __init__(self, stand: Stand, table: Path) -> None:
        self.stand = stand
        self.table = table

    def serve(self, **names: dict[str, object]) -> None:
        temporary = self.table.with_suffix(".tmp")
        temporary.write_text(json.dumps({name.replace("_", "."): entry for name, entry in names.items()}))
        temporary.rename(self.table)

    def ask_again(self) -> None:
        """A restart of namesd asks for every name at once."""
        self.stand.stop("namesd")
        self.stand.start("namesd")

    def set(self) -> messages_live.LiveSet:
        return self.stand.ask(messages_live.Sets("dns_mirrors"), messages_live.SetList).sets[0]

    def until(self, *elements: str) -> None:
        until(
            lambda: set(self.set().elements) == set(elements),
            f"{elements} are in the set; log: {self.stand.words()[-900:]}",
        )

    def until_error(self, words: str) -> None:
        until(lambda: words in self.set().error, f"{words!r} is told; log: {self.stand.words()[-900:]}")


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Names]:
    table = tmp_path / "names.json"
    table.write_text("{}")
    with Stand() as stand:
        stand.sh(f"ip addr add {SERVER}/8 dev lo || true")
        server = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                stand.namespace,
                sys.executable,
                "-m",
                "tests.netns.dnsserver",
                SERVER,
                "53",
                str(table),
            ],
            cwd=Path(__file__).resolve().parents[2],
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            found = Names(stand, table)
            found.serve(
                mirror_example={"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}, second_example={"A": ["192.0.2.2"]}
            )
            stand.start("namesd")
            stand.apply(TEXT)
            found.until("192.0.2.1", "192.0.2.2", "2001:db8::1")
            yield found
        finally:
            server.kill()
            server.wait()


BAD: dict[str, tuple[dict[str, object], str]] = {
    "none": ({"A": []}, "no address"),
    "does not exist": ({"rcode": "NXDOMAIN"}, "NXDOMAIN"),
    "server failure": ({"rcode": "SERVFAIL"}, "SERVFAIL"),
    "too many": ({"A": [f"198.18.{number // 250}.{number % 250 + 1}" for number in range(3900)]}, "at most 8"),
    "loopback": ({"A": ["192.0.2.9", "127.0.0.1"]}, "loopback"),
    "link-local": ({"AAAA": ["fe80::1"]}, "link-local"),
    "multicast": ({"A": ["224.0.0.251"]}, "multicast"),
    "mapped": ({"AAAA": ["::ffff:10.0.0.1"]}, "disguise"),
    "the gateway itself": ({"A": ["10.20.0.1"]}, "gateway itself"),
}


@pytest.mark.parametrize("answer", BAD)
def test_a_bad_answer_changes_nothing_and_is_told(names: Names, answer: str) -> None:
    names.stand.sh("ip addr add 10.20.0.1/16 dev lan0")
    entry, words = BAD[answer]
    names.serve(mirror_example=entry, second_example={"A": ["192.0.2.3"]})
    names.ask_again()
    names.until_error(words)
    # The other name's new answer counts; of the bad one the last good answer stays.
    names.until("192.0.2.1", "192.0.2.3", "2001:db8::1")
    names.serve(mirror_example={"A": ["192.0.2.7"]}, second_example={"A": ["192.0.2.3"]})
    names.ask_again()
    names.until("192.0.2.7", "192.0.2.3")
    assert names.set().error == ""


def test_names_are_filled_again_after_a_restart_of_the_gateway(names: Names) -> None:
    """The kernel forgot everything and no server answers: the last good answers are still known."""
    names.serve(mirror_example={"rcode": "SERVFAIL"}, second_example={"rcode": "SERVFAIL"})
    for name in ("namesd", "applyd"):
        names.stand.kill(name)
    names.stand.sh("nft flush ruleset")
    names.stand.restart("applyd")
    names.stand.start("namesd")
    names.until("192.0.2.1", "192.0.2.2", "2001:db8::1")
    names.until_error("SERVFAIL")


def test_a_resolver_in_wrong_hands_is_held_to_what_the_generation_declares(names: Names) -> None:
    """applyd believes the resolver no more than it must: asked here as its user, without it."""
    stand = names.stand
    stand.kill("namesd")
    people = policy(rule("R-1", destination="mirrors"), rule("R-2", people="[group:staff]"), head=HEAD + PEOPLE)
    stand.apply(people)

    def code(update: messages_live.SetUpdate) -> str:
        answer = stand.ask_as("namesd", update, messages_live.SetUpdated)
        return answer.code if isinstance(answer, messages.Refused) else "taken"

    assert code(messages_live.SetUpdate("dns_mirrors", add=("192.0.2.50",), replace=True)) == "taken"
    assert code(messages_live.SetUpdate("nothing_of_ours", add=("192.0.2.66",))) == "unknown-set"
    (staff,) = (one.name for one in stand.bundle(2).dynamics if one.kind == "group")
    assert code(messages_live.SetUpdate(staff, add=("192.0.2.66",))) == "unknown-set"
    assert code(messages_live.SetUpdate("dns_mirrors", add=("127.0.0.1",))) == "lie"
    assert code(messages_live.SetUpdate("dns_mirrors", add=("0.0.0.0/0",))) == "lie"
    assert code(messages_live.SetUpdate("dns_mirrors", add=tuple(f"192.0.2.{n}" for n in range(1, 10)))) == "cap"
    assert names.set().elements == ("192.0.2.50",)
    other = stand.ask_as("namesd", messages.Unban(("192.0.2.1",)), messages.BanList)
    assert isinstance(other, messages.Refused)
    assert other.code == "not-allowed"


PEOPLE = """\
people:
  a.person: {name: A Person}
groups:
  staff: [a.person]
"""
