from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.images.photometric import photometric_jitter


@dataclass(frozen=True)
class Ranges:
    contrast: float = 0.0
    illumination: float = 0.0
    noise: float = 0.0
    light_field: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    jpeg: float = 0.0


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


def ramp(channels: int = 0) -> NDArray[np.uint8]:
    values = np.linspace(20, 235, 64).round().astype(np.uint8)
    return np.tile(values.reshape(1, 64, *([1] * bool(channels))), (48, 1, *([channels] * bool(channels))))


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("name", ["light_field", "gamma", "blur", "jpeg"])
def test_every_change_keeps_the_shape_follows_the_generator_and_leaves_the_image_alone(
    name: str, channels: int
) -> None:
    image = ramp(channels)
    before = image.copy()
    changes = replace(STILL, **{name: 0.9})
    drawn = [photometric_jitter(image, np.random.default_rng(seed), changes) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(image, before)
    assert drawn[0].shape == (channels or 1, 48, 64)
    assert drawn[0].dtype == np.float32
    many = [photometric_jitter(image, np.random.default_rng(seed), changes) for seed in range(9)]
    assert (np.stack(many) != photometric_jitter(image, np.random.default_rng(0), STILL)).any()


def test_gamma_is_an_exponent_within_its_range() -> None:
    image, generator = ramp(), np.random.default_rng(0)
    plain = photometric_jitter(image, generator, STILL)
    exponents = []
    for _ in range(200):
        drawn = photometric_jitter(image, generator, replace(STILL, gamma=0.5))
        each = np.log(drawn) / np.log(plain)
        assert each.std() < 1e-3
        exponents.append(float(each.mean()))
    assert 1 / 1.5 <= min(exponents) < 0.69
    assert 1.45 < max(exponents) < 1.5001


def test_the_light_varies_slowly_and_within_its_range() -> None:
    image = np.full((90, 120), 100, np.uint8)
    drawn = [
        photometric_jitter(image, np.random.default_rng(s), replace(STILL, light_field=0.4))
        for s in range(60)
    ]
    factors = np.stack(drawn) / (100 / 255)
    assert 0.6 <= factors.min() < 0.75
    assert 1.25 < factors.max() <= 1.4
    assert (
        np.abs(np.diff(factors, axis=-1)).max() < 0.8 / 30
    )  # from one end to the other in 30 pixels at most
    assert np.ptp(factors[0]) > 0.01


def test_blur_keeps_the_mean_and_lowers_the_spread() -> None:
    image = np.random.default_rng(0).integers(60, 190, (64, 64), np.uint8)
    plain = photometric_jitter(image, np.random.default_rng(1), STILL)
    spreads = []
    for seed in range(40):
        drawn = photometric_jitter(image, np.random.default_rng(seed), replace(STILL, blur=1.5))
        assert drawn.mean() == pytest.approx(plain.mean(), abs=0.01)
        spreads.append(float(drawn.std() / plain.std()))
    assert max(spreads) <= 1.0001 and min(spreads) < 0.3


def test_jpeg_meets_its_share_of_the_images_with_the_loss_of_a_jpeg_file() -> None:
    image = np.random.default_rng(0).integers(60, 190, (64, 64), np.uint8)
    plain = photometric_jitter(image, np.random.default_rng(0), STILL)
    drawn = [
        photometric_jitter(image, np.random.default_rng(s), replace(STILL, jpeg=0.3)) for s in range(200)
    ]
    lossy = [each for each in drawn if (each != plain).any()]
    assert 40 <= len(lossy) <= 80
    stored = BytesIO()
    Image.fromarray(image).save(stored, "jpeg", quality=30)
    worst = np.abs(np.asarray(Image.open(stored)) / 255 - plain[0]).mean()
    losses = [np.abs(each - plain).mean() for each in lossy]
    assert 0 < min(losses) < max(losses) <= worst * 1.05
