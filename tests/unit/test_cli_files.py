"""How the command line reads and writes texts, finds inherited ones, and says addresses in the policy's words."""

from __future__ import annotations

import ipaddress
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.commands import files
from appliance.commands.failure import Failure
from appliance.commands.files import baselines, read_text, write_text
from appliance.commands.names import Names, interval
from appliance.commands.remote import Address, parse_address, with_standard_input, without_gateway
from appliance.control.messages.gateway import NameBook
from appliance.policy.compiling.bundle import RuleInfo, ZoneInfo
from appliance.policy.model import InterfaceAddress


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_that_is_not_utf8_is_refused_at_its_place(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes("reef: 1\nsité: ".encode() + b"\xff\n")
    with pytest.raises(Failure) as refused:
        read_text(str(path))
    (finding,) = refused.value.findings
    assert (finding.line, finding.column, finding.message) == (2, 7, "the byte 0xff is not UTF-8")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbfreef: 1\n")
    assert read_text(str(path)) == "reef: 1\n"


@pytest.mark.parametrize("file", ["missing.yaml", "."])
def test_what_is_no_file_is_refused_in_words(file: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"(?i)no such file|is a directory"):
        read_text(str(tmp_path / file))


def test_an_endless_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_READ", 1 << 20)
    with pytest.raises(Failure, match="larger than 1 MiB"):
        read_text("/dev/zero")


def test_writing_replaces_the_text_at_once_and_keeps_mode_and_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("old\n")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(str(link), "new\n")
    assert link.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o777) == ("new\n", 0o640)
    assert names_in(tmp_path) == ["link.yaml", "real.yaml"]


def test_a_failed_write_leaves_the_old_text_and_no_litter(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be written"):
        write_text(str(tmp_path / "none" / "p.yaml"), "x")
    path = tmp_path / "p.yaml"
    path.write_text("old\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(str(path), "\ud800")
    assert path.read_text() == "old\n"
    assert names_in(tmp_path) == ["p.yaml"]


def test_inherited_texts_are_found_beside_the_policy(tmp_path: Path) -> None:
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "national.yaml").write_text("far\n")
    (tmp_path / "baselines" / "sector.yaml").write_text("sector\n")
    (tmp_path / "national.yaml").write_text("near\n")
    found = baselines(str(tmp_path / "site.yaml"), None)
    assert (found["national"], found["sector"]) == ("near\n", "sector\n")
    assert "other" not in found
    assert set(found) == {"national", "sector"}
    assert baselines(str(tmp_path / "site.yaml"), [str(tmp_path / "baselines")])["national"] == "far\n"


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "a/b", ".hidden", "a\x00b"])
def test_an_inherited_name_never_leaves_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("secret\n")
    (tmp_path / "in").mkdir()
    found = baselines(str(tmp_path / "in" / "site.yaml"), [str(tmp_path / "in")])
    assert name not in found
    with pytest.raises(KeyError):
        found[name]


BOOK = NameBook(
    7, "health",
    zones=(ZoneInfo("lan", ("lan0", "lan1")), ZoneInfo("internet", ("wan0",))),
    rules=(RuleInfo("R-7", 1, "allow"),),
    objects={"records": ("10.21.0.10",), "servers": ("10.21.0.0/24", "10.22.0.5-10.22.0.9"),
             "six": ("2001:db8::/32",)},
    services={"web": ("tcp/443", "tcp/80"), "remote-control": ("tcp/443", "tcp/23", "tcp/3389", "tcp/445")},
    networks={"lan": ("10.20.0.0/16", "2001:db8:1::/48"), "dmz": ("10.21.0.0/16",), "internet": ()},
    addresses=(InterfaceAddress("lan0", "10.20.0.1/16"),),
)  # fmt: skip


def test_addresses_ports_and_interfaces_are_said_in_the_words_of_the_policy() -> None:
    names = Names(BOOK)
    assert names.host("10.21.0.10") == "records(10.21.0.10)"
    assert names.host("10.21.0.11") == "servers(10.21.0.11)"
    assert [names.object_of(f"10.22.0.{last}") for last in (4, 5, 9, 10)] == ["", "servers", "servers", ""]
    assert names.object_of("2001:db8:ffff::1") == "six"
    assert names.host("192.0.2.1") == "192.0.2.1"
    assert names.host("not an address") == "not an address"
    assert [names.zone_of_address(f"10.2{part}.9.9") for part in "013"] == ["lan", "dmz", "internet"]
    assert names.zone_of_address("10.20.0.1") == "gateway"
    assert Names().zone_of_address("8.8.8.8") == ""
    assert (names.zone_of_interface("lan1"), names.zone_of_interface("eth9")) == ("lan", "")
    assert names.service("tcp", 443) == "web(tcp/443)"
    assert (names.service("6", 8081), names.service("ICMP", 0)) == ("tcp/8081", "icmp")
    assert names.service("tcp", 22) == "ssh(tcp/22)", "what the policy does not name has its well-known name"
    assert names.service("tcp", 23) == "telnet(tcp/23)", "a group of many things names none of them"


_PIECE = st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted)


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(_PIECE, min_size=1, max_size=4), max_size=6))
def test_the_narrowest_object_names_an_address(book: dict[str, list[list[int]]]) -> None:
    objects = {name: tuple(f"10.0.0.{a}-10.0.0.{b}" for a, b in pieces) for name, pieces in book.items()}
    names = Names(NameBook(1, "x", (), (), objects=objects))
    for last in range(256):
        holding = [(b - a, b, name) for name, pieces in book.items() for a, b in pieces if a <= last <= b]
        assert names.object_of(f"10.0.0.{last}") == (min(holding)[2] if holding else "")


def test_many_objects_are_looked_up_quickly_enough_to_name_a_log() -> None:
    draw = random.Random(5)
    objects: dict[str, tuple[str, ...]] = {
        f"o{index}": (f"{ipaddress.ip_address(draw.getrandbits(32))}",) for index in range(5000)
    }
    objects["all"] = ("0.0.0.0/0",)
    names = Names(NameBook(1, "x", (), (), objects=objects))
    assert all(names.object_of(words[0]) == name or name == "all" for name, words in objects.items())


def test_intervals_are_read_and_nonsense_refused() -> None:
    assert interval("10.0.0.0/30") == (4, 167772160, 167772163)
    assert interval("10.0.0.1 - 10.0.0.3") == (4, 167772161, 167772163)
    assert interval("::1") == (6, 1, 1)
    for wrong in ("10.0.0.9-10.0.0.1", "10.0.0.1-::1", "x"):
        with pytest.raises(ValueError, match=r"range|version|address|network"):
            interval(wrong)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("gw.example", Address("gw.example")),
        ("admin@gw", Address("gw", "admin")),
        ("admin@gw:2222", Address("gw", "admin", 2222)),
        ("admin@[2001:db8::1]:22", Address("2001:db8::1", "admin", 22)),
    ],
)
def test_logins_are_read(words: str, address: Address) -> None:
    assert parse_address(words) == address


@pytest.mark.parametrize("words", ["", "a b", "-oProxyCommand=x", "a@b@c d", "gw:port", "2001:db8::1"])
def test_what_is_no_login_is_refused(words: str) -> None:
    with pytest.raises(Failure, match="is not a login"):
        parse_address(words)


@pytest.mark.parametrize(
    ("arguments", "name", "sent"),
    [
        ("plan p.yaml --all", "plan", "plan - --all"),
        ("--json apply --yes p.yaml", "apply", "--json apply --yes -"),
        ("why --from a --to b ssh --file p.yaml", "why", "why --from a --to b ssh --file -"),
        ("why --file=p.yaml --from a --to b ssh", "why", "why --file=- --from a --to b ssh"),
    ],
)
def test_a_distant_gateway_reads_the_text_from_standard_input(arguments: str, name: str, sent: str) -> None:
    assert with_standard_input(arguments.split(), name, "p.yaml") == sent.split()


def test_the_gateway_option_does_not_travel() -> None:
    assert without_gateway(["--gateway", "a@b", "history", "--json"]) == ["history", "--json"]
    assert without_gateway(["history", "--gateway=a@b", "--limit", "3"]) == ["history", "--limit", "3"]
