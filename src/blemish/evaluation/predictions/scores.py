"""Predictions of image scores: a CSV file with the columns `image` and `score`."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.predictions.contract import in_unit
from blemish.evaluation.predictions.names import ImageNames
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.untrusted import read_text

COLUMNS = ("image", "score")


@dataclass(frozen=True)
class ScorePredictions:
    """Image scores; see `contract.Predictions`. scores: by sample id"""

    path: Path
    scores: Mapping[str, float]
    kind: str = "image scores"
    score_map_max: float | None = None
    classifies: bool = False
    segments: bool = False
    finds_places: bool = False
    own_verdicts: bool = False

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.scores)

    def inspect(self, sample: Sample, threshold: float) -> Inspection:
        """Inspection with the sample's score, 0 without one, and no defects."""
        score, size = self.scores.get(sample.id, 0.0), image_size(sample.image)
        return Inspection(str(sample.image), size, Verdict.OK, score, (), str(self.path))


def read_scores(path: Path, dataset: Dataset) -> ScorePredictions:
    """Scores from a CSV file. Raises BlemishError for a wrong column, number or image."""
    names, scores, strangers = ImageNames(dataset), {}, []
    for line, row in rows_of(path):
        place = f"{path}: line {line}"
        score = in_unit(as_number(row["score"] or ""), place)
        sample = names.find(row["image"])
        if sample is None:
            strangers.append(row["image"])
        elif sample.id in scores:
            raise BlemishError(
                f"{place}: an image must appear once. Received: '{row['image']}' again. Remove a line."
            )
        else:
            scores[sample.id] = score
    names.refuse_strangers(strangers, path)
    return ScorePredictions(path, scores)


def rows_of(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows of a CSV file whose first line names its columns."""
    reader = csv.DictReader(read_text(path).splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        held = ", ".join(reader.fieldnames or ()) or "nothing"
        raise BlemishError(
            f"{path} must begin with a line 'image,score'. Received: {held}. Add column '{missing[0]}'."
        )
    return [(reader.line_num, row) for row in reader]


def as_number(text: str) -> float | str:
    """The number that a text spells, else the text itself."""
    try:
        return float(text)
    except ValueError:
        return text
