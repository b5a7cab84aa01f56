"""Test images are sealed: each evaluation on them is counted in the bundle, and the report says how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from blemish.bundle.store import Bundle, sha256
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Dataset
from blemish.decision.decision import Decision
from blemish.decision.usage import TestSetAccess, access_sentences, access_under, count_access, read_usage
from blemish.errors import BlemishError
from blemish.evaluation.decided import with_decision
from blemish.evaluation.records import Evaluation
from blemish.evaluation.report import ReportContext


def record_test_set_access(
    evaluation: Evaluation,
    context: ReportContext,
    bundles: Sequence[Bundle],
    chosen: Dataset,
    decisions: Sequence[Decision | None],
) -> tuple[Evaluation, ReportContext]:
    """Count the access in each bundle where test images were measured.

    bundles, decisions: several of a chain, each counted under its own decision
    returns: evaluation and context, with the figures of the first decision and notes on the counts
    """
    tests = chosen.split("test")
    counted = []
    if len(tests):
        # Known by their files alone, as a label put right makes no new image.
        digest = sha256("\n".join(image_digests(tests)).encode())
        date = datetime.now(UTC).isoformat(timespec="seconds")
        counted = [
            counted_access(bundle, access_under(digest, decision, date=date))
            for bundle, decision in zip(bundles, decisions, strict=True)
        ]
    several = len(bundles) > 1
    notes = [
        f"{bundle.id}: {note}" if several else note
        for bundle, (_, sentences) in zip(bundles, counted, strict=False)
        for note in sentences
    ]
    return (
        with_decision(evaluation, decisions[0], num_accesses=counted[0][0] if counted else None),
        replace(context, notes=(*context.notes, *notes)),
    )


def counted_access(bundle: Bundle, access: TestSetAccess) -> tuple[int, tuple[str, ...]]:
    """Count an access in the bundle's folder; returns how many there were to these images, and sentences.

    A folder that cannot be written to is a note and no failure.
    """
    before = read_usage(bundle.path, bundle=bundle.id).looks
    sentences = access_sentences(before, access)
    try:
        count_access(bundle.path, access, bundle=bundle.id)
    except BlemishError as error:
        sentences = (
            *sentences,
            f"This evaluation on test images could not be counted in the bundle: {error}",
        )
    return sum(earlier.data == access.data for earlier in before) + 1, sentences
