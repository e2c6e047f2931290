"""Reading the texts of a policy from disk: found where they may be, never elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.control.deciding.sources import SourceError, read_sources, read_text
from appliance.policy.meant.parse import parse

SITE = """
reef: 1
site: s
inherits: [country]
objects:
  blocked: {file: lists/blocked.txt}
"""


def written(folder: Path) -> Path:
    (folder / "lists").mkdir()
    (folder / "baselines").mkdir()
    (folder / "lists" / "blocked.txt").write_text("192.0.2.0/24  # a range\n\n2001:db8::/32\n")
    (folder / "baselines" / "country.yaml").write_text("reef: 1\nbaseline: country\n")
    site = folder / "site.yaml"
    site.write_text(SITE)
    return site


def test_a_policy_is_parsed_from_disk_with_its_baseline_and_its_list(tmp_path: Path) -> None:
    sources = read_sources(written(tmp_path))
    policy, _ = parse(sources.text, sources.file, inherited=sources.inherited, files=sources.files)
    assert len(policy.objects["blocked"].addresses.ranges) == 2
    assert list(sources.inherited.read) == ["country"]
    assert list(sources.files.read) == ["lists/blocked.txt"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "lists/../../secret", "", "lists//x", "lists/\0"])
def test_a_list_outside_of_the_folder_is_not_there(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    (tmp_path / "secret").write_text("10.0.0.1\n")
    sources = read_sources(written(folder))
    assert name not in sources.files
    with pytest.raises(KeyError):
        sources.files[name]


def test_a_symbolic_link_does_not_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    site = written(folder)
    (tmp_path / "secret").write_text("10.0.0.1\n")
    (folder / "lists" / "linked.txt").symlink_to(tmp_path / "secret")
    (folder / "lists" / "inside.txt").symlink_to("blocked.txt")
    sources = read_sources(site)
    assert "lists/linked.txt" not in sources.files
    assert "192.0.2.0/24" in sources.files["lists/inside.txt"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.yaml: No such file or directory; give"):
        read_sources(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"reef: 1\nsite: caf\xe9\n")
    with pytest.raises(SourceError, match="line 2 is not UTF-8"):
        read_sources(tmp_path / "latin.yaml")
    (tmp_path / "big").write_bytes(b"x" * 101)
    with pytest.raises(SourceError, match="more than 100 bytes"):
        read_text(tmp_path / "big", 100)
