"""Label issues: the labels that answers contradict most, and so perhaps wrong ones.

The confidence of a score in an image's label follows from all images: a logistic curve of "marked defective"
over the score. Classes and single findings have their own confidence. Letters: n images.
Source: Platt 1999 (curve); Northcutt et al. 2021 (ranking labels by what a model says with confidence).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.evaluation.defects import is_placed, pairings
from blemish.evaluation.image import image_scores, is_decided, is_defective
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.inspection import Verdict

SCHEMA = 1
MIN_DOUBT = 0.5  # from which a label is worth a look
MIN_IMAGES = 5  # of clean and of defective ones, for the curve
MAX_LISTED = 100  # in the file; a report shows fewer
STEPS, RIDGE = 50, 1e-2  # of the curve's fit; the ridge keeps it finite where both kinds are apart


@dataclass(frozen=True)
class LabelIssue:
    """A label and the answer that contradicts it.

    doubt: confidence that the label is wrong, in [0, 1]
    truth, found: index of the record's defect, None where there is none
    """

    record: ImageRecord
    doubt: float
    sentence: str
    truth: int | None = None
    found: int | None = None

    @property
    def box_xyxy(self) -> Box | None:
        return self.record.box_of(self.truth, self.found)

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.record.sample.id,
            "doubt": round(self.doubt, 4),
            "sentence": self.sentence,
            "box_xyxy": None if self.box_xyxy is None else list(self.box_xyxy),
        }


def label_issues(evaluation: Evaluation) -> list[LabelIssue]:
    """Labels of a doubt of at least `MIN_DOUBT`, most doubtful first and at most one an image.

    Scores, or findings, that are no better than chance cast no doubt on a label.
    """
    by_chance = (evaluation.metrics.get("summary") or {}).get("by_chance", ())
    judged = [
        record
        for record in evaluation.records
        if record.inspection.verdict is not Verdict.ERROR and is_decided(record)
    ]
    every = [] if "images" in by_chance else [*of_images(judged)]
    if "places" not in by_chance:
        every += of_findings(judged, classifies="type" in evaluation.metrics)
    doubtful = [issue for issue in every if issue.doubt >= MIN_DOUBT]
    first: dict[str, LabelIssue] = {}
    for issue in sorted(doubtful, key=lambda each: (-each.doubt, each.record.sample.id)):
        first.setdefault(issue.record.sample.id, issue)
    return list(first.values())


def label_issues_json(evaluation: Evaluation) -> str:
    """Text of disputed.json, with at most `MAX_LISTED` labels."""
    listed = [issue.to_json() for issue in label_issues(evaluation)[:MAX_LISTED]]
    return json.dumps({"schema": SCHEMA, "disputed": listed}, indent=1, ensure_ascii=False) + "\n"


def of_images(records: Sequence[ImageRecord]) -> Iterator[LabelIssue]:
    """Issues of images marked clean that score like defective ones, and the other way round.

    Nothing where fewer than `MIN_IMAGES` are clean, or defective, as then no curve is known.
    """
    scored = [record for record in records if record.inspection.score is not None]
    scores, defective = image_scores(scored)
    if min(defective.sum(), (~defective).sum()) < MIN_IMAGES:
        return
    chances = chances_of_mark(scores, defective)
    for record, score, marked, chance in zip(scored, scores, defective, chances, strict=True):
        doubt = float(1 - chance if marked else chance)
        what = labels_of(record) if marked else "clean"
        other = "clean" if marked else "defective"
        sentence = (
            f"Marked {what}, with a score of {score:.2f}: a curve through all images puts the probability "
            f"that it is {other} at {doubt:.0%}."
        )
        yield LabelIssue(record, doubt, sentence)


def of_findings(records: Sequence[ImageRecord], *, classifies: bool) -> Iterator[LabelIssue]:
    """Issues of defects found under another name and, on defective images, of findings in unmarked places."""
    for record in records:
        for truth, found in pairings(record) if is_placed(record) and is_defective(record) else ():
            if found is None:
                continue
            defect = record.inspection.defects[found]
            called = f"{defect.label} (confidence {defect.confidence:.2f})"
            if truth is None and not record.iou[:, found].any():  # a piece of a long one has a small IoU
                sentence = f"Nothing is marked here, but {called} was found beside the marked defects."
                yield LabelIssue(record, defect.confidence, sentence, found=found)
            elif truth is not None and classifies and record.truth[truth].label != defect.label:
                sentence = f"Marked {record.truth[truth].label}, but found as {called}."
                yield LabelIssue(record, defect.confidence, sentence, truth, found)


def labels_of(record: ImageRecord) -> str:
    return " and ".join(sorted({annotation.label for annotation in record.sample.annotations}))


def chances_of_mark(scores: NDArray[np.float64], defective: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probability that an image of each score is marked defective, [n], by a logistic curve (Newton's steps).

    The share of defective images throughout, where the curve would fall. scores, defective: [n], of both
        kinds
    """
    centred = (scores - scores.mean()) / max(float(scores.std()), 1e-9)
    inputs = np.stack([centred, np.ones_like(centred)], axis=1)
    weights = np.zeros(2)
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (chance - defective) + RIDGE * weights
        bend = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + RIDGE * np.eye(2)
        weights -= np.clip(np.linalg.solve(bend, slope), -2, 2)
    if weights[0] < 0:
        return np.full_like(scores, defective.mean())
    chances: NDArray[np.float64] = 1 / (1 + np.exp(-inputs @ weights))
    return chances
