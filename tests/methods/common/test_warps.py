from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.methods.common.warps import IGNORED, draw_warp, elastic_field, folded

CHANGES = {
    "rotation_deg": 180,
    "translation": 0.2,
    "zoom": 0.3,
    "shear": 0.3,
    "elastic_alpha": 3,
    "flips": True,
}
SIDE = 128
MIDDLE = (SIDE / 2, SIDE / 2)


@dataclass(frozen=True)
class Ranges:
    rotation_deg: float = 0.0
    translation: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    elastic_alpha: float = 0.0
    elastic_sigma: float = 20.0
    flips: bool = False


def disc(x: float, y: float, radius: float, side: int = SIDE) -> NDArray[np.bool_]:
    rows, columns = np.indices((side, side)) + 0.5
    return np.hypot(columns - x, rows - y) <= radius


def centroid(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.argwhere(mask).mean(axis=0)


def test_nothing_allowed_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 65536, (SIDE, SIDE, 3), np.uint16)
    mask = generator.random((SIDE, SIDE)) < 0.3
    warp = draw_warp(SIDE, Ranges(), generator)
    np.testing.assert_array_equal(warp.image(pixels, MIDDLE), pixels)
    np.testing.assert_array_equal(warp.truth(mask, MIDDLE), mask)


def test_a_still_warp_about_another_centre_is_the_slice_there() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)
    warp = draw_warp(32, Ranges(), np.random.default_rng(0))
    np.testing.assert_array_equal(warp.image(pixels, (100, 60)), pixels[44:76, 84:116])


@pytest.mark.parametrize("changes", [{name: value} for name, value in CHANGES.items()] + [CHANGES])
def test_image_and_mask_move_alike(changes: dict[str, object]) -> None:
    """A disc that is bright in the image and marked in the mask comes out at one place, and not always the
    old one.
    """
    mask = disc(70, 55, 20)
    pixels = np.where(mask, 250, 5).astype(np.uint8)
    generator, places = np.random.default_rng(1), []
    for _ in range(10):
        warp = draw_warp(SIDE, Ranges(**changes), generator)
        truth = warp.truth(mask, MIDDLE)
        bright = (warp.image(pixels, MIDDLE) > 127) & (truth != IGNORED)
        assert np.count_nonzero(bright != (truth == 1)) <= 1
        np.testing.assert_allclose(centroid(bright), centroid(truth == 1), atol=0.05)
        places.append(centroid(truth == 1))
    assert np.ptp(places, axis=0).max() > (0.2 if changes.keys() == {"elastic_alpha"} else 1)


@pytest.mark.parametrize(
    "changes", [{"rotation_deg": 180}, {"shear": 0.4}, {"flips": True}, {"elastic_alpha": 3}]
)
def test_what_does_not_zoom_keeps_the_area(changes: dict[str, object]) -> None:
    mask, generator = disc(64, 64, 25), np.random.default_rng(2)
    areas = [
        np.count_nonzero(draw_warp(SIDE, Ranges(**changes), generator).truth(mask, MIDDLE) == 1)
        for _ in range(100)
    ]
    assert np.mean(areas) == pytest.approx(mask.sum(), rel=0.03)
    assert np.std(areas) < 0.12 * mask.sum()


def test_zoom_has_its_range() -> None:
    mask, generator = disc(64, 64, 25), np.random.default_rng(3)
    changed = Ranges(zoom=0.3)
    ratios = [
        np.sqrt(np.count_nonzero(draw_warp(SIDE, changed, generator).truth(mask, MIDDLE) == 1) / mask.sum())
        for _ in range(200)
    ]
    assert 0.69 < min(ratios) < 0.73
    assert 1.27 < max(ratios) < 1.31


def test_turns_and_moves_have_their_ranges() -> None:
    """Two discs tell by how much they were turned, and the middle by how much it was moved."""
    generator, changed = np.random.default_rng(4), Ranges(rotation_deg=25, translation=0.1)
    angles, moves = [], []
    for _ in range(200):
        warp = draw_warp(SIDE, changed, generator)
        left, right = (centroid(warp.truth(disc(x, 64, 8), MIDDLE) == 1) for x in (44, 84))
        angles.append(np.degrees(np.arctan2(*(right - left))))
        moves.append((left + right) / 2 + 0.5 - 64)
    assert -25.5 < min(angles) < -23
    assert 23 < max(angles) < 25.5
    assert np.abs(moves).max() == pytest.approx(0.1 * SIDE, abs=0.5)


def test_flips_are_all_four_equally_often() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)
    generator, flipped = np.random.default_rng(5), Ranges(flips=True)
    counts = [0, 0, 0, 0]
    for _ in range(80):
        drawn = draw_warp(SIDE, flipped, generator).image(pixels, MIDDLE)
        versions = (pixels, pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1])
        (number,) = [number for number, version in enumerate(versions) if np.array_equal(drawn, version)]
        counts[number] += 1
    assert min(counts) >= 10


@pytest.mark.parametrize("sigma", [1.5, 6.0, 20.0, 43.0])
def test_elastic_displacements_are_as_long_as_set_everywhere(sigma: float) -> None:
    """Root mean square over many fields, whole and along the border, where a filter sees less noise."""
    generator = np.random.default_rng(6)
    fields = np.stack([elastic_field(96, alpha=5.0, sigma=sigma, generator=generator) for _ in range(300)])
    assert fields.shape == (300, 96, 96, 2)
    for part in (fields, fields[:, 0], fields[:, :, -1]):
        assert np.sqrt(np.square(part).mean()) == pytest.approx(5.0, rel=0.06)


def test_elastic_displacements_are_as_smooth_as_set() -> None:
    """White noise smoothed by a Gaussian of σ has at distance d the correlation exp(−d² / 4σ²)."""
    generator = np.random.default_rng(7)
    fields = np.stack([elastic_field(128, alpha=1.0, sigma=10.0, generator=generator) for _ in range(100)])
    for distance in (5, 10, 20):
        correlation = (fields[:, distance:] * fields[:, :-distance]).mean()
        assert correlation == pytest.approx(np.exp(-(distance**2) / 400), abs=0.05)


def test_the_same_seed_gives_the_same_warp_and_another_another() -> None:
    first, again, other = (
        draw_warp(SIDE, Ranges(**CHANGES), np.random.default_rng(seed)).places_xy for seed in (8, 8, 9)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_beyond_the_image_is_mirrored_and_no_truth() -> None:
    pixels = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8)
    warp = draw_warp(32, Ranges(), np.random.default_rng(0))
    truth = warp.truth(
        np.ones((6, 8), bool), (4, 3)
    )  # the image's middle: it lies in rows 13…18, columns 12…19
    expected = np.full((32, 32), IGNORED)
    expected[13:19, 12:20] = 1
    np.testing.assert_array_equal(truth, expected)
    padded = np.pad(pixels, ((13, 13), (12, 12)), mode="reflect")
    np.testing.assert_array_equal(warp.image(pixels, (4, 3)), padded)


def test_image_of_one_pixel() -> None:
    warp = draw_warp(16, Ranges(**CHANGES), np.random.default_rng(0))
    assert (warp.image(np.full((1, 1), 9, np.uint8), (0.5, 0.5)) == 9).all()


def test_image_larger_than_opencv_can_remap() -> None:
    pixels = np.zeros((40, 40000), np.uint8)
    pixels[:, 39000:] = 200
    drawn = draw_warp(32, Ranges(), np.random.default_rng(0)).image(pixels, (39000, 20))
    np.testing.assert_array_equal(drawn, np.repeat([[0] * 16 + [200] * 16], 32, axis=0))


def test_folded_places_agree_with_numpys_reflection() -> None:
    places, start, stop = folded(np.arange(-20, 30, dtype=np.float32), 7)
    np.testing.assert_array_equal(places + start, np.pad(np.arange(7), (20, 23), mode="reflect"))
    assert (start, stop) == (0, 7)


def test_a_defect_of_one_pixel_stays_in_every_draw_and_where_it_is() -> None:
    generator, changed = np.random.default_rng(9), Ranges(**{**CHANGES, "translation": 0.05})
    for _ in range(200):
        mask = np.zeros((SIDE, SIDE), bool)
        row, column = generator.integers(50, 78, 2)
        mask[row, column] = True
        warp = draw_warp(SIDE, changed, generator)
        marked = warp.truth(mask, MIDDLE) == 1
        assert 1 <= marked.sum() <= 6  # a zoom of 1.3 on either axis, between pixels
        places = warp.places_xy[marked] + SIDE / 2 - 0.5
        assert np.abs(places - (column, row)).max() < 1


def test_a_large_defect_ends_where_half_a_pixel_is_covered() -> None:
    """What the linear map of its mask says, and no more: the rule for small ones does not let it grow."""
    mask, generator = disc(64, 64, 25), np.random.default_rng(10)
    for _ in range(10):
        warp = draw_warp(SIDE, Ranges(**CHANGES), generator)
        coverage = warp.image(mask.view(np.uint8) * np.uint8(255), MIDDLE)
        truth = warp.truth(mask, MIDDLE)
        np.testing.assert_array_equal(truth[truth != IGNORED] == 1, coverage[truth != IGNORED] > 127)
