"""Predictions measured like a bundle: thresholds from the validation images where they cover them, then the
same evaluator over the split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from blemish.dataset.masks import defect_instances
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose, given_point
from blemish.evaluation.predictions.contract import Predictions
from blemish.evaluation.records import Evaluation
from blemish.evaluation.run import add, split_to_evaluate
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict, failed
from blemish.progress import Reporter

DEFAULT_THRESHOLD = 0.5
DEFAULT_RULE = "f1"
METHOD = "predictions"


@dataclass(frozen=True)
class Judgement:
    """How predictions become verdicts, as the user asked for it; None: not asked for.

    threshold: score from which an image is NG, and a pixel or box a defect
    rule: of the operating point that is chosen on validation images
    none_found: whether an image without predictions counts as one on which nothing was found
    """

    threshold: float | None = None
    rule: str | None = None
    none_found: bool = False


@dataclass(frozen=True)
class PredictionThresholds:
    """What was settled on. pixel: of maps and boxes; note: how, in words"""

    point: OperatingPoint
    pixel: float
    note: str
    own_verdicts: bool = False

    def judge(self, inspection: Inspection) -> Inspection:
        if self.own_verdicts or inspection.score is None:
            return inspection
        return replace(inspection, verdict=self.point.verdict(inspection.score))


def evaluate_predictions(
    predictions: Predictions, dataset: Dataset, split: str, judgement: Judgement, reporter: Reporter
) -> tuple[Evaluation, tuple[str, ...]]:
    """Metrics and curves of a split, and notes on how they were made.

    Raises BlemishError for images without predictions, unless they are to count as nothing found.
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
        notes.append(f"{len(missing)} of {len(chosen)} images have no prediction: nothing was found on them.")
    evaluation = evaluator.result(
        method=METHOD,
        split=split,
        seed=None,
        operating_point=thresholds.point,
        pixel_threshold=thresholds.pixel if predictions.score_map_max is not None else None,
    )
    return evaluation, tuple(notes)


def refuse_other_split(missing: list[Sample], total: int, predictions: Predictions, split: str) -> None:
    """Raises BlemishError where no image of the split has a prediction."""
    if len(missing) == total:
        raise BlemishError(
            f"{predictions.path} must be about --split {split}. Received: no prediction for any of its "
            f"{total} images. Name the split that was predicted on."
        )


def refuse_missing(
    missing: list[Sample], total: int, predictions: Predictions, place: str, judgement: Judgement
) -> None:
    if missing and not judgement.none_found:
        raise BlemishError(
            f"{predictions.path} must have a prediction for every image of {place}. Received: none for "
            f"{len(missing)} of {total}, first {missing[0].id}. Add them, or --missing none-found where "
            "nothing was found on these."
        )


def settle(
    predictions: Predictions, dataset: Dataset, split: str, judgement: Judgement
) -> PredictionThresholds:
    """Thresholds as given, as the file's own verdicts have them, from validation images, or the default."""
    if judgement.threshold is not None:
        return given(judgement.threshold, f"The threshold {judgement.threshold:g} was given")
    if predictions.own_verdicts and judgement.rule is None:
        return as_they_are(predictions, dataset.split(split))
    val = dataset.split("val")
    if split not in ("val", "all") and any(sample.id in predictions.covered for sample in val):
        missing = [sample for sample in val if sample.id not in predictions.covered]
        refuse_missing(missing, len(val), predictions, "split 'val', which it covers in part", judgement)
        return chosen_on(val, predictions, judgement.rule or DEFAULT_RULE)
    if judgement.rule is not None:
        raise BlemishError(
            f"--rule must have predictions of 'val' images to choose on. Received: {predictions.path} for "
            f"--split {split}, with none set apart. Predict them too, or use --threshold."
        )
    return given(DEFAULT_THRESHOLD, f"The threshold {DEFAULT_THRESHOLD:g} is the default")


def given(threshold: float, how: str) -> PredictionThresholds:
    note = f"{how}: it was not chosen on data, so another may suit these predictions better."
    return PredictionThresholds(given_point(threshold), threshold, note)


def as_they_are(predictions: Predictions, dataset: Dataset) -> PredictionThresholds:
    """The verdicts of the file, with the lowest scores that were called NG and not OK as thresholds."""
    judged = [predictions.inspect(sample, DEFAULT_THRESHOLD) for sample in dataset]
    scored = [(one.verdict, one.score) for one in judged if one.score is not None]
    ng = min((score for verdict, score in scored if verdict is Verdict.NG), default=1.0)
    review = min((score for verdict, score in scored if verdict is not Verdict.OK), default=ng)
    note = "The verdicts are the file's own; the thresholds shown are the lowest scores called NG and REVIEW."
    return PredictionThresholds(given_point(ng, min(review, ng)), DEFAULT_THRESHOLD, note, own_verdicts=True)


def chosen_on(val: Dataset, predictions: Predictions, rule: str) -> PredictionThresholds:
    """The operating point by a rule, and of maps the pixel threshold of best F1, on validation images."""
    default = given(DEFAULT_THRESHOLD, "")
    evaluator = measure(predictions, val, default, val.samples)
    sweeps = evaluator.severities.defective_images > 0
    pixel = evaluator.severities.sweep("pixel-f1").best if sweeps else None
    scores, defective = image_scores(evaluator.records)
    point = choose(scores, defective, rule, iou_score=pixel)
    if predictions.own_verdicts or not predictions.finds_places:
        what = "The thresholds were"
    else:
        pixel = min(point.threshold, 1.0) if pixel is None else pixel
        what = f"The thresholds, {pixel:.3g} of defects among them, were"
    note = f"{what} chosen on {len(val)} validation images, by the rule {rule}."
    return PredictionThresholds(point, DEFAULT_THRESHOLD if pixel is None else pixel, note)


def measure(
    predictions: Predictions, dataset: Dataset, thresholds: PredictionThresholds, samples: Iterable[Sample]
) -> Evaluator:
    evaluator = Evaluator(
        dataset.class_names,
        score_map_max=predictions.score_map_max,
        classifies=predictions.classifies,
        segments=predictions.segments,
    )
    for sample in samples:
        try:
            size = image_size(sample.image)
        except BlemishError as error:
            unread = failed(str(sample.image), str(error), bundle=str(predictions.path))
            add(evaluator, sample, unread, dataset)
            continue
        inspection = thresholds.judge(predictions.inspect(sample, thresholds.pixel))
        measured = sample if predictions.finds_places else without_places(sample, size)
        add(evaluator, measured, inspection, dataset)
    return evaluator


def without_places(sample: Sample, size: tuple[int, int]) -> Sample:
    """The sample as a mere label, as nothing was said of places; places that turn out empty are no defect."""
    placed = all(annotation.has_place for annotation in sample.annotations)
    if placed and not defect_instances(sample, size):
        return replace(sample, annotations=())
    return replace(sample, annotations=tuple(Annotation(one.label) for one in sample.annotations))
