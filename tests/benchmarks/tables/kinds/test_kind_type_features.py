"""Features of crops by hand and on textures that they must and must not tell apart."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tables.kinds.types import FEATURES, TypeFeatures, glcm, hog, hog_and_sobel, perceptron
from benchmarks.tables.row_kind import require_packages
from blemish.errors import BlemishError

Bytes = NDArray[np.uint8]


def stripes(generator: np.random.Generator, *, upright: bool) -> Bytes:
    """[48, 48] of stripes eight pixels wide at any phase, with noise."""
    wave = 128 + 60 * np.sin(2 * np.pi * (np.arange(48) / 16 + generator.random()))
    image = np.broadcast_to(wave, (48, 48)) if upright else np.broadcast_to(wave[:, None], (48, 48))
    return np.clip(image + generator.normal(0, 8, (48, 48)), 0, 255).astype(np.uint8)


def two_textures(features: str, seed: int, count: int = 40) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    crops = [stripes(generator, upright=bool(label)) for label in labels]
    return np.array([FEATURES[features](crop, 16) for crop in crops]), labels


@pytest.mark.parametrize("features", FEATURES)
def test_two_textures_are_told_apart_and_shuffled_labels_are_not(features: str) -> None:
    train, labels = two_textures(features, 0)
    test, truth = two_textures(features, 1, 100)
    classify = perceptron(train, labels, hidden=15, iterations=300, seed=0)
    assert (classify(test) == truth).mean() > 0.95
    shuffled = np.random.default_rng(2).permutation(labels)
    by_chance = perceptron(train, shuffled, hidden=15, iterations=300, seed=0)
    assert 0.25 < (by_chance(test) == truth).mean() < 0.75


def test_a_seed_names_the_weights() -> None:
    train, labels = two_textures("hog", 0, 12)
    noise = np.random.default_rng(0).normal(size=(200, train.shape[1]))
    answers = [perceptron(train, labels, hidden=2, iterations=3, seed=seed)(noise) for seed in (0, 0, 1)]
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_features_are_standardised() -> None:
    """A feature a million times larger says as much as before."""
    train, labels = two_textures("glcm", 0)
    scale = np.array([1e6, 1e-6, 1, 1])
    plain, scaled = (
        perceptron(one, labels, hidden=5, iterations=50, seed=0) for one in (train, train * scale)
    )
    assert np.array_equal(plain(train), scaled(train * scale))


def test_glcm_by_hand() -> None:
    """Pairs lie one above the other: of four, three are of levels 0 and 0, one of 0 and 5."""
    crop = np.array([[0, 0], [0, 0], [0, 255]], np.uint8)

    energy, contrast, entropy, correlation = glcm(crop, 16)
    shares = np.array([0.75, 0.25])
    assert energy == pytest.approx(np.sqrt((shares**2).sum()))
    assert contrast == pytest.approx(0.25 * 5**2)
    assert entropy == pytest.approx(-(shares * np.log2(shares)).sum())
    assert correlation == pytest.approx(1.0)  # the upper gray never changes, which is counted as full


def test_a_flat_crop_has_no_contrast_and_no_entropy() -> None:
    energy, contrast, entropy, _ = glcm(np.full((8, 8), 200, np.uint8), 16)
    assert (energy, contrast, entropy) == (1.0, 0.0, 0.0)
    assert np.isfinite(hog_and_sobel(np.full((32, 32), 9, np.uint8), 16)).all()


def test_hog_puts_a_gradient_into_the_bin_of_its_direction() -> None:
    """Brightness that grows to the right has its gradient at 0°, in the first of eight bins of each cell."""
    ramp = np.broadcast_to(np.arange(0, 192, 4, dtype=np.uint8), (48, 48))
    bins = hog(np.ascontiguousarray(ramp), 16).reshape(-1, 8)
    assert len(bins) == 2 * 2 * 4  # blocks of 2×2 cells, of the 3×3 cells there are
    assert (bins[:, 0] > 0.4).all()
    assert bins[:, 1:] == pytest.approx(0)


def test_sobel_stands_behind_hog_as_the_mean_amplitude_of_each_cell() -> None:
    crop = np.zeros((48, 50), np.uint8)[:, :48]
    crop = np.ascontiguousarray(crop)
    crop[:, 24:] = 100  # an edge in the middle cells: two columns of 4 · 100
    found = hog_and_sobel(crop, 16)
    plain = hog(crop, 16)
    assert np.array_equal(found[: plain.size], plain)
    assert found[plain.size :].reshape(3, 3) == pytest.approx(np.array([[0, 2 * 400 / 16, 0]] * 3))


@pytest.mark.parametrize(("name", "package"), [("skimage", "scikit-image"), ("sklearn", "scikit-learn")])
def test_a_missing_package_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        BlemishError, match=rf"^A row needs {package}, .*not installed\. Run: pip install {package}$"
    ):
        require_packages(TypeFeatures.packages, "A row")
