"""Report on a class added to a bundle: its similarity to the other classes, and its effect on them.

A JSON file for programs and an HTML file for people, with the same figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blemish.evaluation.before_after import ClassChange
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.report.html import style, template
from blemish.files import write_atomically
from blemish.methods.capabilities import ClassSimilarity, ClassThreshold, ExampleOutcome

SCHEMA = 1


@dataclass(frozen=True)
class EnrolmentReport:
    """Content of the report on a new class.

    examples: ids of its boxes; seconds: until the bundle was written, without the check
    trained: True for a class added by a short training, else by its examples' embeddings alone
    similarities, outcomes, held_out, threshold: see `capabilities.Enrolment`; none after training
    changes: on the images of `checked`, none without a check
    """

    name: str
    bundle: str
    parent: str
    examples: tuple[str, ...]
    seconds: float
    trained: bool = False
    similarities: tuple[ClassSimilarity, ...] = ()
    outcomes: tuple[ExampleOutcome, ...] = ()
    held_out: bool = False
    threshold: ClassThreshold | None = None
    changes: tuple[ClassChange, ...] = ()
    checked: str = ""
    sentences: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def write_enrolment_report(folder: Path, report: EnrolmentReport) -> None:
    """Write report.html and enrolment.json."""
    write_atomically(
        folder / "enrolment.json", json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
    )
    page = template("enrolment.html.j2").render(
        report=report, style=style(), figures=figure_rows(report.changes)
    )
    write_atomically(folder / "report.html", page)


def threshold_sentences(name: str, threshold: ClassThreshold | None) -> list[str]:
    """Sentences on a class's own threshold: what it lets pass and finds, with bounds; none without one."""
    if threshold is None:
        return []
    lines = []
    if threshold.without:
        bound = proportion_bound(threshold.alarmed, threshold.without)
        lines.append(
            f"'{name}' has a threshold of its own. With it, {threshold.alarmed} of {threshold.without} "
            f"images without it show a finding (true share at most {100 * bound.upper95:.0f} %), "
            f"{threshold.false} in all; of training images, a part of the regions was looked at."
        )
    if threshold.left_out:
        bound = proportion_bound(threshold.found, threshold.left_out)
        lines.append(
            f"Threshold of '{name}': of {threshold.left_out} left-out examples it lets "
            f"{threshold.found} be found (true share {100 * bound.lower95:.0f} to "
            f"{100 * bound.upper95:.0f} %), among {threshold.false_left_out} findings that "
            f"meet none on their {threshold.left_out_images} images."
        )
        if not threshold.found:
            lines.append(
                f"warning: '{name}' is hardly told from what it is not, and will seldom be found. Give more "
                "examples or good parts (--good), or let more false findings pass (--alarms)."
            )
    return lines


def figure_rows(changes: Sequence[ClassChange]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Name of each class, what it lost, and its figures before and after, as text."""
    return [
        (
            change.label,
            lost_text(change.lost),
            [
                (
                    shown(None if change.before is None else getattr(change.before, name), name),
                    shown(getattr(change.after, name), name),
                )
                for name in ("ap50", "found", "confused", "missed", "alarms")
            ],
        )
        for change in changes
    ]


def lost_text(lost: ProportionBound | None) -> str:
    """Defects that are found no more, with the bounds of their share; a dash for a new class."""
    if lost is None or not lost.of:
        return "–"
    return f"{lost.n} of {lost.of} ({100 * lost.lower95:.3g} to {100 * lost.upper95:.3g} %)"


def shown(value: float | None, name: str) -> str:
    """A figure as text, AP50 in per cent; a dash for None."""
    if value is None:
        return "–"
    return f"{100 * value:.1f}" if name == "ap50" else f"{value}"
