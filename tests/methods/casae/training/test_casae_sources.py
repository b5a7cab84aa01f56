from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.defect import Rectangle
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.casae.training.sources import (
    SECOND,
    MapSource,
    TypeSource,
    draw_center,
    jittered,
    squeezed,
)
from blemish.methods.common.patches import marked_defects

QUIET = {"noise": 0, "illumination": 0, "contrast": 0}
STILL = {
    **QUIET,
    "rotation_deg": 0,
    "translation": 0,
    "zoom": 0,
    "shear": 0,
    "elastic_alpha": 0,
    "flips": False,
    "types_jitter": 0,
    "types_rotation_deg": 0,
}
BRIGHT = {1: 230, 2: 160}


def drawn_sample(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Three images: one with two defects of different class, one with a slanted defect, one clean."""
    classes = np.zeros((200, 260), np.uint8)
    if number == 0:
        classes[40:60, 50:80] = 1
        classes[150:170, 200:210] = 2
    if number == 1:
        corners = cv2.boxPoints(((120, 90), (80, 20), 30))
        cv2.fillConvexPoly(classes, np.round(corners).astype(np.int32), 2)
    pixels = np.full(classes.shape, 90, np.uint8)
    for value, brightness in BRIGHT.items():
        pixels[classes == value] = brightness
    return pixels, classes


MARKED = marked_defects((drawn_sample(number)[1] for number in range(3)), join_distance=4)


def settings(**changes: object) -> CasaeSettings:
    return CasaeSettings.model_validate({"preset": "tiny", "batch": 4, **changes})


def maps(seed: int = 0, **changes: object) -> MapSource:
    return MapSource(settings(**changes), drawn_sample, samples=3, marked=MARKED, seed=seed)


def types(**changes: object) -> TypeSource:
    return TypeSource(settings(**changes), drawn_sample, MARKED, seed=0)


def test_marked_defects_have_class_and_smallest_rectangle() -> None:
    assert [(defect.sample, defect.label) for defect in MARKED] == [(0, 0), (0, 1), (1, 1)]
    straight, _, slanted = (defect.rectangle for defect in MARKED)
    assert straight == Rectangle((65, 50), 30, 20, 0)
    assert slanted.center_xy == pytest.approx((120.5, 90.5), abs=1)
    assert slanted.length == pytest.approx(81, abs=2)
    assert slanted.angle_deg == pytest.approx(30, abs=1)


@pytest.mark.parametrize("tiled", [False, True])
def test_image_and_truth_move_together(tiled: bool) -> None:
    sides = {"size": 128, **({"patch": 128} if tiled else {})}
    source = maps(tiled=tiled, elastic_sigma=20, **sides, **QUIET)
    for step in range(8):
        batch = source.draw(step, 0)
        images, truth = batch["images"].numpy(), batch["truth"].numpy()
        assert images.shape == (4, 1, 128, 128)
        assert images.dtype == np.float32
        assert truth.shape == (4, 128, 128)
        assert truth.dtype == np.int64
        assert set(np.unique(truth)) <= {-1, 0, 1}
        for image, marked in zip(images[:, 0] * 255, truth, strict=True):
            assert 89 <= image.min() <= image.max() <= 231
            # Both are halved at edges, of which a corner that is resized and warped may lie on either side.
            assert np.count_nonzero(image[marked == 1] < 105) <= 3
            assert np.count_nonzero(image[marked == 0] > 200) <= 3


def test_a_still_whole_image_is_the_resized_one() -> None:
    source = maps(size=96, defect_share=0, **STILL)
    smaller = [
        cv2.resize(drawn_sample(number)[0], (96, 96), interpolation=cv2.INTER_AREA) for number in range(3)
    ]
    numbers = set()
    for image in source.draw(0, 0)["images"].numpy()[:, 0]:
        (number,) = [n for n in range(3) if np.allclose(image * 255, smaller[n], atol=1e-3)]
        numbers.add(number)
    assert len(numbers) > 1


def test_defect_share_says_how_many_draws_show_one() -> None:
    """One image of twenty has a defect."""

    def read(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return drawn_sample(0 if number == 7 else 2)

    marked = [replace(defect, sample=7) for defect in MARKED[:2]]
    for tiled in (False, True):
        for share, low, high in ((0.0, 0.0, 0.15), (0.5, 0.42, 0.65), (1.0, 0.97, 1.0)):
            sides = {"size": 32, **({"patch": 32} if tiled else {})}
            chosen = settings(tiled=tiled, defect_share=share, **sides)
            source = MapSource(chosen, read, samples=20, marked=marked, seed=0)
            shown = [(source.draw(step, 0)["truth"] == 1).any((1, 2)).numpy() for step in range(40)]
            assert low <= np.mean(shown) <= high


def test_batches_follow_from_seed_stage_step_and_rank() -> None:
    source = maps()
    first = source.draw(3, 0)
    again = maps().draw(3, 0)
    for name, values in first.items():
        np.testing.assert_array_equal(values.numpy(), again[name].numpy())
    others = [
        maps(seed=1).draw(3, 0),
        source.draw(4, 0),
        source.draw(3, 1),
        MapSource(source.settings, drawn_sample, samples=3, marked=MARKED, seed=0, stage=SECOND).draw(3, 0),
    ]
    assert all((first["images"] != other["images"]).any() for other in others)


def test_images_of_mixed_size_depth_and_colour() -> None:
    def read(number: int) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], NDArray[np.uint8]]:
        size = [(30, 200), (300, 40), (1, 1)][number]
        depth = np.uint16 if number else np.uint8
        return np.full((*size, 3), np.iinfo(depth).max, depth), np.ones(size, np.uint8)

    marked = marked_defects((read(number)[1] for number in range(3)), join_distance=4)
    for tiled in (False, True):
        chosen = settings(tiled=tiled, channels=3, **QUIET)
        batch = MapSource(chosen, read, samples=3, marked=marked, seed=0).draw(0, 0)
        assert batch["images"].shape == (4, 3, 64, 64)
        np.testing.assert_allclose(batch["images"], 1, atol=1e-5)
        assert set(np.unique(batch["truth"])) <= {-1, 1}  # a mask that is all defect
    crops = TypeSource(settings(channels=3, **QUIET), read, marked, seed=0).draw(0, 0)["images"]
    assert crops.shape == (8, 1, 99, 99)
    np.testing.assert_allclose(crops, 1, atol=1e-5)


def test_squeezing_keeps_half_covered_pixels_and_small_defects() -> None:
    mask = np.zeros((400, 400), bool)
    mask[100:203, 100:206] = True  # to 10 to a side: rows 10…20.3, columns 10…20.6
    mask[333, 357] = True  # a hundredth of a pixel
    smaller = squeezed(mask, 40)
    expected = np.zeros((40, 40), bool)
    expected[10:20, 10:21] = True
    expected[33, 35] = True
    np.testing.assert_array_equal(smaller, expected)


def test_squeezing_enlarges_a_small_mask_without_drift() -> None:
    mask = np.zeros((16, 32), bool)
    mask[4:8, 8:16] = True
    larger = squeezed(mask, 64)
    rows, columns = np.nonzero(larger)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((24, 24), abs=0.3)
    assert larger.mean() == pytest.approx(mask.mean(), rel=0.1)
    assert not squeezed(np.zeros((5, 5), bool), 16).any()


def test_patches_lie_in_the_image_on_whole_pixels_and_about_the_defect() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        x, y = draw_center(MARKED[2], (200, 260), 64, generator)
        assert x % 1 == y % 1 == 0
        assert 32 <= x <= 228
        assert 32 <= y <= 168
        assert max(abs(x - 120.5), abs(y - 90.5)) <= 45 + 16
    anywhere = np.array([draw_center(None, (200, 260), 64, generator) for _ in range(300)])
    assert np.ptp(anywhere, axis=0) == pytest.approx([196, 136], abs=12)
    assert draw_center(None, (30, 40), 64, generator) == (20, 15)


def test_types_are_drawn_equally_often_and_are_what_their_crops_show() -> None:
    """Class 0 has one example and class 1 two; brightness tells them apart."""
    labels = []
    for step in range(20):
        batch = types(**QUIET).draw(step, 0)
        assert batch["images"].shape == (8, 1, 99, 99)
        assert batch["labels"].shape == (8,)
        for image, label in zip(batch["images"].numpy()[:, 0], batch["labels"].tolist(), strict=True):
            assert np.median(image) * 255 == pytest.approx(BRIGHT[label + 1], abs=3)
            labels.append(label)
    assert 0.4 < np.mean(labels) < 0.6


def test_types_without_examples_are_never_drawn() -> None:
    source = TypeSource(settings(), drawn_sample, [defect for defect in MARKED if defect.label == 1], seed=0)
    assert set(source.draw(0, 0)["labels"].tolist()) == {1}


def test_a_still_crop_shows_the_slanted_defect_alone() -> None:
    source = TypeSource(settings(**STILL), drawn_sample, MARKED[2:], seed=0)
    image = source.draw(0, 0)["images"].numpy()[0, 0] * 255
    assert (image > 125).mean() > 0.9


def test_type_batches_differ_by_step_and_follow_the_seed() -> None:
    first, again, other = types().draw(1, 0), types().draw(1, 0), types().draw(2, 0)
    np.testing.assert_array_equal(first["images"].numpy(), again["images"].numpy())
    assert (first["images"] != other["images"]).any()


def test_jitter_stays_in_its_ranges_and_keeps_a_scratch_in_its_crop() -> None:
    generator, chosen = np.random.default_rng(0), settings(types_jitter=0.1, types_rotation_deg=10)
    spot, scratch = Rectangle((50, 50), 40, 30, 0), Rectangle((50, 50), 400, 4, 0)
    spots = [jittered(spot, chosen, generator) for _ in range(300)]
    assert max(abs(one.angle_deg) for one in spots) == pytest.approx(10, abs=0.3)
    assert max(one.length for one in spots) == pytest.approx(44, abs=0.2)
    assert min(one.width for one in spots) == pytest.approx(27, abs=0.2)
    assert max(np.hypot(*np.subtract(one.center_xy, 50)) for one in spots) <= 5
    scratches = [jittered(scratch, chosen, generator) for _ in range(300)]
    ends = [200 * np.sin(np.radians(abs(one.angle_deg))) for one in scratches]
    assert 0.8 < max(ends) <= 1  # by a quarter of its width at most


@pytest.mark.parametrize("tiled", [False, True])
def test_a_share_of_draws_has_a_pasted_defect_and_its_truth(tiled: bool) -> None:
    """Image 2 is clean, so that a defect in an image drawn from it was pasted; it is bright and marked."""
    read: list[int] = []

    def noted(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        read.append(number)
        return drawn_sample(number)

    side = {"patch": 256, "tiled": True} if tiled else {"size": 128}
    chosen = settings(copy_paste=0.5, defect_share=0, batch=1, **side, **STILL)
    source = MapSource(chosen, noted, samples=3, marked=MARKED, seed=0)
    clean_with_defect = 0
    for step in range(60):
        read.clear()
        batch = source.draw(step, 0)
        image, truth = batch["images"][0, 0].numpy(), batch["truth"][0].numpy()
        if read[-1] == 2 and (truth == 1).any():
            clean_with_defect += 1
            bright = image > (90 / 255 + image.max()) / 2
            wrong = (bright != (truth == 1)) & (truth >= 0)
            assert np.count_nonzero(wrong) <= 0.1 * np.count_nonzero(truth == 1)
    assert 15 <= clean_with_defect <= 45


def test_without_a_share_nothing_is_pasted_and_the_draws_are_those_of_before() -> None:
    source = maps(copy_paste=0.0)
    assert all((source.draw(step, 0)["truth"] <= 1).all() for step in range(3))
    assert "paster" not in vars(source)
