"""The report as PDF, by WeasyPrint from the HTML page. Nothing is fetched, and the same page gives the same bytes.

WeasyPrint is an optional part (`pip install reef-gateway[report]`, and Debian's libpango): a gateway need not carry
fonts and a typesetter.
"""

from __future__ import annotations

import hashlib
from typing import Any


class NoTypesetter(Exception):
    """WeasyPrint or its native libraries are not here; the text says which and what to do."""


def render(page: str) -> bytes:
    """The page as PDF/UA-1 (tagged, for screen readers). Raises `NoTypesetter`."""
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except ImportError as error:
        raise NoTypesetter(
            "WeasyPrint is not installed here; install reef-gateway[report], or make the PDF elsewhere: "
            "reef report --format json > report.json, and there: reef report --read report.json --format pdf"
        ) from error
    except OSError as error:  # it loads pango and harfbuzz when it is imported
        raise NoTypesetter(
            f"a library is missing: {error.args[0]}; apt install libpango-1.0-0 libpangoft2-1.0-0"
        ) from error
    identifier = hashlib.sha256(page.encode()).digest()[:16]
    # No protocol is allowed: a page that wanted something from elsewhere is a mistake of ours, and ends here.
    nothing = URLFetcher(allowed_protocols=(), fail_on_errors=True)
    document: Any = HTML(string=page, url_fetcher=nothing)
    pdf: bytes = document.write_pdf(pdf_identifier=identifier, pdf_variant="pdf/ua-1")
    return pdf
