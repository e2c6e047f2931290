"""A foreign page cannot make a browser change anything."""

from __future__ import annotations

import pytest

from appliance.console.forgery import why_not

HOST = "gateway.health.example:8444"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Reef": "1", "Sec-Fetch-Site": "same-origin"},
        {"X-Reef": "1", "Origin": f"https://{HOST}"},
        {"X-Reef": "1", "Sec-Fetch-Site": "same-origin", "Origin": f"https://{HOST}"},
    ],
)
def test_our_own_page_may(headers: dict[str, str]) -> None:
    assert why_not(headers, HOST) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Reef": "1"},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-Reef": "0", "Sec-Fetch-Site": "same-origin"},
        {"X-Reef": "1", "Sec-Fetch-Site": "same-site"},
        {"X-Reef": "1", "Sec-Fetch-Site": "cross-site", "Origin": f"https://{HOST}"},
        {"X-Reef": "1", "Sec-Fetch-Site": "none"},
        {"X-Reef": "1", "Origin": "https://gateway.health.example"},
        {"X-Reef": "1", "Origin": f"http://{HOST}"},
        {"X-Reef": "1", "Origin": "null"},
        {"X-Reef": "1", "Origin": f"https://{HOST}.evil.example"},
    ],
)
def test_others_may_not(headers: dict[str, str]) -> None:
    assert why_not(headers, HOST)
