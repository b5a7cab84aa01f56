"""Marks in a graph's file: the bundle that it was exported from, its name in that bundle, and its opset.

By them a graph that was put into a bundle by hand, with its hash, is told from the bundle's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from blemish.bundle.manifest import StoredRuntime
from blemish.errors import BlemishError

NAMESPACE = "blemish"


class Marks(NamedTuple):
    """Marks of a graph, None where missing. source: id of the bundle that it was exported from"""

    source: str | None
    graph: str | None
    opset: int | None


def refuse_other_names(file: Path, kind: str, stored: Sequence[str], found: Sequence[str]) -> None:
    """Raise BlemishError where a graph lacks an input or output of the manifest. kind: for the message"""
    lacking = [name for name in stored if name not in found]
    if lacking:
        raise BlemishError(
            f"{file} must have the {kind} {', '.join(stored)}, as the manifest says. "
            f"Received: {', '.join(found) or 'none'}. Export the bundle again."
        )


def refuse_foreign(marks: Marks, name: str, runtime: StoredRuntime, file: Path) -> None:
    """Raise BlemishError for a graph of another bundle, under another name or of another opset."""
    expected = Marks(runtime.source, name, runtime.opset)
    if marks.source != expected.source:
        raise BlemishError(
            f"{file} must be exported from {expected.source}, as its bundle was. "
            f"Received: a graph of {marks.source or 'an unnamed bundle'}. Export the bundle again."
        )
    if marks.graph != expected.graph:
        raise BlemishError(
            f"{file} must be the graph '{expected.graph}'. Received: '{marks.graph}'. "
            "Export the bundle again."
        )
    if marks.opset != expected.opset:
        raise BlemishError(
            f"{file} must have opset {expected.opset}, as the manifest says. Received: {marks.opset}. "
            "Export the bundle again."
        )
