from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.optimize import minimize

from blemish.methods.common.logistic import MIN_SPREAD, SHRINKAGE, is_better
from blemish.methods.common.map_score import (
    NUM_STATISTICS,
    PRIOR,
    MapMemory,
    MapScore,
    MapScoreFitter,
    fit_map_score,
    map_statistics,
)
from blemish.methods.common.scores import FITTED_THRESHOLD, image_score, threshold_score
from blemish.regions.region import Region

Map = NDArray[np.float32]
SCORE = MapScore(weights=(0.5, 0.0, 2.0, 1.0), bias=-0.5)


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def test_the_statistics_by_hand() -> None:
    """2000 values: the highest 2, 20 and 200 of them; a 3×3 mean of a single peak is a ninth of it."""
    values = np.full((40, 50), 0.1, np.float32)
    values[20, 25] = 1.0
    found = map_statistics(2 * values, max_value=2.0)
    means = [0.1 + 0.9 / count for count in (2, 20, 200)]
    np.testing.assert_allclose(found, [logit(0.2), *map(logit, means)], rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 400), (61, 59)])
def test_the_means_are_those_of_the_sorted_values(size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(size, dtype=np.float32)
    falling = np.sort(values.ravel())[::-1]
    means = [falling[: max(1, round(share * values.size))].mean() for share in (0.001, 0.01, 0.1)]
    found = map_statistics(values, max_value=1.0)
    np.testing.assert_allclose(1 / (1 + np.exp(-found[1:])), np.clip(means, 1e-4, 1 - 1e-4), rtol=1e-4)


@settings(max_examples=200, deadline=None)
@given(
    values=arrays(np.float32, (5, 6), elements=st.floats(0, 12, width=32)),
    raised=arrays(np.float32, (5, 6), elements=st.floats(0, 12, width=32)),
    weights=st.lists(st.floats(0, 10), min_size=NUM_STATISTICS, max_size=NUM_STATISTICS),
    bias=st.floats(-1000, 1000),
)
def test_values_that_rise_never_lower_the_score(
    values: Map, raised: Map, weights: list[float], bias: float
) -> None:
    score = MapScore(weights=tuple(weights), bias=bias)
    low = score.probability(values, max_value=12.0)
    high = score.probability(np.maximum(values, raised), max_value=12.0)
    assert 0 <= low <= high + 1e-5
    assert high <= 1


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_the_minimum_that_scipy_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    defective = np.arange(40) < generator.integers(5, 35)
    statistics = generator.normal(size=(40, NUM_STATISTICS)) * [1, 2, 3, 0.5] + 4
    statistics += np.outer(defective, [1.5, 0, 4, -2])
    inputs = (statistics - statistics.mean(axis=0)) / statistics.std(axis=0)
    share = defective.mean()
    counts = np.where(defective, 0.5 / share, 0.5 / (1 - share)) / 40

    def loss(values: NDArray[np.float64]) -> float:
        signed = np.where(defective, -1, 1) * (inputs @ values[:-1] + values[-1])
        shrinkage = SHRINKAGE / 2 * np.square(values[:-1] - PRIOR[:NUM_STATISTICS]).sum()
        return float((counts * np.logaddexp(0, signed)).sum() + shrinkage)

    bounds = [(0, None)] * NUM_STATISTICS + [(None, None)]
    best = minimize(loss, np.zeros(NUM_STATISTICS + 1), bounds=bounds, options={"ftol": 1e-14}).x
    found = fit_map_score(statistics, defective)
    np.testing.assert_allclose(np.array(found.weights) * statistics.std(axis=0), best[:-1], atol=2e-3)
    assert found.bias == pytest.approx(best[-1] - np.dot(found.weights, statistics.mean(axis=0)), abs=1e-2)
    assert found.weights[3] == 0, "more of it is never taken for less of a defect"


def test_a_score_is_fitted_to_maps() -> None:
    """Peaks say nothing here, as every map has them; how much is high does."""
    generator = np.random.default_rng(0)
    pairs = []
    for number in range(20):
        values = generator.random((40, 40), dtype=np.float32) * np.float32(0.2)
        values[0, :3] = 1
        mask = np.zeros((40, 40), bool)
        if number % 2:
            mask[10:30, 10:20] = True
            values[mask] = 0.6
        pairs.append((values, mask))
    fitter = MapScoreFitter(max_value=1.0)
    for values, mask in pairs:
        fitter.update(values, defective=bool(mask.any()))
    fitted = fitter.fit()
    assert fitted is not None
    found = np.array([fitted.probability(values, max_value=1.0) for values, _ in pairs])
    assert found[1::2].min() > 0.5 > found[::2].max()


@pytest.mark.parametrize("defective", [True, False])
def test_images_of_one_kind_alone_fit_nothing(defective: bool) -> None:
    fitter = MapScoreFitter(max_value=1.0)
    for _ in range(5):
        fitter.update(np.ones((4, 4), np.float32), defective=defective)
    assert fitter.fit() is None


@settings(max_examples=100, deadline=None)
@given(values=arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32)), bias=st.floats(-1000, 1000))
def test_an_image_has_defects_exactly_from_the_threshold_score_on(values: Map, bias: float) -> None:
    fitted = MapScore(weights=SCORE.weights, bias=bias)
    region = Region(np.ones((1, 1), bool), (0, 0), np.ones(1, np.float32))
    own = threshold_score(0.9, fitted=fitted)
    assert own == FITTED_THRESHOLD
    clean = image_score([], values, threshold=0.9, fitted=fitted)
    defective = image_score([region], values, threshold=0.9, fitted=fitted)
    assert 0 <= clean < own <= defective <= 1


def test_a_memory_is_checked_number_by_number() -> None:
    stored = MapMemory(image_score=SCORE).model_dump(mode="json")
    assert MapMemory.model_validate(stored).image_score == SCORE
    assert MapMemory.model_validate({}).image_score is None, "a bundle older than the fitted score"
    for wrong in ((-0.1, 0, 0, 0), (1, 1, 1), (float("nan"), 0, 0, 0)):
        with pytest.raises(ValidationError):
            MapMemory.model_validate({"image_score": {"weights": wrong, "bias": 0}})


@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-3])
def test_a_statistic_that_hardly_varies_outweighs_nothing(spread: float) -> None:
    """Validation maps whose maxima are all but equal say nothing of what another maximum means."""
    generator = np.random.default_rng(0)
    defective = np.arange(30) % 2 == 0
    statistics = generator.normal(size=(30, NUM_STATISTICS)) + np.outer(defective, [0, 1, 1, 1])
    statistics[:, 0] = 3 + spread * generator.normal(size=30)
    found = fit_map_score(statistics, defective)
    assert found.weights[0] <= 2 / MIN_SPREAD
    assert max(found.weights) < 10 and abs(found.bias) < 30


def with_heads(signal: float, *, images: int = 60) -> MapScoreFitter:
    """Maps that tell little, and log odds of a head that tell as much as `signal`."""
    generator = np.random.default_rng(1)
    fitter = MapScoreFitter(max_value=1.0)
    for number in range(images):
        defective = number % 2 == 0
        values = generator.random((12, 12), dtype=np.float32) * np.float32(0.5 + 0.05 * defective)
        fitter.update(values, defective=defective, head=float(signal * defective + generator.normal()))
    return fitter


def test_a_head_is_part_of_the_score_where_it_helps_alone() -> None:
    helped, unhelped = with_heads(4.0).fit(), with_heads(0.0).fit()
    assert helped is not None and helped.uses_head and helped.weights[-1] > 0.1
    assert unhelped is not None and not unhelped.uses_head and unhelped.head_mean == 0
    few = with_heads(4.0, images=8).fit()
    assert few is not None and not few.uses_head, "cross-validation takes five of each kind"


def test_higher_log_odds_never_lower_the_score_and_a_web_takes_their_mean() -> None:
    fitted = with_heads(4.0).fit()
    assert fitted is not None
    values = np.full((5, 5), 0.3, np.float32)
    scores = [fitted.probability(values, max_value=1.0, head=head) for head in (-3, 0, fitted.head_mean, 9)]
    assert scores == sorted(scores) and scores[0] < scores[-1]
    assert fitted.probability(values, max_value=1.0) == scores[2]
    assert MapMemory.model_validate(MapMemory(image_score=fitted).model_dump(mode="json")).uses_head
    assert not MapMemory(image_score=SCORE).uses_head and not MapMemory().uses_head


def test_with_a_head_the_score_is_the_probability_and_without_one_regions_divide_it() -> None:
    """So that a false region of a clean image does not outrank every defective one without a region."""
    values = np.full((5, 5), 0.3, np.float32)
    regions = [Region(np.ones((1, 1), bool), (0, 0), np.ones(1, np.float32))]
    with_head = MapScore(weights=(0.5, 0, 2, 1, 3), bias=-0.5)
    for head in (-50.0, 0.0, 0.4, 50.0, None):
        expected = with_head.probability(values, max_value=1.0, head=head)
        for found in ([], regions):
            assert image_score(found, values, threshold=0.9, fitted=with_head, head=head) == expected
    alone = MapScore(weights=(0.5, 0, 2, 1), bias=9.0)
    clean, defective = (image_score(each, values, threshold=0.9, fitted=alone) for each in ([], regions))
    assert clean < FITTED_THRESHOLD <= defective


def test_near_copies_do_not_make_a_head_of_chance_look_better() -> None:
    """Twelve images, ten times each, with log odds of chance: taken singly, they are learned by heart."""
    chosen, prior = {"single": 0, "whole": 0}, (*PRIOR[:-1], 1.0)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        groups = np.repeat(np.arange(12), 10)
        defective = groups % 2 == 0
        maps = generator.normal(size=(12, NUM_STATISTICS))[groups]
        both = np.column_stack([maps, generator.normal(size=12)[groups]])
        chosen["single"] += is_better(both, maps, defective, prior, range(120))
        chosen["whole"] += is_better(both, maps, defective, prior, groups.tolist())
    assert chosen["whole"] <= 3 < chosen["single"]
