"""Surfaces: any size, a sensor's range, no repetition, and each like itself and unlike the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.synthetic import SURFACES
from blemish.dataset.synthetic.noise import cell_borders, rotated, smooth_noise
from blemish.dataset.synthetic.photograph import (
    BRIGHTEST,
    DARKEST,
    KNEE_HIGH,
    KNEE_LOW,
    Sensor,
    draw_sensor,
    expose,
    sensor_noise,
    within_range,
)

ALL = sorted(SURFACES)


def photographed(name, size, seed):
    generator = np.random.default_rng(seed)
    image = SURFACES[name](size, generator)
    return expose(image, sensor_noise(size, generator), draw_sensor(generator))


def test_the_surfaces_that_were_promised_are_there():
    assert len(SURFACES) >= 7
    assert {"woven_fabric", "brushed_metal", "cast_metal", "wood_grain"} <= set(SURFACES)


@pytest.mark.parametrize("size", [(97, 201), (48, 48), (300, 64), (2048, 96)])
@pytest.mark.parametrize("name", ALL)
def test_any_size_within_the_sensor_range(name, size):
    image = SURFACES[name](size, np.random.default_rng(3))
    assert image.shape == size
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert image.min() >= DARKEST and image.max() <= BRIGHTEST


def test_a_line_scan_picture():
    assert SURFACES["turned_metal"]((8192, 128), np.random.default_rng(0)).shape == (8192, 128)


@pytest.mark.parametrize("name", ALL)
def test_exposed_like_a_photograph(name):
    images = [photographed(name, (256, 256), seed) for seed in range(6)]
    for image in images:
        assert np.mean((image <= 2) | (image >= 253)) < 0.01
        assert 50 < image.mean() < 215
        assert 5 < image.std() < 45
        assert len(np.unique(image)) > 35
    assert np.ptp([image.mean() for image in images]) > 8  # brightness changes from part to part


@pytest.mark.parametrize("name", ALL)
def test_the_generator_decides_everything(name):
    assert np.array_equal(photographed(name, (64, 80), 5), photographed(name, (64, 80), 5))
    assert not np.array_equal(photographed(name, (64, 80), 5), photographed(name, (64, 80), 6))


@pytest.mark.parametrize("name", ["cast_metal", "leather", "concrete", "paper"])
def test_nothing_tiles(name):
    """Far from lag zero, the fine structure's autocorrelation (by Fourier transform) has no peak."""
    image = SURFACES[name]((256, 256), np.random.default_rng(1))
    spectrum = np.fft.fft2(image - image.mean())
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    power = np.where(frequency > 1 / 32, np.abs(spectrum) ** 2, 0)
    correlation = np.fft.ifft2(power).real
    correlation /= correlation[0, 0]
    assert np.abs(correlation[32:-32, :]).max() < 0.2
    assert np.abs(correlation[:, 32:-32]).max() < 0.2


def band_features(image):
    """Share of power in rings of the spectrum, how directed each ring is, and the histogram's skew."""
    values = image.astype(float)
    power = np.abs(np.fft.fft2((values - values.mean()) * np.outer(np.hanning(192), np.hanning(192)))) ** 2
    fy, fx = np.meshgrid(np.fft.fftfreq(192), np.fft.fftfreq(192), indexing="ij")
    radius, doubled = np.hypot(fy, fx), 2 * np.arctan2(fy, fx)
    features = []
    for low, high in [(0.02, 0.05), (0.05, 0.09), (0.09, 0.14), (0.14, 0.22), (0.22, 0.35), (0.35, 0.5)]:
        ring = (radius >= low) & (radius < high)
        features += [np.log(power[ring].mean() / values.mean() ** 2)]
        features += [4 * np.abs((power * np.exp(2j * doubled))[ring].sum()) / power[ring].sum()]
    centred = (values - values.mean()) / values.std()
    return np.array([*features, (centred**3).mean()])


def test_surfaces_are_told_apart_by_their_spectrum():
    """Leave-one-out nearest neighbour: a surface varies, but less than it differs from the others."""
    names = [name for name in ALL for _ in range(8)]
    features = np.array([band_features(photographed(n, (192, 192), [i, 9])) for i, n in enumerate(names)])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    found = [names[i] for i in distances.argmin(axis=1)]
    assert np.mean([a == b for a, b in zip(found, names, strict=True)]) > 0.9


@given(cell=st.floats(1, 40), wide=st.floats(1, 40), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_smooth_noise_has_unit_variance_and_the_cell_it_was_asked_for(cell, wide, seed):
    noise = smooth_noise((900, 900), (cell, wide), np.random.default_rng(seed))
    assert noise.shape == (900, 900)
    assert abs(noise.mean()) < 0.25
    assert 0.75 < noise.std() < 1.25
    # Half a cell away, the noise is still alike; three cells away it is not.
    near, far = max(1, round(cell / 4)), round(3 * cell) + 2
    assert np.mean(noise[near:] * noise[:-near]) > 0.3 * noise.var() or cell < 3
    assert abs(np.mean(noise[far:] * noise[:-far])) < 0.25


def test_rotation_turns_counterclockwise_pictures_of_lines_by_the_angle():
    """Lines along x, turned by 30°: brightness is constant along (cos 30°, sin 30°) in image axes."""
    lines = rotated(
        (101, 101), 30, lambda size: np.repeat(np.arange(size[0], dtype=np.float32)[:, None], size[1], 1)
    )
    step_y, step_x = np.gradient(lines)
    assert abs(np.median(step_x) / np.median(step_y)) == pytest.approx(np.tan(np.radians(30)), abs=0.01)


def test_cell_borders_against_brute_force():
    """Not below zero, near zero on a connected net of borders, and about one cell per cell area."""
    inside = cell_borders((200, 240), (16, 16), np.random.default_rng(0))
    assert inside.min() >= 0
    assert 0.02 < np.mean(inside < 0.06) < 0.4
    assert inside.max() > 0.6


def test_range_is_linear_between_the_knees_and_monotone_beyond():
    levels = np.linspace(-200, 500, 2001, dtype=np.float32)
    limited = within_range(levels)
    inside = (levels > KNEE_LOW) & (levels < KNEE_HIGH)
    assert np.array_equal(limited[inside], levels[inside])
    assert (np.diff(limited) >= 0).all()
    assert limited.min() >= DARKEST and limited.max() <= BRIGHTEST


def test_sensor_noise_grows_with_the_light():
    noise = sensor_noise((400, 400), np.random.default_rng(0))
    for level in (40.0, 200.0):
        image = expose(np.full((400, 400), level, np.float32), noise, Sensor(read=1.0, shot=0.02))
        expected = np.sqrt(1 + 0.02 * level + 1 / 12)  # rounding adds a twelfth
        assert image.std() == pytest.approx(expected, rel=0.02)
