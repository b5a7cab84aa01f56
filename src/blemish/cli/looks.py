"""Test images are sealed: evaluations on them are counted in the bundle, and the report says how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from blemish.bundle.store import Bundle
from blemish.dataset.fingerprint import fingerprint
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
    decision: Decision | None,
) -> tuple[Evaluation, ReportContext]:
    """Evaluation and context with what the decision adds, the look at test images counted where it is one.

    bundles: several of a chain, in each of which the look is counted; the first one's count is told
    """
    look = look_at_tests(chosen, decision, data_fingerprint=context.data_fingerprint)
    counted = [] if look is None else [counted_look(bundle, look) for bundle in bundles]
    notes = dict.fromkeys(note for _, said in counted for note in said)
    return (
        with_decision(evaluation, decision, looks=counted[0][0] if counted else None),
        replace(context, notes=(*context.notes, *notes)),
    )


def look_at_tests(chosen: Dataset, decision: Decision | None, *, data_fingerprint: str) -> Look | None:
    """The look that an evaluation on these images is; None where none of them is a test image.

    data_fingerprint: of all these images
    """
    tests = chosen.split("test")
    if not len(tests):
        return None
    digest = data_fingerprint if len(tests) == len(chosen) else fingerprint(tests)
    return look_at(digest, decision, date=datetime.now(UTC).isoformat(timespec="seconds"))


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
