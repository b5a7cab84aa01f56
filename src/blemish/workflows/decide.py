"""Deciding: from a bundle and a calibration split to a new revision of its decision.yaml."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blemish.bundle.manifest import StoredOperatingPoint
from blemish.bundle.store import DECISION, Bundle, load_bundle
from blemish.dataset.account import number
from blemish.dataset.fingerprint import fingerprint, image_digests
from blemish.dataset.ignored import sentences_on_ignored
from blemish.dataset.opening import naming_the_option
from blemish.dataset.quality.leaks import refuse_leaks
from blemish.dataset.samples import Dataset
from blemish.decision.decision import Decision
from blemish.decision.rules import Chosen, Grade, Ignored, Limit, Thresholds, figure
from blemish.decision.sentences import rules_digest, rules_in_words
from blemish.decision.store import next_revision, refuse_unfit, stored_decision, write_decision
from blemish.decision.usage import read_usage
from blemish.errors import BlemishError
from blemish.evaluation.calibration import Calibration, calibrated, hidden_defects
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint
from blemish.evaluation.review_band import default_rules
from blemish.evaluation.run import evaluate_samples, for_bundle, notes_on_groups, split_to_evaluate
from blemish.evaluation.stored import regions_in_words
from blemish.evaluation.truth import sentences_on_lost_places
from blemish.folder_lock import one_at_a_time, refuse_bundle
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import labels_of
from blemish.progress import Reporter
from blemish.workflows.decide_rules import Rules
from blemish.workflows.reading import read_dataset
from blemish.workflows.scale import inspector_in_scale, notes_on_scale

OPTIONS = {"limits": "--limit", "ignore": "--ignore", "grades": "--grade"}
CHOSEN_HERE = (
    "The thresholds were chosen on these very images, so new parts fare somewhat worse: measure them with "
    "`blemish evaluate` on test images."
)


@dataclass(frozen=True)
class DecideRequest:
    """A decision to be made for a bundle on calibration images.

    split: None is "val" where the data have one, else "all"; out: None is decision.yaml in the bundle
    limits, ignore, grades: None keeps those of the revision before
    skip_broken: leave out broken files, each with a line, and note their number in the decision
    """

    bundle: Path
    data: Path
    rules: Rules
    split: str | None = None
    limits: tuple[Limit, ...] | None = None
    ignore: tuple[Ignored, ...] | None = None
    grades: tuple[Grade, ...] | None = None
    out: Path | None = None
    mm_per_px: float | None = None
    device: str = "auto"
    skip_broken: bool = False


@dataclass(frozen=True)
class DecideResult:
    """A decision and the file it was written to. sentences: its rules, and their cost on the images"""

    decision: Decision
    file: Path
    sentences: tuple[str, ...]


def decide(request: DecideRequest, *, quiet: bool = False) -> DecideResult:
    """Choose thresholds on calibration images and write the decision as a new revision.

    Raises BlemishError for images that the bundle was trained on, test images, and what cannot be followed.
    """
    loaded = load_bundle(request.bundle)
    own = loaded.path / DECISION
    file = request.out or own
    if os.path.realpath(file) != os.path.realpath(own):
        refuse_bundle(file, Path(os.path.realpath(file.parent)))
    with one_at_a_time(file, seconds=0.0):  # or two would have the same revision
        return written_decision(request, loaded, file, Reporter(quiet=quiet))


def written_decision(request: DecideRequest, loaded: Bundle, file: Path, reporter: Reporter) -> DecideResult:
    """Decision that was written to the file."""
    before = stored_decision(loaded.path, bundle=loaded.id)
    dataset = read_dataset(request.data, reporter, skip_broken=request.skip_broken)
    inspector = inspector_in_scale(
        loaded, dataset, device=request.device, mm_per_px=request.mm_per_px, decided=False
    )
    draft = drafted(request, before, inspector, loaded)
    chosen, notes = calibration_images(request, dataset, loaded, inspector)
    if dataset.skipped:
        notes += (f"{number(len(dataset.skipped), 'broken file')} of {request.data} left out.",)
    for note in (*notes, *notes_on_tests(loaded)):
        reporter.line(f"warning: {note}")
    every_finding = replace(inspector, limited=False)
    with naming_the_option(chosen):
        records = evaluate_samples(every_finding, chosen, reporter, title="calibrating").records
    for note in sentences_on_lost_places(records):
        reporter.line(f"warning: {note}")
    hidden = hidden_defects(
        draft, records, mm_per_px=inspector.scale, classifies=inspector.inference.classifies
    )
    any_defective = bool(image_scores(records)[1].any())
    review_rule = request.rules.review or default_rules(any_defective=any_defective)[1]
    decision, point = calibrated(records, draft, calibration(request, loaded, inspector, review_rule))
    point = replace(point, notes=(*hidden, *point.notes))
    origin = how_chosen(request, chosen, decision, point, notes, review_rule=review_rule)
    decision = decision.model_copy(update={"chosen": origin})
    earlier = write_decision(file, decision)
    regions = regions_in_words(loaded.manifest)
    return DecideResult(decision, file, (*sentences(decision, point, earlier), *regions))


def drafted(
    request: DecideRequest, before: Decision | None, inspector: BundleInspector, loaded: Bundle
) -> Decision:
    """New revision, still without thresholds; rules that were not given are those of the revision before."""
    old = before or Decision(revision=1, bundle=loaded.id, score=Thresholds())
    requested = {
        "limits": request.limits,
        "ignore": request.ignore,
        "grades": request.grades,
        "costs": request.rules.costs,
    }
    draft = old.model_copy(
        update={
            "revision": next_revision(
                request.out or loaded.path / DECISION, before.revision if before else 0
            ),
            "classes": {},
            "mm_per_px": inspector.mm_per_px,
            **{name: value for name, value in requested.items() if value is not None},
        }
    )
    labels = labels_of(inspector.inference, loaded.manifest)
    refuse_unfit(
        draft,
        str(loaded.path / DECISION),
        labels=labels,
        scale=inspector.scale,
        severity_max=inspector.inference.score_map_max,
        options={key: option for key, option in OPTIONS.items() if requested[key] is not None},
    )
    return draft


def calibration_images(
    request: DecideRequest, dataset: Dataset, loaded: Bundle, inspector: BundleInspector
) -> tuple[Dataset, tuple[str, ...]]:
    """Images to calibrate on, and notes on them.

    Raises BlemishError where there are none, for test images, under whatever name, and for images that the
    bundle learned from.
    """
    split = split_of(request, dataset)
    chosen = split_to_evaluate(dataset, split)
    refuse_test(chosen, request.data)
    refuse_leaks(dataset.where(lambda sample: sample.split in ("test", split)))
    chosen, left_out = for_bundle(
        chosen, loaded.manifest, loaded.id, classifies=inspector.inference.classifies
    )
    notes = (*notes_on_validation_images(chosen, loaded, request.data), *notes_on_groups(chosen))
    return chosen, (*left_out, *notes, *notes_on_scale(inspector, dataset), *sentences_on_ignored(chosen))


def split_of(request: DecideRequest, dataset: Dataset) -> str:
    return request.split or ("val" if "val" in dataset.splits else "all")


def refuse_test(chosen: Dataset, data: Path) -> None:
    tests = len(chosen.split("test"))
    if tests:
        raise BlemishError(
            f"{data}: {tests} of {len(chosen)} images are of the split 'test', which must stay unseen: "
            "thresholds chosen on it prove nothing. Calibrate with --split val or on other images."
        )


def notes_on_validation_images(chosen: Dataset, loaded: Bundle, data: Path) -> tuple[str, ...]:
    """Note on images that were validation images of the training.

    Raises BlemishError for training images, whatever split they lie in now: the bundle knows them too well.
    """
    known, digests = loaded.manifest.data, set(image_digests(chosen))
    validated = len(digests & set(known.get("validated_on", ())))
    if trained := len(digests & set(known.get("trained_on", ()))):
        raise BlemishError(
            f"{data}: {trained} of {len(chosen)} images were used to train bundle {loaded.id}, so it scores "
            "them better than new parts. Calibrate on images that are new to it, or with --split val on "
            "the split that it was trained with."
        )
    if not validated:
        return ()
    return (
        f"{validated} of {len(chosen)} images were validation images of the training, which chose "
        "thresholds on them: new parts may escape somewhat more often. Fresh images would be better.",
    )


def notes_on_tests(loaded: Bundle) -> tuple[str, ...]:
    accesses = len(read_usage(loaded.path, bundle=loaded.id).looks)
    if not accesses:
        return ()
    times = "once" if accesses == 1 else f"{accesses} times"
    return (
        f"the bundle was evaluated {times} on test images: if that is why the decision is changed, figures "
        "on them are no longer those of unseen data.",
    )


def calibration(
    request: DecideRequest, loaded: Bundle, inspector: BundleInspector, review_rule: str
) -> Calibration:
    inference = inspector.inference
    return Calibration(
        request.rules.ng,
        review_rule,
        class_names=loaded.manifest.class_names if inference.classifies else (),
        without_defects=inspector.without_defects,
        iou_score=inference.threshold_score,
    )


def how_chosen(
    request: DecideRequest,
    chosen: Dataset,
    decision: Decision,
    point: OperatingPoint,
    notes: tuple[str, ...],
    *,
    review_rule: str,
) -> Chosen:
    stored = replace(point, notes=(*point.notes, *notes)).to_json()
    return Chosen(
        data=str(request.data),
        split=split_of(request, chosen),
        data_fingerprint=fingerprint(chosen),
        images=len(chosen),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        review_rule=review_rule,
        point=StoredOperatingPoint.model_validate(stored),
        seen=tuple(image_digests(chosen)),
        rules=rules_digest(decision),
    )


def sentences(decision: Decision, point: OperatingPoint, earlier: Path | None) -> list[str]:
    """Sentences on the rules, their cost on the calibration images, and what that does not show.

    earlier: file of the revision before
    """
    old = f"; the one before is kept in {earlier}" if earlier else ""
    lines = [f"Revision {decision.revision} of the decision{old}.", *rules_in_words(decision)]
    lines += [
        f"Defective images: {point.escapes.sentence('passed')}.",
        f"Clean images: {point.overkill.sentence('rejected')}.",
        f"REVIEW, for a person: {point.review.n} of {point.review.of} images; a defective one among them "
        "counts as not passed.",
    ]
    if decision.costs:
        cost = decision.costs.escape * point.escapes.n + decision.costs.overkill * point.overkill.n
        lines.append(f"Cost on these images: {figure(cost)}.")
    return [*lines, *point.notes, CHOSEN_HERE]
