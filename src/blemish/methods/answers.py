"""What methods that find regions and name their types answer alike: score, name, probabilities of types.

Letters: B blocks of pixels, K types (with a method's background class, if it has one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from blemish.methods.contract import Network
from blemish.regions.region import Region

BLOCKS_AT_ONCE = 64  # in one call of a classifier


def image_score(
    kept: Sequence[Region], values: NDArray[np.float32], *, threshold: float, most: float = 1.0
) -> float:
    """The strongest value of a kept region; without any the highest of all, held below the threshold.

    So clean images are still ranked among themselves, and an image has defects just when it reaches the score
    at which the threshold lies. values: the whole map; most: the value whose score is 1; returns: [0, 1]
    """
    if kept:
        return max(region.strongest for region in kept) / most
    return min(float(values.max()) / most, float(np.nextafter(threshold / most, 0.0)))


def only_name(class_names: Sequence[str]) -> str:
    """The label of every defect where types are not told apart."""
    return class_names[0] if len(class_names) == 1 else "defect"


def type_probabilities(
    blocks: Iterable[NDArray[np.uint8]],
    network: Network,
    network_input: Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Class probabilities of each block, [B, K]. blocks: at least one, of one size; so many as go to the
    network at once are held in memory.

    network: [B, C, size, size] to logits [B, K]
    """
    remaining = iter(blocks)
    answers = []
    while group := list(islice(remaining, BLOCKS_AT_ONCE)):
        answers.append(softmax(network(network_input(group))))
    return np.concatenate(answers)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis. logits: [B, K]"""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
