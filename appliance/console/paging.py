"""A list that is known whole, a page at a time. Pure.

The place behind which the next page begins is the name of the last entry that was given, not a number: what comes or
goes meanwhile neither doubles an entry nor hides one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from appliance.console import problems
from appliance.console.registry import Answer

T = TypeVar("T")


def page(rows: Sequence[T], limit: int, after: str, name: Callable[[T], str]) -> Answer:
    """At most `limit` of `rows` behind the one that is called `after`, "" for the first. Raises `Problem` where that
    one is gone: then the list is asked for anew."""
    start = 0
    if after:
        start = next((place + 1 for place, row in enumerate(rows) if name(row) == after), -1)
        if start < 0:
            raise problems.bad("what this page begins behind is gone; begin again with the first")
    part = rows[start : start + limit]
    return Answer(tuple(part), after=name(part[-1]) if start + limit < len(rows) else "")
