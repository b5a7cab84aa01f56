"""Evaluation of predictions like a bundle, with thresholds from validation images where these are covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blemish.dataset.ignored import sentences_on_ignored
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose, given_point
from blemish.evaluation.predictions.coco import read_coco
from blemish.evaluation.predictions.contract import Predictions
from blemish.evaluation.predictions.inspections import read_inspections
from blemish.evaluation.predictions.maps import list_maps
from blemish.evaluation.predictions.scores import read_scores
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.evaluation.run import add, split_to_evaluate
from blemish.evaluation.truth import sentences_on_lost_places
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.inspector import with_defects
from blemish.progress import Reporter
from blemish.ranks import auroc

DEFAULT_THRESHOLD = 0.5
DEFAULT_RULE = "f1"
METHOD = "predictions"
INVERTED = 0.25  # area under the curve below which scores are worse than chance can make them


@dataclass(frozen=True)
class Judgement:
    """Options for the verdicts of predictions; None leaves the choice to `settle`.

    threshold: score from which on an image is NG, and a pixel or box a defect
    rule: of the operating point that is chosen on validation images
    none_found: True where an image without predictions counts as one without findings
    """

    threshold: float | None = None
    rule: str | None = None
    none_found: bool = False


@dataclass(frozen=True)
class PredictionThresholds:
    """Thresholds in use. pixel: on pixels and boxes; note: sentence on how they were chosen

    own_verdicts: True where the file's verdicts are kept; by_val: True where validation images chose them
    """

    point: OperatingPoint
    pixel: float
    note: str
    own_verdicts: bool = False
    by_val: bool = False

    def judge(self, inspection: Inspection) -> Inspection:
        """The inspection with the verdict that follows from its score, unless the file's own is kept.

        As of a bundle, what was found in an image that is OK is no defect.
        """
        if not self.own_verdicts and inspection.score is not None:
            inspection = replace(inspection, verdict=self.point.verdict(inspection.score))
        if inspection.verdict is not Verdict.OK or not inspection.defects:
            return inspection
        under, maps = (*inspection.defects, *inspection.under_limit), inspection.maps
        return replace(inspection, defects=(), under_limit=under, maps=with_defects(maps, (), len(under)))


def read_predictions(path: Path, dataset: Dataset, *, data: Path, split: str) -> Predictions:
    """Predictions of COCO results (.json), inspections (.jsonl), scores (.csv) or a folder of maps.

    data: where the dataset was read from; split: the one that is measured
    Raises BlemishError that names the file and what is wrong with it.
    """
    if path.is_dir():
        return list_maps(path, dataset)
    if not path.is_file():
        raise BlemishError(f"--predictions {path} must exist. Received: no such file. Check the path.")
    suffix = path.suffix.lower()
    if suffix == ".json":
        return read_coco(path, dataset, data, (split, "val"))
    if suffix == ".jsonl":
        return read_inspections(path, dataset)
    if suffix == ".csv":
        return read_scores(path, dataset)
    raise BlemishError(
        f"--predictions {path} must be COCO results (.json), inspections (.jsonl), scores (.csv) or a folder "
        f"of maps. Received: '{suffix or path.name}'. Write one of these."
    )


def evaluate_predictions(
    predictions: Predictions, dataset: Dataset, split: str, judgement: Judgement, reporter: Reporter
) -> tuple[Evaluation, tuple[str, ...]]:
    """Metrics and curves of a split, and sentences on how they were made.

    Raises BlemishError for images without predictions, unless these count as images without findings.
    """
    chosen = split_to_evaluate(dataset, split)
    missing = [sample for sample in chosen if sample.id not in predictions.covered]
    if predictions.covered or not judgement.none_found:
        refuse_other_split(missing, len(chosen), predictions, split)
    refuse_missing(missing, len(chosen), predictions, f"split '{split}'", judgement)
    thresholds = settle(predictions, dataset, split, judgement)
    evaluator = measure(predictions, chosen, thresholds, reporter.track(chosen.samples, "measuring"))
    notes = [thresholds.note]
    if missing:
        notes.append(f"{len(missing)} of {len(chosen)} images have no prediction and count as clean.")
    notes += [account_of(predictions, dataset, split, by_val=thresholds.by_val), *predictions.remarks]
    notes += [*sentences_on_ignored(chosen), *sentences_on_lost_places(evaluator.records)]
    notes += sentences_on_scores(evaluator.records)
    evaluation = evaluator.result(
        method=METHOD,
        split=split,
        seed=None,
        operating_point=thresholds.point,
        pixel_threshold=thresholds.pixel if predictions.score_map_max is not None else None,
    )
    return evaluation, tuple(notes)


def sentences_on_scores(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    """Sentence on scores that are all equal, or that are higher on clean images than on defective ones."""
    scores, defective = image_scores(records)
    if defective.all() or not defective.any():
        return ()
    if scores.min() == scores.max():
        return (f"All images have the score {scores[0]:g}: it tells none from another.",)
    separation = auroc(scores, defective)
    if separation is None or separation >= INVERTED:
        return ()
    return (
        f"Clean images score higher than defective ones (AUROC {separation:.2f}): are the scores inverted? "
        "1 must mean defective.",
    )


def account_of(predictions: Predictions, dataset: Dataset, split: str, *, by_val: bool) -> str:
    """Account of a file's predictions in a line. by_val: those of split "val" chose the thresholds"""
    splits = {sample.id: sample.split or "no split" for sample in dataset}
    counts: Counter[str] = Counter()
    for name, number in predictions.numbers.items():
        counts["measured" if split in ("all", splits[name]) else splits[name]] += number
    parts = [f"{counts.pop('measured', 0)} for split '{split}' measured"]
    if by_val:
        parts.append(f"{counts.pop('val', 0)} for split 'val' used to choose thresholds")
    parts += [f"{number} for {name!r} not used" for name, number in sorted(counts.items())]
    return f"Predictions read: {sum(predictions.numbers.values())}, of which {', '.join(parts)}."


def refuse_other_split(missing: list[Sample], total: int, predictions: Predictions, split: str) -> None:
    """Raises BlemishError where no image of the split has a prediction."""
    if len(missing) == total:
        raise BlemishError(
            f"{predictions.path} must cover --split {split}. Received: no prediction for any of its {total} "
            "images. Name the split that was predicted on."
        )


def refuse_missing(
    missing: list[Sample], total: int, predictions: Predictions, place: str, judgement: Judgement
) -> None:
    """Raises BlemishError for images without predictions, unless these count as images without findings."""
    if missing and not judgement.none_found:
        raise BlemishError(
            f"{predictions.path} must have a prediction for every image of {place}. Received: none for "
            f"{len(missing)} of {total}, first {missing[0].id}. Add them, or give --missing none-found if "
            "nothing was found on these."
        )


def settle(
    predictions: Predictions, dataset: Dataset, split: str, judgement: Judgement
) -> PredictionThresholds:
    """Thresholds as given, or by the file's own verdicts, or from validation images, or the default."""
    if judgement.threshold is not None:
        return all_equal(judgement.threshold, f"The threshold {judgement.threshold:g} was given")
    if predictions.own_verdicts and judgement.rule is None:
        return as_they_are(predictions, dataset.split(split))
    val = dataset.split("val")
    if split not in ("val", "all") and any(sample.id in predictions.covered for sample in val):
        missing = [sample for sample in val if sample.id not in predictions.covered]
        refuse_missing(missing, len(val), predictions, "split 'val', which it covers in part", judgement)
        return chosen_on(val, predictions, judgement.rule or DEFAULT_RULE)
    if judgement.rule is not None:
        raise BlemishError(
            f"--rule needs predictions of 'val' images to choose on. Received: {predictions.path} for "
            f"--split {split}, with none of these. Predict them too, or use --threshold."
        )
    return all_equal(DEFAULT_THRESHOLD, f"The threshold {DEFAULT_THRESHOLD:g} is the default")


def all_equal(threshold: float, how: str) -> PredictionThresholds:
    """Thresholds all equal to a given one. how: clause of the note on where it is from"""
    note = f"{how}: it was not chosen on data, so another one may suit these predictions better."
    return PredictionThresholds(given_point(threshold), threshold, note)


def as_they_are(predictions: Predictions, dataset: Dataset) -> PredictionThresholds:
    """The file's own verdicts, with the lowest scores that were called NG and not OK as thresholds."""
    judged = [predictions.inspect(sample, DEFAULT_THRESHOLD) for sample in dataset]
    scored = [(answer.verdict, answer.score) for answer in judged if answer.score is not None]
    ng = min((score for verdict, score in scored if verdict is Verdict.NG), default=1.0)
    review = min((score for verdict, score in scored if verdict is not Verdict.OK), default=ng)
    note = "The verdicts are the file's own; the thresholds shown are the lowest scores called NG and REVIEW."
    return PredictionThresholds(given_point(ng, min(review, ng)), DEFAULT_THRESHOLD, note, own_verdicts=True)


def chosen_on(val: Dataset, predictions: Predictions, rule: str) -> PredictionThresholds:
    """Operating point by a rule, and for maps the pixel threshold of best F1, on validation images."""
    default = all_equal(DEFAULT_THRESHOLD, "")
    evaluator = measure(predictions, val, default, val.samples)
    sweeps = evaluator.severities.defective_images > 0
    pixel = evaluator.severities.sweep("pixel-f1").best if sweeps else None
    scores, defective = image_scores(evaluator.records)
    point = choose(scores, defective, rule, iou_score=pixel)
    if predictions.own_verdicts or not predictions.finds_places:
        what = "The thresholds were"
    else:
        pixel = min(point.threshold, 1.0) if pixel is None else pixel
        what = f"The thresholds, among them {pixel:.3g} for defects, were"
    note = f"{what} chosen on {len(val)} validation images by the rule {rule}."
    return PredictionThresholds(point, DEFAULT_THRESHOLD if pixel is None else pixel, note, by_val=True)


def measure(
    predictions: Predictions, dataset: Dataset, thresholds: PredictionThresholds, samples: Iterable[Sample]
) -> Evaluator:
    """Evaluator of the predictions for samples, with verdicts by the thresholds."""
    evaluator = Evaluator(
        dataset.class_names,
        score_map_max=predictions.score_map_max,
        classifies=predictions.classifies,
        segments=predictions.segments,
    )
    for sample in samples:
        try:
            image_size(sample.image)
        except BlemishError as error:
            unread = failed(str(sample.image), str(error), bundle=str(predictions.path))
            add(evaluator, sample, unread, dataset)
            continue
        inspection = thresholds.judge(predictions.inspect(sample, thresholds.pixel))
        if not predictions.finds_places:
            sample = without_places(sample)  # noqa: PLW2901
        add(evaluator, sample, inspection, dataset)
    return evaluator


def without_places(sample: Sample) -> Sample:
    """The sample with its labels alone, for predictions of images."""
    labels = (
        Annotation(mark.label, crowd=mark.crowd, difficult=mark.difficult) for mark in sample.annotations
    )
    return replace(sample, annotations=tuple(labels))
