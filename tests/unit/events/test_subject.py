"""Which lines name an address, however it is written."""

from __future__ import annotations

import pytest

from appliance.events.subject import naming, of_keys, spellings
from crypto import pseudonyms


@pytest.mark.parametrize(
    ("address", "line", "named"),
    [
        ("10.20.0.1", b'{"src_ip":"10.20.0.1"}', True),
        ("10.20.0.1", b"it was 10.20.0.1.", True),
        ("10.20.0.1", b"http://10.20.0.1:80/", True),
        ("10.20.0.1", b'{"src_ip":"10.20.0.11"}', False),
        ("10.20.0.1", b'{"src_ip":"110.20.0.1"}', False),
        ("10.20.0.1", b'{"src_ip":"9.10.20.0.1"}', False),
        ("10.20.0.1", b'{"src_ip":"10.20.0.1.5"}', False),
        ("10.20.0.1", b'{"src_ip":"10x20y0z1"}', False),
        ("2001:db8::1", b'"2001:0db8:0000:0000:0000:0000:0000:0001"', True),
        ("2001:0DB8:0::1", b'"2001:DB8::1"', True),
        ("2001:db8::1", b'"2001:db8::11"', False),
        ("2001:db8::1", b'"a:2001:db8::1"', False),
    ],
)
def test_a_line_names_an_address_or_one_like_it(address: str, line: bytes, named: bool) -> None:
    assert naming(spellings(address))(line) is named


def test_a_host_has_a_pseudonym_under_each_key() -> None:
    words = of_keys("10.20.0.1", [b"a" * 32, b"b" * 32])
    assert len(set(words)) >= 2
    assert all(pseudonyms.canonical(word).startswith("fd") for word in words)
    assert of_keys("10.20.0.1", []) == ()
