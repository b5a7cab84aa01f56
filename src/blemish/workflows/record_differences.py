"""Differences between a recorded answer and that of today, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from blemish.errors import BlemishError

# Of a line: what differs from inspection to inspection, and what is compared in its own way.
NOT_COMPARED = frozenset(
    {"schema_version", "id", "at", "image", "timings_ms", "software", "bundles", "error"}
    | {"image_sha256", "pixels_sha256"}
)


class NotReplayedError(BlemishError):
    """A line that cannot be replayed, and why."""


def differences(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields in which two lines differ: the key, and a text with both values."""
    if bool(recorded.get("error")) != bool(found.get("error")):
        yield "error", values(recorded.get("error"), found.get("error"))
    for key in dict.fromkeys((*recorded, *found)):
        if key not in NOT_COMPARED:
            yield from inside(key, recorded.get(key), found.get(key))


def inside(place: str, recorded: Any, found: Any) -> Iterator[tuple[str, str]]:
    """Innermost places at which two plain values differ, and both values. place: key of these two"""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*recorded, *found)):
            yield from inside(f"{place}.{key}", recorded.get(key), found.get(key))
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            yield place, f"recorded {len(recorded)} entries, now {len(found)}"
        for number, (before, now) in enumerate(zip(recorded, found, strict=False)):
            yield from inside(f"{place}[{number}]", before, now)
    elif recorded != found:
        yield place, values(recorded, found)


def values(recorded: Any, found: Any) -> str:
    """Text with both values: "recorded 0.5, now 0.6"."""
    return f"recorded {shown(recorded)}, now {shown(found)}"


def shown(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
