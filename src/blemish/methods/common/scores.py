"""Image score, label and type probabilities for methods that find regions and may name their types.

Letters: B blocks of pixels, K types (with a method's background class, if it has one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from blemish.methods.common.map_score import MapScore
from blemish.methods.contract import Network
from blemish.regions.region import Region

BLOCKS_AT_ONCE = 64  # blocks in one call of a classifier
FITTED_THRESHOLD = 0.5  # fitted scores of images with defects begin here, or that are defective by odds


def threshold_score(threshold: float, *, max_value: float = 1.0, fitted: MapScore | None = None) -> float:
    """Image score from which an image has defects; see `image_score`."""
    return threshold / max_value if fitted is None else FITTED_THRESHOLD


def image_score(
    regions: Sequence[Region],
    values: NDArray[np.float32],
    *,
    threshold: float,
    max_value: float = 1.0,
    fitted: MapScore | None = None,
    head: float | None = None,
) -> float:
    """Image score in [0, 1]. But for an image head, at least `threshold_score` where there are regions, and
    less where there are none.

    By `fitted` with an image head it is the probability of a defect, whatever regions there are: the head
    sees what the map does not. By the map's statistics alone they rank each of the two halves of [0, 1].
    Without `fitted` it is the strongest value of the regions, or of the map where there are none.
    values: the whole map, [H, W]; max_value: of it; head: log odds of an image head, see `MapScore`
    """
    if fitted is not None:
        probability = fitted.probability(values, max_value=max_value, head=head)
        if fitted.uses_head:
            return probability
        if regions:
            return FITTED_THRESHOLD + (1 - FITTED_THRESHOLD) * probability
        return min(FITTED_THRESHOLD * probability, float(np.nextafter(FITTED_THRESHOLD, 0.0)))
    if regions:
        return max(region.strongest for region in regions) / max_value
    return min(float(values.max()) / max_value, float(np.nextafter(threshold / max_value, 0.0)))


def default_label(class_names: Sequence[str]) -> str:
    """Label of every defect where types are not classified: the only class name, or "defect"."""
    return class_names[0] if len(class_names) == 1 else "defect"


def type_probabilities(
    blocks: Iterable[NDArray[np.uint8]],
    network: Network,
    network_input: Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Class probabilities of each block, [B, K].

    blocks: at least one, of one size; only those of one call of the network are held in memory
    network: [B, C, size, size] to logits [B, K]; network_input: blocks to what the network takes
    """
    remaining = iter(blocks)
    probabilities = []
    while group := list(islice(remaining, BLOCKS_AT_ONCE)):
        probabilities.append(softmax(network(network_input(group))))
    return np.concatenate(probabilities)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax along the last axis. logits: [B, K]; returns: [B, K]"""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
