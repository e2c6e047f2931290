"""Names of DNS: the domain that somebody registered, what the rest of the name could carry, and how
made-up it looks.
"""

from __future__ import annotations

from itertools import pairwise
from math import log2

# Second labels under which, in a country's domain, the third is what is registered. The list of all public suffixes
# would say it exactly; what is told per domain here needs no more than not to take co.uk for somebody's name.
_SECOND = frozenset({"ac", "co", "com", "edu", "gob", "gouv", "gov", "govt", "gv", "mil", "ne", "net", "nom", "or",
                     "org", "sch"})  # fmt: skip
_COMMON_TEXT = """
    th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri
    ro ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut
    ss so rs un lo wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi
    ci vi pl ig tu ev ld ry mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag ap gr do bo sp rd
"""
_COMMON = frozenset(_COMMON_TEXT.split())
_LEAST_LABEL = 7  # characters: shorter ones look like anything
_COMMON_SHARE = 0.36
_SWITCHES = 4  # between letters and digits
_REVERSE = ("in-addr.arpa", "ip6.arpa")


def plain(name: str) -> str:
    return name.rstrip(".").lower()


def registered(name: str) -> str:
    """The part of a name that was registered: `example.co.uk` of `www.example.co.uk`. "" for a single label."""
    labels = plain(name).split(".")
    if len(labels) < 2:
        return ""
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND else 2
    return ".".join(labels[-keep:])


def is_reverse(name: str) -> bool:
    return plain(name).endswith(_REVERSE)


def entropy(text: str) -> float:
    """Bits per character."""
    if not text:
        return 0.0
    counts = [text.count(letter) for letter in set(text)]
    return -sum(count / len(text) * log2(count / len(text)) for count in counts)


def made_up(domain: str) -> bool:
    """Does the registered label look as if nobody had thought of it? In words of people most pairs of neighbouring
    letters are of the few that are common in European languages; drawn at random, one in five is."""
    label = plain(domain).split(".", 1)[0]
    if label.startswith("xn--") or len(label) < _LEAST_LABEL:
        return False
    switches = sum(one.isdigit() != other.isdigit() for one, other in pairwise(label))
    if switches >= _SWITCHES:
        return True
    pairs = [one + other for one, other in pairwise(label) if one.isalpha() and other.isalpha()]
    return bool(pairs) and sum(pair in _COMMON for pair in pairs) < _COMMON_SHARE * len(pairs)
