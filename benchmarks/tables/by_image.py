"""Paired differences of two rows of a table, from what each row stores of every test image.

An interval of a difference is over the test images, near duplicates as one draw; the models are taken as they
are, so that another training would give another one is not in it. Ratios of pooled counts are drawn anew with
whole groups of images (bootstrap, percentiles); an AUROC has DeLong's interval, as in cross-validation.
Source: Efron & Tibshirani 1993, chapters 8 and 13. Letters: S seeds, N images, G groups, K counts, D draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.samples import Dataset
from blemish.dataset.splits.folds import units_of
from blemish.dataset.splits.split import By
from blemish.evaluation.cross_validated import FoldScores, cross_validated_difference
from blemish.evaluation.defects import MATCH_IOU, is_placed, match_counts_at
from blemish.evaluation.fewshot import Interval
from blemish.evaluation.image import is_decided, is_defective
from blemish.evaluation.records import Evaluation, ImageRecord
from blemish.inspection import Verdict

BY_IMAGE = "by_image"  # where a row's figures hold what is stored of each image
AUROC = "image.auroc"
DRAWS = 2000
AT_ONCE = 100  # draws that are summed together, so that memory stays small

Counts = Mapping[str, NDArray[np.float64]]  # by name, pooled over images, [...]
Ratio = Callable[[Counts], NDArray[np.float64]]


def by_image(evaluation: Evaluation, dataset: Dataset, by: By | None) -> dict[str, Any]:
    """Scores, verdicts and counts of each test image as lists [N]; nothing where one could not be judged.

    dataset: with all its splits; by: what makes images near duplicates, see `split_dataset`
    """
    records = evaluation.records
    if any(record.inspection.verdict is Verdict.ERROR or not is_decided(record) for record in records):
        return {}
    units = units_of(dataset.split("test"), by)
    group_of = {name: number for number, unit in enumerate(units) for name in unit.ids}
    counts = [counts_of(record) for record in records]
    return {
        BY_IMAGE: {
            "groups": [group_of[record.sample.id] for record in records],
            "defective": [int(is_defective(record)) for record in records],
            "scores": [float(f"{record.inspection.score:.6g}") for record in records],
            **{name: [each[name] for each in counts] for name in counts[0]},
        }
    }


def counts_of(record: ImageRecord) -> dict[str, int]:
    """Counts of an image by name. Pixels are 0 without outlines, defects where places are not annotated."""
    pixels, near = record.pixels, record.near
    clean = not is_defective(record)
    found = match_counts_at([record] if is_placed(record) else [], MATCH_IOU)
    return {
        "pixels_right": pixels.tp if pixels else 0,
        "pixels_found": pixels.tp + pixels.fp if pixels else 0,
        "pixels_true": pixels.tp + pixels.fn if pixels else 0,
        "pixels_right_2px": near.tp_found if near else 0,
        "pixels_recalled_2px": near.tp_true if near else 0,
        "defects_right": found.tp_found,
        "defects_found": found.n_found,
        "defects_true": found.n_true,
        "clean": int(clean),
        "clean_rejected": int(clean and record.inspection.verdict is Verdict.NG),
    }


def share(part: str, whole: str) -> Ratio:
    """Ratio of two counts; not a number over nothing."""
    return lambda counts: divided(counts[part], counts[whole])


def f1(right: str, recalled: str, found: str, true: str) -> Ratio:
    """Harmonic mean of right / found and recalled / true; 0 where either is 0 or undefined."""

    def value(counts: Counts) -> NDArray[np.float64]:
        precision, recall = divided(counts[right], counts[found]), divided(counts[recalled], counts[true])
        both = np.nan_to_num(divided(2 * precision * recall, precision + recall))
        return np.where(np.isnan(precision) & np.isnan(recall), np.nan, both)

    return value


def divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def pixel_iou(counts: Counts) -> NDArray[np.float64]:
    """Right pixels among those found or true."""
    right = counts["pixels_right"]
    return divided(right, counts["pixels_found"] + counts["pixels_true"] - right)


# Figures of a row as ratios of pooled counts, by their path in metrics.json.
RATIOS: Mapping[str, Ratio] = {
    "pixel.iou": pixel_iou,
    "pixel.precision": share("pixels_right", "pixels_found"),
    "pixel.recall": share("pixels_right", "pixels_true"),
    "pixel.f1": f1("pixels_right", "pixels_right", "pixels_found", "pixels_true"),
    "pixel.f1_at_2px": f1("pixels_right_2px", "pixels_recalled_2px", "pixels_found", "pixels_true"),
    "defect.precision_at_30": share("defects_right", "defects_found"),
    "defect.recall_at_30": share("defects_right", "defects_true"),
    "defect.f1_at_30": f1("defects_right", "defects_right", "defects_found", "defects_true"),
    "operating_point.overkill": share("clean_rejected", "clean"),
}
PAIRED_PATHS = (AUROC, *RATIOS)


def difference_over_images(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], path: str
) -> Interval | None:
    """A figure of ours less that of theirs, mean over seeds, and its 95 % interval; None where these images
    do not have the figure.

    ours, theirs: what is stored under `BY_IMAGE`, by seed, of the same images
    path: one of `PAIRED_PATHS`
    Raises ValueError where the images differ.
    """
    same = [stored[name] for stored in (*ours, *theirs) for name in ("groups", "defective")]
    if any(value != same[index % 2] for index, value in enumerate(same)):
        raise ValueError("rows that are compared by image must be measured on the same images")
    if path == AUROC:
        if len(set(ours[0]["defective"])) < 2:
            return None
        return cross_validated_difference(*([scores_of(stored) for stored in row] for row in (ours, theirs)))
    figure, groups = RATIOS[path], np.unique(same[0], return_inverse=True)[1]
    names = [name for name in ours[0] if name not in ("groups", "defective", "scores")]
    sums = [[in_groups(stored, names, groups) for stored in row] for row in (ours, theirs)]
    pooled = np.array(sums, np.float64)  # [2, S, G, K]
    whole = differences(pooled.sum(axis=2), names, figure)
    if np.isnan(whole):
        return None
    drawn = bootstrap(pooled, names, figure)
    low, high = np.nanquantile(drawn, (0.025, 0.975)).tolist()
    return Interval(float(whole), low, high, len(ours))


def scores_of(stored: Mapping[str, Any]) -> FoldScores:
    """Scores as of cross-validation with a single fold."""
    return FoldScores(stored["scores"], stored["defective"], [0] * len(stored["scores"]), stored["groups"])


def in_groups(
    stored: Mapping[str, Any], names: Sequence[str], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Counts summed over the images of each group, [G, K]. groups: number of each image's, [N]"""
    return np.stack([np.bincount(groups, weights=stored[name]) for name in names], axis=-1)


def bootstrap(pooled: NDArray[np.float64], names: Sequence[str], figure: Ratio) -> NDArray[np.float64]:
    """The difference on so many draws of groups, with replacement, [D]. pooled: [2, S, G, K]"""
    generator, groups = np.random.default_rng(0), pooled.shape[2]
    parts = []
    for _ in range(DRAWS // AT_ONCE):
        times = generator.multinomial(groups, np.full(groups, 1 / groups), size=AT_ONCE)
        parts.append(differences(np.einsum("dg,rsgk->rsdk", times, pooled), names, figure))
    return np.concatenate(parts)


def differences(sums: NDArray[np.float64], names: Sequence[str], figure: Ratio) -> NDArray[np.float64]:
    """The figure of the first row less that of the second, mean over seeds. sums: [2, S, ..., K]"""
    values = figure({name: sums[..., index] for index, name in enumerate(names)})
    mean: NDArray[np.float64] = (values[0] - values[1]).mean(axis=0)
    return mean
