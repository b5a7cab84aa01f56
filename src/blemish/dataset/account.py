"""The account of a dataset's reading: what became of every file and of every annotation that was found.

Files found = used + left out + skipped + notes; annotations found = used + dropped. Whatever a reader does
not claim is left out by name, so nothing is lost without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN = 3  # examples in a warning


@dataclass(frozen=True)
class Account:
    """Files and annotations that reading a dataset found, by what became of them.

    used: files that were read as images, masks, references or labels, relative to the dataset's root
    left_out: images and label files that found no use, each with the reason
    skipped: broken files that were left out on request, each with the reason
    notes: files of other kinds, such as a README
    annotations: number of those used; dropped: place of an annotation that was not used → the reason
    remarks: lines on annotations that were changed or are doubtful
    """

    used: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    annotations: int = 0
    dropped: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        return len(self.used) + len(self.left_out) + len(self.skipped) + len(self.notes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines on what was left out, by reason, with numbers and first examples; then the remarks."""
        files = (lost(names, "file", reason) for reason, names in by_reason(self.left_out).items())
        places = (lost(names, "annotation", reason) for reason, names in by_reason(self.dropped).items())
        return (*files, *places, *self.remarks)

    def line(self) -> str:
        """The account in a line: "24 of 27 files used (2 left out, 1 note); 8 of 9 annotations used"."""
        left_out = len(self.left_out) + len(self.skipped)
        others = [f"{left_out} left out"] if left_out else []
        others += [number(len(self.notes), "note")] if self.notes else []
        rest = f" ({', '.join(others)})" if others else ""
        marks = self.annotations + len(self.dropped)
        return (
            f"{len(self.used)} of {number(self.files, 'file')} used{rest}; "
            f"{self.annotations} of {number(marks, 'annotation')} used"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "used": len(self.used),
            "left_out": dict(self.left_out),
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
            "annotations": self.annotations,
            "dropped": dict(self.dropped),
            "remarks": list(self.remarks),
        }


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(reason, []).append(name)
    return groups


def lost(names: Sequence[str], noun: str, reason: str) -> str:
    """Warning on things that were left out, with their number and first examples."""
    what = "is left out" if len(names) == 1 else "are left out"
    return f"{number(len(names), noun)} {what} ({examples(names)}): {reason}."


def remark(names: Sequence[str], noun: str, text: str) -> str:
    """Warning on things that are doubtful, with their number and first examples."""
    return f"{number(len(names), noun)} ({examples(names)}): {text}."


def examples(names: Sequence[str]) -> str:
    """First names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def number(count: int, noun: str) -> str:
    """Number and noun in the singular or plural: "1 entry", "2 entries", "2 classes"."""
    if count == 1:
        return f"{count} {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{count} {noun[:-1]}ies"
    return f"{count} {noun}es" if noun.endswith(("s", "x", "ch")) else f"{count} {noun}s"
