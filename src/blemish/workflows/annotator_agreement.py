"""Comparing two or three annotators, or annotators and a bundle, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from blemish.dataset.ignored import sentences_on_ignored
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.annotators.raters import matched, rated, read_rater, without_names
from blemish.evaluation.annotators.study import Study, study
from blemish.evaluation.predictions.inspections import InspectionPredictions
from blemish.folder_lock import locks_out

Rater = Dataset | InspectionPredictions


@dataclass(frozen=True)
class AgreementResult:
    """Studies of each pair of annotators.

    report: path of report.html, None where no folder was given; notes: sentences on what is not compared
    """

    studies: tuple[Study, ...]
    report: Path | None
    notes: tuple[str, ...] = ()


@locks_out
def compare_annotators(
    paths: Sequence[Path], out: Path | None, *, skip_broken: bool = False
) -> AgreementResult:
    """Compare each pair of annotators; writes agreement.json and report.html to `out`.

    paths: datasets, of which the last may be a file of inspections
    skip_broken: leave out broken files, with a note on each
    Raises BlemishError for annotations that cannot be compared.
    """
    raters: list[Rater] = []
    for path in paths:
        first = raters[0] if raters else None
        raters.append(
            read_rater(path, first if isinstance(first, Dataset) else None, skip_broken=skip_broken)
        )
    names = names_of(paths)
    studies = [
        study_of(raters[i], raters[j], names[i], names[j]) for i, j in combinations(range(len(raters)), 2)
    ]
    own = [rater for rater in raters if isinstance(rater, Dataset)]
    notes = tuple(note for rater in own for note in notes_on(rater))
    notes += tuple(f"left out: {reason}" for rater in own for reason in dict.fromkeys(rater.skipped.values()))
    if out is None:
        return AgreementResult(tuple(studies), None, notes)
    from blemish.evaluation.report.agreement import write_agreement

    origin = dict(zip(names, map(str, paths), strict=True))
    return AgreementResult(tuple(studies), write_agreement(out, studies, names, origin), notes)


def notes_on(rater: Dataset) -> list[str]:
    """Sentences on crowd and difficult regions, around which places are not compared, and on repeats."""
    return [f"{rater.root}: {sentence}" for sentence in sentences_on_ignored(rater)]


def names_of(paths: Sequence[Path]) -> list[str]:
    """Names of the annotators: the last part of each path, a longer one where two end alike."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def study_of(first: Rater, second: Rater, first_name: str, second_name: str) -> Study:
    if not isinstance(first, Dataset):
        raise BlemishError(
            "Two files of inspections cannot be compared with each other. "
            f"Received: {first_name} and {second_name}. Replace one by a dataset."
        )
    pairs, alone = matched(first, second)
    images = list(rated(pairs))
    if not isinstance(second, Dataset) and not second.classifies:
        images = [without_names(image) for image in images]
    return study(images, first=first_name, second=second_name, alone=alone + len(pairs) - len(images))
