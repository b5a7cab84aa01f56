"""What a report says where several bundles were measured as a chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.decision.sentences import sentences

if TYPE_CHECKING:
    from blemish.bundle.store import Bundle
    from blemish.evaluation.report import ReportContext
    from blemish.inspector.inspector import Inspector

READING = (
    "Several bundles were asked one after the other. Score, AUROC and thresholds are the first one's; the "
    "others can only send an image to a person. An image that a gate passed is without defects, severity 0, "
    "in every figure."
)


def decisions_of_later(stages: Sequence[Inspector]) -> tuple[str, ...]:
    """A sentence on the decision of each stage behind the first, as its limits make no verdict here."""
    return tuple(
        f"{stage.bundle} has a decision of its own: what it ignores is ignored and what it grades is graded, "
        f"but its thresholds and limits make no verdict here. {' '.join(sentences(stage.decision))}"
        for stage in stages[1:]
        if stage.decision is not None
    )


def of_chain(first: ReportContext, stages: Sequence[Bundle], places: Sequence[Path]) -> ReportContext:
    """The context of the first bundle's report, made that of the whole chain; unchanged for one bundle.

    stages: bundles in their order; places: their folders as the user gave them
    """
    if len(stages) == 1:
        return first
    manifests = [stage.manifest for stage in stages]
    return replace(
        first,
        title=f"{first.title}, as the first of {len(stages)} bundles",
        method="+".join(manifest.method for manifest in manifests),
        bundle_name=" + ".join(map(str, places)),
        bundle_hash="+".join(stage.id for stage in stages),
        settings={
            f"{manifest.method}.{key}": value
            for manifest in manifests
            for key, value in manifest.settings.items()
        },
        training=None,
        threshold_sweep=None,
        notes=(READING, *first.notes),
        noticed=tuple(note for manifest in manifests for note in manifest.notes),
    )
