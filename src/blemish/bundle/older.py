"""What was done before there was a setting for it, where that is not the setting's default.

A bundle, a run or a row of a table that does not know a setting is older than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

BEFORE: Mapping[str, Mapping[str, Any]] = {"casae": {"standardise": False, "types_standardise": False}}


def unsaid(method: str, settings_type: type[BaseModel]) -> dict[str, Any]:
    """What each setting of a method was where stored settings do not know it: its default, or `BEFORE`."""
    return {**settings_type().model_dump(mode="json"), **BEFORE.get(method, {})}


def completed(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Stored settings of a method, and behind them what was done in place of those that they do not know."""
    before = BEFORE.get(method, {})
    return {**settings, **{name: before[name] for name in before if name not in settings}}
