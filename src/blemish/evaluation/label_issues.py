"""The labels that the answers contradict most: wrong labels are found where a model that learned from right
ones is sure of something else.

How sure a score is of an image's label comes from all of them: a logistic curve of "marked defective" over
the score. Names and single findings have their own confidence. Letters: n images.
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
from blemish.evaluation.image import image_scores, is_defective
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.inspection import Verdict

SCHEMA = 1
LEAST = 0.5  # doubt from which a label is worth a look
FEWEST = 5  # images of a kind
MOST = 100  # of the file; a report shows fewer
STEPS, RIDGE = 50, 1e-2  # of the curve's fit; the ridge keeps it finite where both kinds are apart


@dataclass(frozen=True)
class LabelIssue:
    """One label and what contradicts it.

    doubt: how sure the answer is that the label is wrong, in [0, 1]
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
    """The labels in doubt, most doubtful first, one an image; those under a doubt of `LEAST` are left out."""
    judged = [record for record in evaluation.records if record.inspection.verdict is not Verdict.ERROR]
    every = [*of_images(judged), *of_findings(judged, classifies="type" in evaluation.metrics)]
    ordered = sorted(
        (one for one in every if one.doubt >= LEAST), key=lambda one: (-one.doubt, one.record.sample.id)
    )
    first: dict[str, LabelIssue] = {}
    for one in ordered:
        first.setdefault(one.record.sample.id, one)
    return list(first.values())


def label_issues_json(evaluation: Evaluation) -> str:
    """The text of disputed.json: at most `MOST` labels."""
    listed = [one.to_json() for one in label_issues(evaluation)[:MOST]]
    return json.dumps({"schema": SCHEMA, "disputed": listed}, indent=1, ensure_ascii=False) + "\n"


def of_images(records: Sequence[ImageRecord]) -> Iterator[LabelIssue]:
    """Images marked clean that score like defective ones, and the other way round; none where so few are of
    one kind that no curve is known.
    """
    scored = [record for record in records if record.inspection.score is not None]
    scores, defective = image_scores(scored)
    if min(defective.sum(), (~defective).sum()) < FEWEST:
        return
    chances = chances_of_mark(scores, defective)
    for record, score, marked, chance in zip(scored, scores, defective, chances, strict=True):
        doubt = float(1 - chance if marked else chance)
        what = labels_of(record) if marked else "clean"
        other = "clean" if marked else "defective"
        sentence = (
            f"Marked {what}; by a curve through all images, {doubt:.0%} of those that score {score:.2f} as "
            f"it does are marked {other}."
        )
        yield LabelIssue(record, doubt, sentence)


def of_findings(records: Sequence[ImageRecord], *, classifies: bool) -> Iterator[LabelIssue]:
    """Defects named otherwise, and on defective images what was found where nothing is marked."""
    for record in records:
        for truth, found in pairings(record) if is_placed(record) and is_defective(record) else ():
            if found is None:
                continue
            defect = record.inspection.defects[found]
            called = f"{defect.label} (confidence {defect.confidence:.2f})"
            if truth is None:
                sentence = f"Nothing is marked here; {called} was found beside what is."
                yield LabelIssue(record, defect.confidence, sentence, found=found)
            elif classifies and record.truth[truth].label != defect.label:
                sentence = f"Marked {record.truth[truth].label}; called {called}."
                yield LabelIssue(record, defect.confidence, sentence, truth, found)


def labels_of(record: ImageRecord) -> str:
    return " and ".join(sorted({annotation.label for annotation in record.sample.annotations}))


def chances_of_mark(scores: NDArray[np.float64], defective: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[n]: chance that an image of such a score is marked defective: a logistic curve, by Newton's steps;
    their share where the curve would fall. scores, defective: [n], of both kinds
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
