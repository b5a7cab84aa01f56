"""Near copies: planted ones are found whatever was done to them, other pieces of the same texture are not."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.near_duplicates import (
    MAX_SHIFT,
    SIDE,
    candidate_pairs,
    fingerprints,
    near_duplicates,
    peaks,
    small_image,
    unit,
    waves_of,
)
from blemish.dataset.synthetic import synthesise
from blemish.images.decode import luminance, read_image

GrayImage = NDArray[np.uint8]


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> list[GrayImage]:
    """15 pieces of each of eight textures, half of them with defects."""
    root = tmp_path_factory.mktemp("surfaces") / "data"
    dataset = synthesise(root, surfaces=None, images=120, seed=3, size=(160, 200))
    return [np.asarray(luminance(read_image(sample.image)), np.uint8) for sample in dataset]


def stored(image: GrayImage, quality: int) -> GrayImage:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def shifted(image: GrayImage, right: float, down: float) -> GrayImage:
    size = image.shape[1], image.shape[0]
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REFLECT), np.uint8)


def rescaled(image: GrayImage, gain: float, offset: float) -> GrayImage:
    return np.clip(image * gain + offset, 0, 255).astype(np.uint8)


CHANGES = {
    "stored": lambda image: stored(image, 75),
    "stored worse": lambda image: stored(image, 60),
    "shifted": lambda image: shifted(image, 3, -2),
    "shifted by part of a pixel": lambda image: shifted(image, 1.5, 0.5),
    "darker": lambda image: rescaled(image, 0.6, 5),
    "brighter": lambda image: rescaled(image, 1.1, 10),
    "all of it": lambda image: stored(rescaled(shifted(image, 2, 2), 0.8, 10), 80),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_and_nothing_else(surfaces: list[GrayImage], change: str) -> None:
    changed = [CHANGES[change](image) for image in surfaces[::3]]
    pairs = near_duplicates([small_image(image) for image in (*surfaces, *changed)])
    planted = {(3 * number, len(surfaces) + number) for number in range(len(changed))}
    found = {(pair.first, pair.second) for pair in pairs}
    assert found <= planted, "a false alarm"
    assert len(found) >= 0.95 * len(planted)


def test_different_pieces_of_one_texture_are_no_copies(surfaces: list[GrayImage]) -> None:
    assert near_duplicates([small_image(image) for image in surfaces]) == []


def test_parts_in_one_place_are_no_copies_and_their_copies_are() -> None:
    """Aligned images of one part share its shape; only its surface tells it from the next."""
    generator = np.random.default_rng(0)
    shape = np.zeros((128, 128), np.float32)
    cv2.circle(shape, (64, 64), 40, 60.0, -1)
    cv2.rectangle(shape, (50, 50), (80, 60), 90.0, -1)
    parts = []
    for _ in range(40):
        surface = cv2.GaussianBlur(generator.normal(0, 60, shape.shape).astype(np.float32), (0, 0), 1.5)
        parts.append(np.clip(100 + shape + surface, 0, 255).astype(np.uint8))
    pairs = near_duplicates([small_image(each) for each in (*parts, stored(parts[7], 75))])
    assert [(pair.first, pair.second) for pair in pairs] == [(7, 40)]


def test_agreement_is_that_of_the_whole_phase_correlation(surfaces: list[GrayImage]) -> None:
    """Against the inverse Fourier transform of the same cross-power spectrum, at all shifts."""
    small = [small_image(image) for image in (surfaces[0], shifted(surfaces[0], 4, 2), surfaces[8])]
    phases = unit(waves_of(small))
    high = (phases.shape[1] - 1) // 2
    for pair in ((0, 1), (0, 2)):
        whole = np.zeros((SIDE, SIDE // 2 + 1), np.complex128)
        whole[np.r_[-high : high + 1], : high + 1] = phases[pair[0]] * phases[pair[1]].conj()
        surface = np.fft.irfft2(whole, s=(SIDE, SIDE))
        flat = np.zeros_like(whole)
        flat[np.r_[-high : high + 1], : high + 1] = np.abs(phases).max(axis=0) > 0
        near = np.r_[0 : MAX_SHIFT + 1, -MAX_SHIFT:0]
        expected = surface[near][:, near].max() / np.fft.irfft2(flat, s=(SIDE, SIDE))[0, 0]
        assert peaks(phases, np.array([pair]))[0] == pytest.approx(expected, rel=0.02)


def test_candidates_are_found_by_brute_force_likeness(surfaces: list[GrayImage]) -> None:
    prints = fingerprints(waves_of([small_image(image) for image in surfaces[:20]]))
    likeness = prints @ prints.T - 2 * np.eye(20)
    expected = {(min(i, int(j)), max(i, int(j))) for i in range(20) for j in np.argsort(-likeness[i])[:4]}
    assert {tuple(pair) for pair in candidate_pairs(prints, np.arange(20)).tolist()} == expected
    groups = np.array([0] * 3 + [1] * 17)
    likeness[groups[:, None] == groups] = -2
    expected = {(min(i, int(j)), max(i, int(j))) for i in range(20) for j in np.argsort(-likeness[i])[:3]}
    assert {tuple(pair) for pair in candidate_pairs(prints, groups).tolist()} == expected


def test_copies_between_two_groups_are_found_whatever_each_holds_many_times(
    surfaces: list[GrayImage],
) -> None:
    images = [stored(surfaces[0], quality) for quality in range(80, 100)] + surfaces[3:30:3]
    groups = [0, 1] * 10 + [0] * 9
    pairs = near_duplicates([small_image(image) for image in images], groups=groups)
    assert {number for pair in pairs for number in (pair.first, pair.second)} == set(range(20))
    assert all(groups[pair.first] != groups[pair.second] for pair in pairs)
    assert near_duplicates([small_image(surfaces[0])] * 2, groups=[1, 1]) == []


def test_flat_pictures_and_few_of_them() -> None:
    flat = small_image(np.full((30, 40), 90, np.uint8))
    assert near_duplicates([]) == near_duplicates([flat]) == near_duplicates([flat, flat, flat]) == []


def test_two_thousand_pictures_take_seconds() -> None:
    generator = np.random.default_rng(0)
    small = [generator.normal(size=(SIDE, SIDE)).astype(np.float16) for _ in range(2000)]
    start = time.process_time()
    assert near_duplicates(small) == []
    assert time.process_time() - start < 15


@pytest.mark.parametrize(("name", "most"), [("neu-det", 40), ("bc-defects", 80)])
def test_real_surfaces_have_few_and_planted_copies_are_among_them(
    data_root: Path, name: str, most: int
) -> None:
    """The pairs found were checked by eye: the same steel or cap photographed again."""
    if not (data_root / name).is_dir():
        pytest.skip(f"no {name}")
    samples = load_dataset(data_root / name).samples
    images = [np.asarray(luminance(read_image(each.image)), np.uint8) for each in samples]
    copies = [stored(shifted(image, 2, 1), 80) for image in images[::20]]
    pairs = near_duplicates([small_image(image) for image in (*images, *copies)])
    found = {(pair.first, pair.second) for pair in pairs}
    own = [(20 * number, len(images) + number) in found for number in range(len(copies))]
    assert np.mean(own) >= 0.95
    assert sum(second < len(images) for _, second in found) <= most
