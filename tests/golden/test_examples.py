"""The example policies: each site kind has one, each is right, in canonical form, and means what it meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from appliance.control.deciding.sources import read_sources
from appliance.policy.answering.plan import plan
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy
from appliance.policy.written.fmt import fmt
from appliance.policy.written.schema import json_schema

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
SITES = sorted(EXAMPLES.glob("**/*.yaml"))
GOLDEN = Path(__file__).parent / "examples"
NOW = 1_795_000_000  # 2026-11-18

# The sites that requirements H names, and the text that is their template.
TEMPLATES = {
    "ministry site": "ministry-health",
    "data centre and its network operations centre": "data-centre",
    "backup data centre": "backup-data-centre",
    "community service centre": "community-service-centre",
    "mobile service bus": "mobile-service-bus",
    "public-safety vehicle or handheld unit": "public-safety-vehicle",
    "CSIRT": "csirt",
    "e-services platform, portal and single electronic window": "e-services",
}


class EditorLoader(yaml.SafeLoader):
    """YAML 1.2 with the core schema, as editors read it."""


EditorLoader.yaml_implicit_resolvers = {}
for tag, pattern in (("bool", "true|false"), ("int", "[-+]?[0-9]+"), ("null", "null|~|")):
    EditorLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), None)


def is_baseline(path: Path) -> bool:
    return "\nbaseline:" in path.read_text()


def meaning(path: Path) -> tuple[Policy, str]:
    sources = read_sources(path, EXAMPLES / "baselines")
    policy, warnings = parse(sources.text, sources.file, inherited=sources.inherited, files=sources.files, now=NOW)
    assert warnings == ()
    return policy, "".join(f"{change.words}\n" for change in plan(None, policy))


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(EXAMPLES)) for path in paths]


TEXTS = [path for path in SITES if not is_baseline(path) and path.parent == EXAMPLES]


@pytest.mark.parametrize("path", TEXTS, ids=names(TEXTS))
def test_an_example_is_right_and_means_this(path: Path) -> None:
    """`python -m tests.golden.test_examples` writes the meanings again: read the difference before you keep it."""
    policy, words = meaning(path)
    assert words == (GOLDEN / f"{policy.site}.txt").read_text()
    assert any(rule.origin == "baseline-first" for rule in policy.rules)


@pytest.mark.parametrize("path", SITES, ids=names(SITES))
def test_an_example_is_in_canonical_form(path: Path) -> None:
    assert fmt(path.read_text()) == path.read_text()


@pytest.mark.parametrize("path", SITES, ids=names(SITES))
def test_an_editor_with_the_json_schema_accepts_an_example(path: Path) -> None:
    document = yaml.load(path.read_text(), EditorLoader)  # noqa: S506
    Draft202012Validator(json_schema()).validate(document)


def test_every_kind_of_site_has_a_template() -> None:
    for kind, template in TEMPLATES.items():
        policy, _ = meaning(EXAMPLES / f"{template}.yaml")
        assert policy.site == template, kind


@pytest.mark.parametrize("template", sorted(TEMPLATES.values()))
def test_ipv6_is_on_a_par(template: str) -> None:
    """Every inner zone of a template that has IPv4 networks has IPv6 networks, and the other way round."""
    policy, _ = meaning(EXAMPLES / f"{template}.yaml")
    for zone in policy.zones.values():
        assert len({network.version for network in zone.networks}) in (0, 2), zone.name


if __name__ == "__main__":
    for text in TEXTS:
        found, said = meaning(text)
        (GOLDEN / f"{found.site}.txt").write_text(said)
