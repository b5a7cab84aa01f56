"""Folds for the cross-validation of what tells defective images from clean ones; groups stay whole.

Were two images of one place in different folds, a held-out image would be one that was learned from. Folds
of a whole dataset, drawn at random, are in `dataset.splits.folds`; these follow from the images' order alone.
Letters: n images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def usable_groups(defective: Sequence[bool] | NDArray[np.bool_], groups: Sequence[int]) -> NDArray[np.intp]:
    """Groups that folds keep whole, [n]: those given, or each image by itself where they leave a fold
    without a clean or a defective image.

    That happens where nearly all images are alike, as those of one part in one place are.
    defective, groups: [n]
    """
    truth, given = np.asarray(defective, np.bool_), np.asarray(groups, np.intp)
    fold = stratified_folds(truth, given)
    kinds = {(int(number), bool(kind)) for number, kind in zip(fold, truth, strict=True)}
    return given if len(kinds) == 2 * FOLDS else np.arange(len(truth))


def stratified_folds(
    defective: Sequence[bool] | NDArray[np.bool_], groups: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Number of each image's fold, [n] in [0, `FOLDS`), with shares of both kinds as even as groups allow.

    The largest groups come first, each to the fold that holds least of its kinds.
    defective: [n]; groups: [n] numbers that images of a group share
    """
    kinds = np.eye(2)[np.asarray(defective, np.intp)]
    shares = kinds / np.maximum(kinds.sum(axis=0), 1)
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    of_group = np.zeros((len(first), 2))
    np.add.at(of_group, group, shares)
    held, fold_of_group = np.zeros((FOLDS, 2)), np.zeros(len(first), np.intp)
    sizes = np.bincount(group)
    for number in np.lexsort((first, -sizes)):
        # Sums of squares of the folds' shares rise least where this product is least.
        chosen = int((held @ of_group[number]).argmin())
        fold_of_group[number] = chosen
        held[chosen] += of_group[number]
    return fold_of_group[group]
