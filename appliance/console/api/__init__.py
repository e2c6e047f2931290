"""The API of the console, a module for each noun. `NOUNS` has each of them once."""

from __future__ import annotations

from types import ModuleType

from appliance.console.api import (
    accounts,
    alerts,
    asking,
    audit,
    calendar,
    consumers,
    drafts,
    flows,
    generations,
    inspection,
    lines,
    links,
    live,
    me,
    proposals,
    report,
    rules,
    sessions,
    status,
    tokens,
    why,
    workshop,
)

NOUNS: tuple[ModuleType, ...] = (
    live,
    status,
    drafts,
    workshop,
    proposals,
    report,
    rules,
    generations,
    calendar,
    why,
    inspection,
    lines,
    flows,
    alerts,
    me,
    sessions,
    tokens,
    accounts,
    links,
    asking,
    audit,
    consumers,
)
