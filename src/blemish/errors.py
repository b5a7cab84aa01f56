"""The one exception that means "the user can mend this": its text is a single line that says how."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BlemishError(Exception):
    """Names the file or setting, what was received and what to do. The command line prints it and exits 1."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """' Did you mean X?' for an error text, or '' when nothing known is near."""
    matches = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{matches[0]}'?" if matches else ""
