"""What was done before there was a setting for it, where that is not the setting's default.

A bundle, a run or a row of a table that does not know a setting is older than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BEFORE: Mapping[str, Mapping[str, Any]] = {"casae": {"standardise": False, "types_standardise": False}}


def completed(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings of a method, and behind them what was done in place of those that they do not know."""
    before = BEFORE.get(method, {})
    return {**settings, **{name: before[name] for name in before if name not in settings}}
