"""Image heads: pooled features of a frozen encoder, and a logistic regression that SciPy agrees with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from blemish.methods.common.folds import FOLDS, stratified_folds
from blemish.nn.image_head import fit_image_head, fitted_weights, new_image_head


def test_log_odds_are_those_of_the_features_and_gray_is_three_equal_channels() -> None:
    torch.manual_seed(0)
    head = new_image_head().eval()
    gray = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        found = head(gray)
        assert found.shape == (2, 1)
        assert torch.allclose(found, head(gray.expand(-1, 3, -1, -1)), atol=1e-5)
        features = head.features(gray)
        assert torch.allclose(found, features @ head.output.weight.T + head.output.bias, atol=1e-4)
        moved = torch.cat([gray[1:], gray[:1]])
        assert torch.allclose(head(moved), found.flip(0), atol=1e-5), "each image by itself"
    assert features.shape[1] == 3 * (24 + 40 + 112)
    assert not any(each.requires_grad for each in head.features.parameters())


def test_an_image_turned_by_half_has_the_same_features_which_are_the_mean_of_both() -> None:
    features = new_image_head().eval().features
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        found, turned = features(image), features(image.flip(2, 3))
        assert torch.allclose(found, turned, atol=1e-5)
        assert not torch.allclose(found, features(image.flip(3)), atol=1e-3), "a mirror image is another"
        apart = [features.pooled(each) for each in (image, torch.rot90(image, 2, (2, 3)))]
        assert torch.allclose(found, torch.stack(apart).mean(0), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_the_minimum_that_scipy_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = (np.arange(60) < 15).astype(float)
    inputs = generator.normal(size=(60, 7)) + 0.8 * np.outer(truth, generator.normal(size=7))
    counts = np.where(truth > 0, 0.5 / 15, 0.5 / 45)

    def loss(values: np.ndarray) -> float:
        signed = np.where(truth > 0, -1, 1) * (inputs @ values[:-1] + values[-1])
        return float((counts * np.logaddexp(0, signed)).sum() + 0.05 * np.square(values[:-1]).sum())

    best = minimize(loss, np.zeros(8), options={"gtol": 1e-9}).x
    found = fitted_weights(torch.from_numpy(inputs), torch.from_numpy(truth), 0.1).numpy()
    np.testing.assert_allclose(found, best, atol=1e-4)


def test_a_head_tells_new_images_apart_whatever_the_scale_of_features() -> None:
    generator = np.random.default_rng(0)
    head = new_image_head()
    number = head.output.in_features
    direction = generator.normal(size=number)

    def drawn(images: int) -> tuple[np.ndarray, np.ndarray]:
        defective = np.arange(images) % 3 == 0
        features = generator.normal(size=(images, number)) + 0.25 * np.outer(defective, direction)
        return (features * np.geomspace(0.01, 100, number) + 5).astype(np.float32), defective

    features, defective = drawn(120)
    assert defective.sum() >= FOLDS
    folds = stratified_folds(defective, np.arange(120))
    fit_image_head(head, features, defective.tolist(), folds=folds)
    fresh, truth = drawn(200)
    with torch.inference_mode():
        odds = head.output(torch.from_numpy(fresh))[:, 0].numpy()
    assert np.mean((odds > 0) == truth) > 0.9
    again = new_image_head()
    fit_image_head(again, features, defective.tolist(), folds=folds)
    assert torch.equal(again.output.weight, head.output.weight), "no draws"


def test_near_copies_flatter_no_head_that_learned_nothing() -> None:
    """Features of chance, of which each is there six times: only whole groups show that they tell nothing."""
    generator = np.random.default_rng(0)
    head = new_image_head()
    number = head.output.in_features
    groups = np.repeat(np.arange(20), 6)
    defective = groups % 2 == 0
    features = generator.normal(size=(20, number))[groups] + 0.01 * generator.normal(size=(120, number))
    steepness = {}
    for name, kept in {"single": np.arange(120), "whole": groups}.items():
        folds = stratified_folds(defective, kept)
        fit_image_head(head, features.astype(np.float32), defective.tolist(), folds=folds)
        fresh = torch.from_numpy(generator.normal(size=(500, number)).astype(np.float32))
        with torch.inference_mode():
            steepness[name] = float(head.output(fresh).std())
    assert steepness["whole"] < steepness["single"] / 3, "log odds of images that cannot be told apart"
