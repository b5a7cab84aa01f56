"""Test images are sealed: evaluations on them are counted in the bundle, and the report says how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from blemish.bundle.store import Bundle, sha256
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Dataset
from blemish.decision.decision import Decision
from blemish.decision.usage import Look, count_look, look_at, read_usage, said_of_looks
from blemish.errors import BlemishError
from blemish.evaluation.decided import with_decision
from blemish.evaluation.records import Evaluation
from blemish.evaluation.report import ReportContext


def with_seal(
    evaluation: Evaluation,
    context: ReportContext,
    bundles: Sequence[Bundle],
    chosen: Dataset,
    decisions: Sequence[Decision | None],
) -> tuple[Evaluation, ReportContext]:
    """Evaluation and context with what the decision adds, the look at test images counted where it is one.

    bundles, decisions: several of a chain, in each of which the look is counted under its own decision; the
    metrics have the first one's
    """
    tests = chosen.split("test")
    marks = pictures_digest(tests) if len(tests) else None
    counted = [
        counted_look(bundle, look_now(marks, decision))
        for bundle, decision in zip(bundles, decisions, strict=True)
        if marks is not None
    ]
    several = len(bundles) > 1
    notes = [
        f"{bundle.id}: {note}" if several else note
        for bundle, (_, said) in zip(bundles, counted, strict=False)
        for note in said
    ]
    return (
        with_decision(evaluation, decisions[0], looks=counted[0][0] if counted else None),
        replace(context, notes=(*context.notes, *notes)),
    )


def pictures_digest(tests: Dataset) -> str:
    """What these pictures are known by: by their files alone, as a label put right is no new picture."""
    return sha256("\n".join(image_digests(tests)).encode())


def look_now(data: str, decision: Decision | None) -> Look:
    return look_at(data, decision, date=datetime.now(UTC).isoformat(timespec="seconds"))


def counted_look(loaded: Bundle, look: Look) -> tuple[int, tuple[str, ...]]:
    """Count a look in the bundle's folder: how many there were at these images, and what a report says.

    A folder that cannot be written to is a note and no failure.
    """
    before = read_usage(loaded.path, bundle=loaded.id).looks
    said = said_of_looks(before, look)
    try:
        count_look(loaded.path, look, bundle=loaded.id)
    except BlemishError as error:
        said = (*said, f"This look at the test images could not be counted in the bundle: {error}")
    return sum(one.data == look.data for one in before) + 1, said
