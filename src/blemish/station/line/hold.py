"""Reasons for which a line is on hold: it inspects nothing until all of them are gone."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Hold:
    """Reasons by their kind, such as "space" or "operator". told: called with "hold" or "ready", and why"""

    def __init__(self, told: Callable[[str, str], None]) -> None:
        self.told = told
        self.reasons: dict[str, str] = {}
        self.lock = Lock()

    def __bool__(self) -> bool:
        return bool(self.reasons)

    @property
    def state(self) -> str:
        """The state of the line in a word: "hold" or "ready"."""
        return "hold" if self.reasons else "ready"

    @property
    def why(self) -> str:
        """The reasons as one text; "" where the line is ready."""
        return " ".join(dict(self.reasons).values())

    def set(self, kind: str, why: str) -> None:
        """Hold the line for a reason; one of that kind again changes its words alone."""
        with self.lock:
            new = kind not in self.reasons
            self.reasons[kind] = why
        if new:
            self.told("hold", why)

    def clear(self, kind: str, why: str) -> None:
        """Take a reason away, if it is there. why: it is gone"""
        with self.lock:
            gone = self.reasons.pop(kind, None) is not None
            left = self.why
        if gone:
            self.told(self.state, f"{why} {left}".strip())
