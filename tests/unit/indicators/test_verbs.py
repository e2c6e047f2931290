"""`reef indicators`: what is shown of an indicator, and what a document looks like."""

from __future__ import annotations

import pytest

from appliance.commands.indicators import format_of, rows_of
from appliance.control.messages.indicators import IndicatorInfo


@pytest.mark.parametrize(
    ("document", "form"),
    [
        (b'{"type": "bundle", "objects": []}', "stix"),
        (b' [{"type": "indicator"}]', "stix"),
        (b'{"Event": {"Attribute": []}}', "misp"),
        (b'{"response": []}', "misp"),
        (b'[{"Event": {}}]', "misp"),
        (b"{broken", "stix"),
        (b"[" * 100_000, "stix"),
        (b"198.51.100.1\n", "csv"),
        (b"value,type\nevil.example,domain\n", "csv"),
        (b"", "csv"),
    ],
)
def test_what_a_document_looks_like(document: bytes, form: str) -> None:
    assert format_of(document) == form


def test_each_value_has_a_row_and_says_why_it_is_not_stronger() -> None:
    info = IndicatorInfo(
        "indicator--1", "csirt", "a name", "TLP:AMBER", 90,
        (("address", "8.8.8.8", "alert", "gate and ruleset"), ("domain", "c2.example", "block", "inspection")),
        (("8.8.8.8", "never blocked: Resolvers"), ("", "for all")), 1.0, 0.0, 7, 2.0,
    )  # fmt: skip
    rows = rows_of(info)
    assert [row[:5] for row in rows] == [
        ("8.8.8.8", "alert", "gate and ruleset", "csirt", "90"),
        ("c2.example", "block", "inspection", "csirt", "90"),
    ]
    assert [row[9] for row in rows] == ["never blocked: Resolvers; for all", "for all"]


def test_an_indicator_that_names_nothing_is_a_row_too() -> None:
    info = IndicatorInfo(
        "indicator--1", "csirt", "", "TLP:CLEAR", None, (), (("", "it looks back in time"),), 1.0, 0.0
    )
    ((value, mode, where, _, sure, *_, why, _),) = rows_of(info)
    assert (value, mode, where, sure, why) == ("indicator--1", "none", "", "", "it looks back in time")
