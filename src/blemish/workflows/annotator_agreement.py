"""Comparing two or three annotators, or annotators and a bundle, on the same images."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.annotators.raters import matched, rated, read_rater, without_names
from blemish.evaluation.annotators.study import Study, study
from blemish.evaluation.predictions.inspections import InspectionPredictions

Rater = Dataset | InspectionPredictions

MAX_LISTED = 10  # differences on the screen; all are in agreement.json


def compare_raters(paths: list[Path], out: Path | None) -> list[str]:
    """Compare each pair of annotators; returns lines on them, and the report's path where one is written.

    Raises BlemishError for raters that cannot be compared.
    """
    raters: list[Rater] = []
    for path in paths:
        first = raters[0] if raters else None
        raters.append(read_rater(path, first if isinstance(first, Dataset) else None))
    names = names_of(paths)
    studies = [
        study_of(raters[i], raters[j], names[i], names[j]) for i, j in combinations(range(len(raters)), 2)
    ]
    lines = [line for study in studies for line in lines_on(study)]
    if out is not None:
        from blemish.evaluation.report.agreement import write_agreement

        origin = dict(zip(names, map(str, paths), strict=True))
        lines.append(str(write_agreement(out, studies, names, origin)))
    return lines


def names_of(paths: list[Path]) -> list[str]:
    """Names of the annotators: the last part of each path, a longer one where two end alike."""
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.resolve().parent.name}/{path.resolve().name}" for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def study_of(one: Rater, other: Rater, name: str, other_name: str) -> Study:
    if not isinstance(one, Dataset):
        raise BlemishError(
            f"Two files of inspections cannot be compared with each other. Received: {name} and "
            f"{other_name}. Give one machine, last."
        )
    pairs, alone = matched(one, other)
    images = list(rated(pairs))
    if not isinstance(other, Dataset) and not other.classifies:
        images = [without_names(both) for both in images]
    return study(images, first=name, second=other_name, alone=alone + len(pairs) - len(images))


def lines_on(study: Study) -> list[str]:
    """Lines on a pair: verdicts, kinds and places that both agree on, and the images they differ on."""
    levels = {"good or defective": study.verdict, "which kinds": study.classes}
    alone = f", and {study.alone} that only one of them judges" if study.alone else ""
    lines = [f"{study.first} and {study.second}: {study.images} pictures{alone}"]
    for question, level in levels.items():
        kappa, agreed = level.kappa, level.kappa.agreed
        beyond = "kappa unknown, as only one answer occurs"
        if kappa.value is not None:
            beyond = f"kappa {kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f}), {kappa.word}"
        lines.append(
            f"{question}: same answer on {agreed.n} of {agreed.of} (at least {agreed.lower95:.1%}); {beyond}"
        )
    if study.places is not None:
        met = study.places.met
        lines.append(f"places: {met.n} of {met.of} that either marked were marked by both")
    lines += [f"differ on {one.image.sample.id}. {one.sentence}" for one in study.differences[:MAX_LISTED]]
    rest = len(study.differences) - MAX_LISTED
    return [*lines, f"and on {rest} more"] if rest > 0 else lines
