from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.methods.common.scores import (
    BLOCKS_AT_ONCE,
    default_label,
    image_score,
    softmax,
    type_probabilities,
)
from blemish.regions.region import Region

Map = NDArray[np.float32]


def region(*values: float) -> Region:
    return Region(np.ones((1, len(values)), bool), (0, 0), np.array(values, np.float32))


def test_the_score_is_the_strongest_value_kept_as_a_share_of_the_most() -> None:
    kept = [region(6, 7), region(9, 3)]
    assert image_score(kept, np.array([11.0, 3.0]), threshold=5.0, max_value=12.0) == 0.75
    assert image_score([region(0.5, 0.7)], np.array([0.7]), threshold=0.5) == pytest.approx(0.7)


@pytest.mark.parametrize("threshold", np.linspace(0.01, 1, 50))
def test_without_a_region_the_score_stays_below_the_threshold(threshold: float) -> None:
    low, high = np.array([[0.0, 0.5 * threshold]]), np.array([[0.0, 1.0]])
    assert image_score([], low, threshold=float(threshold)) == 0.5 * threshold
    held = image_score([], high, threshold=float(threshold))
    assert held < threshold
    assert held == pytest.approx(threshold)


def test_several_types_have_no_one_name() -> None:
    assert default_label(("crack",)) == "crack"
    assert default_label(("crack", "spot")) == default_label(()) == "defect"


def test_blocks_go_to_the_network_in_groups_and_come_back_in_order() -> None:
    sizes: list[int] = []
    alive: list[int] = []

    def blocks():
        for number in range(150):
            alive.append(number)
            yield np.full((2, 2), number, np.uint8)

    def network(inputs: Map) -> Map:
        sizes.append(len(inputs))
        assert len(alive) == sum(sizes), "no block is made before its turn"
        brightness = inputs[:, 0, 0, 0]
        return np.stack([brightness, np.zeros_like(brightness)], axis=1)

    def network_input(group: list[NDArray[np.uint8]]) -> Map:
        return np.stack(group)[:, None].astype(np.float32) / 255

    found = type_probabilities(blocks(), network, network_input)
    assert sizes == [BLOCKS_AT_ONCE, BLOCKS_AT_ONCE, 150 - 2 * BLOCKS_AT_ONCE]
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp(-np.arange(150) / 255)), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_softmax_of_large_logits() -> None:
    probabilities = softmax(np.array([[1000.0, 1000.0, -1000.0], [0, np.log(3), 0]], np.float32))
    np.testing.assert_allclose(probabilities, [[0.5, 0.5, 0], [0.2, 0.6, 0.2]], atol=1e-6)
