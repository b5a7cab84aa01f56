"""Marked defects pasted into clean images: what changes there, where they go, and which are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.methods.common.copy_paste import FEATHER, TRIES, DefectPaster, PastedDefect
from blemish.methods.common.patches import marked_defects

Image = tuple[NDArray[Any], NDArray[np.uint8]]


def surface(level: float, size: tuple[int, int] = (60, 80), *, seed: int = 0, channels: int = 0) -> Image:
    shape = (*size, channels) if channels else size
    noise = np.random.default_rng(seed).normal(level, 3, shape)
    return noise.round().clip(0, 255).astype(np.uint8), np.zeros(size, np.uint8)


def with_defect(image: Image, left: int, top: int, *, label: int = 1, contrast: int = -40) -> Image:
    """An L of 12 × 9 pixels, which no turn or mirror leaves as it is."""
    pixels, classes = image[0].astype(np.int64), image[1].copy()
    classes[top : top + 12, left : left + 3] = label
    classes[top + 9 : top + 12, left : left + 9] = label
    pixels[classes == label] += contrast
    return pixels.clip(0, 255).astype(np.uint8), classes


def paster(images: Sequence[Image], *, quarters: bool = False, mirrored: bool = False) -> DefectPaster:
    marked = marked_defects([classes for _, classes in images], join_distance=4)
    return DefectPaster(images.__getitem__, len(images), marked, quarters=quarters, mirrored=mirrored)


def draws(source: DefectPaster, number: int = 40) -> list[PastedDefect]:
    generator = np.random.default_rng(0)
    found = [source.draw(generator) for _ in range(number)]
    return [each for each in found if each is not None]


def distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of each pixel to the nearest of the mask, by brute force."""
    rows, columns = np.indices(mask.shape)
    places = np.argwhere(mask)
    return np.hypot(rows[..., None] - places[:, 0], columns[..., None] - places[:, 1]).min(axis=-1)


@pytest.mark.parametrize("channels", [0, 3])
def test_marks_are_the_pasted_pixels_and_nothing_changes_beyond_the_feather(channels: int) -> None:
    source = with_defect(surface(120, channels=channels), 20, 15)
    clean = surface(120, seed=1, channels=channels)
    found = draws(paster([source, clean], quarters=True, mirrored=True))
    assert len(found) == 40
    level = source[0][source[1] == 0].mean()
    for each in found:
        marked = each.classes == 1
        assert each.defect.sample == 1
        assert marked.sum() == (source[1] == 1).sum()
        far = distance_to(marked) > FEATHER + 1
        np.testing.assert_array_equal(each.pixels[far], clean[0][far])
        # The marks hold the defect's own pixels, up to the change of brightness of its place.
        np.testing.assert_allclose(
            np.sort(each.pixels[marked].ravel()), np.sort(source[0][source[1] == 1].ravel()), atol=4
        )
        assert each.pixels[marked].mean() == pytest.approx(level - 40, abs=4)
        left, top, right, bottom = (round(value) for value in each.defect.box_xyxy)
        assert marked[top:bottom, left:right].sum() == marked.sum()
        assert (marked.any(axis=0).sum(), marked.any(axis=1).sum()) == (right - left, bottom - top)
    assert clean[1].sum() == 0  # the image that was read stays as it was


def test_a_part_keeps_its_form_or_turns_and_mirrors_where_that_is_allowed() -> None:
    source, clean = with_defect(surface(120), 20, 15), surface(120, seed=1)

    def forms(**allowed: bool) -> set[bytes]:
        found = set()
        for each in draws(paster([source, clean], **allowed), 80):
            rows, columns = np.nonzero(each.classes)
            part = each.classes[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            found.add(bytes([*part.shape]) + part.tobytes())
        return found

    assert [len(forms(quarters=q, mirrored=m)) for q, m in ((0, 0), (0, 1), (1, 0), (1, 1))] == [1, 4, 4, 8]


@pytest.mark.parametrize(("level", "gain"), [(60, 0.5), (90, 0.75), (180, 1.5), (40, 0.5)])
def test_brightness_is_that_of_the_place_and_contrast_goes_with_it(level: int, gain: float) -> None:
    source, clean = with_defect(surface(120), 20, 15, contrast=-30), surface(level, seed=1)
    for each in draws(paster([source, clean])):
        contrast = each.pixels[each.classes == 1].mean() - level
        assert contrast == pytest.approx(-30 * gain, abs=3)


def test_existing_marks_are_never_covered_not_even_by_the_feather() -> None:
    """Every image has a defect, so that those are pasted beside others."""
    images = [with_defect(surface(120, seed=seed), 10 + 20 * seed, 20, label=1 + seed) for seed in range(3)]
    found = draws(paster(images), 60)
    assert found
    for each in found:
        pixels, classes = images[each.defect.sample]
        before = classes > 0
        np.testing.assert_array_equal(each.classes[before], classes[before])
        np.testing.assert_array_equal(each.pixels[before], pixels[before])
        added = (each.classes > 0) & ~before
        assert added.sum() == 54  # the whole L
        assert distance_to(before)[added].min() > 1


def test_places_are_all_over_the_image_and_clean_images_are_preferred() -> None:
    images = [with_defect(surface(120), 20, 15), surface(120, seed=1), surface(120, seed=2)]
    found = draws(paster(images), 300)
    assert {each.defect.sample for each in found} == {1, 2}
    corners = np.array([each.defect.box_xyxy[:2] for each in found])
    margin = FEATHER + 1
    np.testing.assert_array_equal(corners.min(axis=0), (margin, margin))
    np.testing.assert_array_equal(corners.max(axis=0), (80 - 9 - margin, 60 - 12 - margin))


def test_classes_are_drawn_equally_often() -> None:
    images = [with_defect(surface(120, seed=seed), 20, 15, label=2 if seed else 1) for seed in range(6)]
    found = draws(paster([*images, surface(120, seed=9)]), 400)
    labels = np.bincount([each.defect.label for each in found])
    assert labels.sum() == 400
    assert abs(labels[0] - labels[1]) < 80  # four standard deviations


@pytest.mark.parametrize(
    "images",
    [
        [surface(120)],
        [with_defect(surface(120), 0, 15), surface(120)],
        [with_defect(surface(120), 71, 15), surface(120)],
        [with_defect(surface(120), 20, 15), surface(120, (15, 80))],
    ],
    ids=["no defect", "at the left edge", "at the right edge", "an image too small"],
)
def test_nothing_is_pasted_where_nothing_fits(images: list[Image]) -> None:
    assert draws(paster(images), TRIES) == []


def test_bit_depths_may_differ() -> None:
    source = with_defect(surface(120), 20, 15)
    clean = surface(120, seed=1)
    for each in draws(paster([source, (clean[0].astype(np.uint16) * 257, clean[1])]), 5):
        assert each.pixels.dtype == np.uint16
        assert each.pixels[each.classes == 1].mean() / 257 == pytest.approx(80, abs=4)


def test_a_defect_amid_another_is_not_moved_as_no_surface_tells_its_brightness() -> None:
    pixels, classes = with_defect(surface(120), 20, 15)
    classes[5:40, 5:60][classes[5:40, 5:60] == 0] = 2
    amid = DefectPaster(
        [(pixels, classes), surface(120, seed=1)].__getitem__,
        2,
        [each for each in marked_defects([classes], join_distance=4) if each.label == 0],
        quarters=False,
        mirrored=False,
    )
    assert len(amid.marked) == 1
    assert draws(amid) == []
