"""The problem that a check of a dataset finds, and its severity."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Problem:
    """A line for the user.

    severity: "error" (the data cannot be used so) or "warning"
    kind: of many of a kind the first are shown; "" for a problem that is alone of its kind
    """

    severity: str
    message: str
    kind: str = ""
