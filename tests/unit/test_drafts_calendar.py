"""Every date of a text, in order."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from appliance.drafts.calendar import entries
from appliance.drafts.grid import RowCache, grid

ZONE = ZoneInfo("America/Belize")
TEXT = """\
reef: 1
site: s
timezone: America/Belize
schedules:
  harvest: {times: mon-fri 06:00-18:00, until: 2027-06-30}
suppressions:
  - {id: S-1, signatures: sid 5, expires: 2027-01-05, owner: it, why: loud}
risks:
  - {id: T-1, threat: fire, assets: [x], likelihood: low, impact: high, owner: director, review: 2027-01-31}
publish:
  - {id: P-1, from: internet, address: 1.2.3.4, service: https, to: 10.0.0.1, owner: web, review: 2027-02-01}
rules:
  - {id: R-1, from: lan, to: dmz, action: allow, owner: it, why: w, expires: 2027-01-02T17:00, review: 2026-12-01}
  - {id: R-2, from: lan, to: dmz, action: allow, expires: 2026-11-01, review: 2026-10-01}
  - {id: R-3, from: lan, to: dmz, action: allow, expires: some day, review: 2027-02-30}
  - {id: R-4, from: lan, to: dmz, action: allow}
"""


def test_dates_are_told_in_order_with_who_answers_for_them() -> None:
    known = grid(TEXT, {}, RowCache())
    now = datetime(2026, 11, 22, tzinfo=ZONE).timestamp()
    found = [
        (f"{datetime.fromtimestamp(one.at, ZONE):%Y-%m-%d %H:%M}", one.kind, one.what, one.owner)
        for one in entries(known.rules, known.site, ZONE, now)
    ]
    assert found == [
        ("2026-11-02 00:00", "ended", "rule R-2", ""),
        ("2026-12-02 00:00", "review", "rule R-1", "it"),
        ("2027-01-02 17:00", "expires", "rule R-1", "it"),
        ("2027-01-06 00:00", "expires", "suppression S-1", "it"),
        ("2027-02-01 00:00", "review", "risk T-1", "director"),
        ("2027-02-02 00:00", "review", "published service P-1", "web"),
        ("2027-07-01 00:00", "expires", "schedule harvest", ""),
    ]
