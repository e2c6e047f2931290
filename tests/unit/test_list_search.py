"""In the lists of the gate an address finds the prefixes that hold it, by halving and not by looking at all."""

from __future__ import annotations

import random
from ipaddress import ip_network
from pathlib import Path

import pytest

from ctypes_ext.gate import PrefixList
from dataplane.banlists import Lists
from dataplane.listsearch import find, meant

MANY = 1_000_000


def kept(folder: Path, name: str, *prefixes: str) -> dict[str, Path]:
    entries, _ = PrefixList.read("\n".join(prefixes).encode())
    lists = Lists(folder, lambda words: None)
    lists.keep(name, lists.number(name), entries.packed(4), entries.packed(6))
    return lists.files()


def shown(files: dict[str, Path], word: str, limit: int = 100) -> list[str]:
    return [entry.address for entry in find(files, word, 0, limit)[0].entries]


def test_an_address_finds_what_holds_it_and_a_network_also_its_parts(tmp_path: Path) -> None:
    files = kept(tmp_path, "spam", "203.0.113.0/24", "203.0.113.9", "203.0.0.0/16", "203.0.114.0/24", "2001:db8::/32")
    assert shown(files, "203.0.113.9") == ["203.0.113.9", "203.0.113.0/24", "203.0.0.0/16"]
    assert shown(files, "203.0.113.8") == ["203.0.113.0/24", "203.0.0.0/16"]
    assert shown(files, "203.0.113.0/24") == ["203.0.113.0/24", "203.0.0.0/16", "203.0.113.9"]
    parts = ["203.0.0.0/16", "203.0.113.0/24", "203.0.113.9", "203.0.114.0/24"]
    assert shown(files, "203.") == parts
    assert shown(files, "2001:db8:1::5") == ["2001:db8::/32"]
    assert shown(files, "198.51.100.1") == []
    assert shown(files, "spa") == [*parts, "2001:db8::/32"]
    assert shown(files, "ham") == []


def test_pages_go_on_over_lists_and_versions(tmp_path: Path) -> None:
    kept(tmp_path, "one", "192.0.2.1", "192.0.2.3", "2001:db8::1")
    files = kept(tmp_path, "two", "192.0.2.2", "2001:db8::2")
    found, after = [], 0
    while True:
        page, _ = find(files, "", after, 2)
        assert page.total == 5
        found += [(entry.list, entry.address) for entry in page.entries]
        after = page.after
        if not after:
            break
    assert found == [
        ("one", "192.0.2.1"),
        ("one", "192.0.2.3"),
        ("one", "2001:db8::1"),
        ("two", "192.0.2.2"),
        ("two", "2001:db8::2"),
    ]


def test_a_damaged_list_has_none_and_the_others_theirs(tmp_path: Path) -> None:
    files = kept(tmp_path, "good", "192.0.2.1")
    for name, data in (("short", b"\0"), ("long", b"\xff\xff\xff\xff12345"), ("empty", b"")):
        files[name] = tmp_path / name
        files[name].write_bytes(data)
    files["gone"] = tmp_path / "gone"
    assert shown(files, "") == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("word", "network"), [("10.", "10.0.0.0/8"), ("10.1.2.", "10.1.2.0/24"), ("10.1.2.3", "10.1.2.3/32")]
)
def test_the_beginning_of_an_address_is_a_network(word: str, network: str) -> None:
    assert meant(word) == ip_network(network)
    assert meant("of words") is None


def test_a_million_prefixes_cost_some_halvings(tmp_path: Path) -> None:
    chance = random.Random(3)
    packed = b"".join(
        sorted({chance.randrange(16 << 24, 200 << 24).to_bytes(4, "big") + b"\x20" for _ in range(MANY)})
    )
    lists = Lists(tmp_path, lambda words: None)
    lists.keep("big", lists.number("big"), packed, b"")
    one = ".".join(map(str, packed[5 * 4_711 : 5 * 4_711 + 4]))
    page, looked = find(lists.files(), one, 0, 100)
    assert [entry.address for entry in page.entries] == [one]
    assert looked < 35 * 22  # 33 lengths and both ends of what is inside, 20 halvings each
    page, looked = find(lists.files(), "", len(packed) // 5 - 10, 100)
    assert (len(page.entries), page.total, page.after, looked) == (10, len(packed) // 5, 0, 10)
