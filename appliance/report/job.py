"""A report on what was told, as bytes in the format that is wanted: what the console has done aside."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.report import render_csv, render_html, render_pdf
from appliance.report.catalogue import load
from appliance.report.report import make
from appliance.report.told import Told, facts_of

Format = Literal["json", "csv", "pdf"]


class Job(msgspec.Struct, frozen=True):
    """`standards` are the ids of those that are wanted, none for all."""

    told: Told
    format: Format
    standards: tuple[str, ...] = ()


def done(job: Job) -> bytes:
    """Raises `render_pdf.NoTypesetter`."""
    report = make(facts_of(job.told), load(), job.standards, job.told.records)
    match job.format:
        case "json":
            return msgspec.json.encode(report)
        case "csv":
            return render_csv.render(report).encode()
        case "pdf":
            return render_pdf.render(render_html.render(report))
