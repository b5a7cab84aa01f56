from dataclasses import dataclass

import numpy as np
import pytest

from blemish.images.photometric import photometric_jitter


@dataclass(frozen=True)
class Ranges:
    contrast: float = 0.0
    illumination: float = 0.0
    noise: float = 0.0


STILL = Ranges()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_nothing_allowed_gives_planes_of_full_scale(dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (5, 7, 3), dtype)
    planes = photometric_jitter(pixels, np.random.default_rng(0), STILL)
    assert planes.shape == (3, 5, 7)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes.transpose(1, 2, 0), pixels / np.iinfo(dtype).max, atol=1e-6)
    assert photometric_jitter(pixels[..., 0], np.random.default_rng(0), STILL).shape == (1, 5, 7)


def test_contrast_keeps_the_mean_and_scales_the_spread_within_its_range() -> None:
    pixels, generator = (
        np.random.default_rng(0).integers(60, 190, (40, 40), np.uint8),
        np.random.default_rng(1),
    )
    plain = photometric_jitter(pixels, generator, STILL)
    drawn = [photometric_jitter(pixels, generator, Ranges(contrast=0.3)) for _ in range(200)]
    gains = [float(each.std() / plain.std()) for each in drawn]
    assert 0.7 <= min(gains) < 0.72
    assert 1.28 < max(gains) <= 1.3001
    np.testing.assert_allclose([each.mean() for each in drawn], plain.mean(), atol=1e-5)


def test_light_may_leave_the_range_and_follows_the_generator() -> None:
    white = np.full((4, 4), 255, np.uint8)
    changes = Ranges(contrast=0.2, illumination=0.3, noise=0.1)
    drawn = [photometric_jitter(white, np.random.default_rng(seed), changes) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    generator = np.random.default_rng(2)
    assert max(float(photometric_jitter(white, generator, changes).max()) for _ in range(50)) > 1.1
