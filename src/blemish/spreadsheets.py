"""Text for tables that spreadsheets open, which none of them runs as a formula."""

from __future__ import annotations

import re

# Beginnings of what a spreadsheet would take for a formula; also in full width, as Japanese ones do.
FORMULA = re.compile("[=+@＝＋－＠-]")


def plain_text(text: str) -> str:
    """The text in one line, behind an apostrophe where it would be a formula.

    Source: OWASP, "CSV Injection".
    """
    line = " ".join(text.splitlines())
    return f"'{line}" if FORMULA.match(line.lstrip()) else line
