from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.images.photometric import photometric_jitter
from blemish.methods.common.patches import marked_defects
from blemish.methods.common.warps import affine_patch
from blemish.methods.severity.labels import severity_labels
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.training.patches import PatchSource

QUIET = {"noise": 0, "illumination": 0, "contrast": 0}
STILL = {**QUIET, "flips": False, "rotation_deg": 0, "rotation_share": 0, "zoom": 0}


def drawn_sample() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A mid-gray image whose only bright pixels are its two defects of different class."""
    pixels, classes = np.full((200, 260), 90, np.uint8), np.zeros((200, 260), np.uint8)
    classes[40:60, 50:80] = 1
    classes[150:170, 200:210] = 2
    pixels[classes > 0] = 230
    return pixels, classes


def source(**changes: object) -> PatchSource:
    settings = SeveritySettings.model_validate(
        {"patch": 64, "cell": 1, "context": 1, "clean_share": 0, **changes}
    )
    return PatchSource(
        settings,
        lambda number: drawn_sample(),
        sizes=[(200, 260)],
        marked=marked_defects([drawn_sample()[1]], join_distance=4),
        scale=280.0,
    )


def draws(patches: PatchSource, number: int = 30) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    generator = np.random.default_rng(0)
    drawn = [patches.draw(generator) for _ in range(number)]
    return [(each["images"], each["severities"]) for each in drawn]


@pytest.mark.parametrize("sampling", ["around", "sliding"])
def test_image_and_severities_turn_together(sampling: str) -> None:
    """Where a patch is bright it is labelled, and nowhere else, but for a pixel that turning rounds either
    way.
    """
    for image, severities in draws(source(**QUIET, sampling=sampling)):
        assert image.shape == severities.shape == (1, 64, 64)
        assert image.dtype == severities.dtype == np.float32
        bright = image > (90 + 140 * 0.5) / 255
        assert np.count_nonzero(bright != (severities > 0)) <= 2


def test_most_patches_around_defects_show_one() -> None:
    shown = [severities.any() for _, severities in draws(source(), 60)]
    assert np.mean(shown) > 0.9


@pytest.mark.parametrize("flips", [False, True])
def test_a_patch_is_cut_exactly_about_its_centre(flips: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 260), dtype=np.uint8)
    patches, generator = source(**{**STILL, "flips": flips}), np.random.default_rng(0)
    crop = pixels[58:122, 68:132]
    kinds = set()
    for _ in range(20):
        patch = affine_patch(pixels, patches.transform((100, 90), (200, 260), generator), 64)
        kinds.add("plain" if np.array_equal(patch, crop) else "mirrored")
        assert np.array_equal(patch, crop) or np.array_equal(patch, crop[:, ::-1])
    assert kinds == ({"plain", "mirrored"} if flips else {"plain"})


def test_a_still_patch_has_the_label_makers_severities() -> None:
    for image, severities in draws(source(**STILL)):
        gray = np.round(image[0] * 255).astype(np.uint8)
        expected = severity_labels(gray, gray > 200, cell=1, scale=280.0, floor=6.0)
        np.testing.assert_allclose(severities[0], expected)


def test_labels_come_from_the_image_before_its_light_changes() -> None:
    """Contrast would scale the scores; brightness alone would not change them."""
    plain, brighter = (draws(source(**{**STILL, "contrast": contrast})) for contrast in (0.0, 0.5))
    for (image, severities), (brighter_image, brighter_severities) in zip(plain, brighter, strict=True):
        np.testing.assert_array_equal(severities, brighter_severities)
        assert np.abs(image - brighter_image).max() > 0.01


def test_photometric_changes_stay_in_the_ranges_of_the_settings() -> None:
    patches = source(illumination=0.1, contrast=0.2, noise=0.0)
    flat = np.full((64, 64), 128, np.uint8)
    generator = np.random.default_rng(0)
    shifts = [
        float(photometric_jitter(flat, generator, patches.settings).mean()) - 128 / 255 for _ in range(300)
    ]
    assert -0.1 <= min(shifts) < -0.09
    assert 0.09 < max(shifts) <= 0.1
    noisy = source(illumination=0, contrast=0, noise=0.05)
    spreads = [float(photometric_jitter(flat, generator, noisy.settings).std()) for _ in range(300)]
    assert 0.045 < max(spreads) < 0.053
    assert min(spreads) < 0.005


def test_classes_are_drawn_equally_often_only_when_set() -> None:
    """One defect of the first class, nineteen of the second."""
    patches = source()
    marked = [patches.marked[0]] + [patches.marked[1]] * 19
    for balance, low, high in ((True, 0.4, 0.6), (False, 0.01, 0.12)):
        settings = patches.settings.model_copy(update={"balance_classes": balance})
        generator = np.random.default_rng(0)
        chosen = replace(patches, marked=marked, settings=settings)
        lefts = [chosen.place(generator)[1][0] < 130 for _ in range(400)]  # the first defect lies left of it
        share = np.mean(lefts)
        assert low < share < high


def test_the_sliding_grid_has_the_papers_step_and_meets_the_defect() -> None:
    patches = source(sampling="sliding", patch_step=16, **STILL)
    generator = np.random.default_rng(0)
    for _ in range(100):
        _, (x, y) = patches.place(generator)
        left, top = x - 32, y - 32
        assert left % 16 == 0 or left == 260 - 64
        assert top % 16 == 0 or top == 200 - 64
        meets = [
            left < box[2] and left + 64 > box[0] and top < box[3] and top + 64 > box[1]
            for box in (defect.box_xyxy for defect in patches.marked)
        ]
        assert any(meets)


def test_without_marked_defects_patches_are_cut_anywhere() -> None:
    generator = np.random.default_rng(0)
    places = [replace(source(), marked=[]).clean_image(generator)[2] for _ in range(200)]
    assert np.ptp([x for x, _ in places]) > 200
    assert np.ptp([y for _, y in places]) > 150


def test_an_image_smaller_than_the_patch_is_continued_by_its_mirror_image() -> None:
    small = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    patches = PatchSource(
        SeveritySettings.model_validate({"patch": 32, "cell": 2, "context": 1, **STILL}),
        lambda number: (small, np.zeros((4, 6), np.uint8)),
        sizes=[(4, 6)],
        marked=[],
        scale=1.0,
    )
    image, severities = patches.draw(np.random.default_rng(0)).values()
    assert image.shape == (1, 32, 32)
    assert severities.shape == (1, 16, 16)
    reflected = np.pad(small, 40, mode="reflect")
    assert set(np.round(image * 255).astype(int).ravel()) <= set(reflected.astype(int).ravel())


def test_the_same_draw_gives_the_same_patch_and_another_another() -> None:
    patches = source()
    first, again, other = (patches.draw(np.random.default_rng(seed))["images"] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_warp_by_the_identity_is_the_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)
    assert np.array_equal(affine_patch(pixels, np.float64([[1, 0, 0], [0, 1, 0]]), 8), pixels)


def test_colour_and_16_bit_patches_are_planes_of_full_scale() -> None:
    pixels = np.zeros((64, 64, 3), np.uint16)
    pixels[..., 0] = 65535
    patches = PatchSource(
        SeveritySettings.model_validate({"cell": 4, "patch": 32, "channels": 3, "context": 1, **STILL}),
        lambda number: (pixels, np.zeros((64, 64), np.uint8)),
        sizes=[(64, 64)],
        marked=[],
        scale=1.0,
    )
    image, severities = patches.draw(np.random.default_rng(0)).values()
    assert image.shape == (3, 32, 32)
    np.testing.assert_allclose(image.mean(axis=(1, 2)), [1, 0, 0], atol=1e-6)
    assert severities.shape == (1, 8, 8)


def two_samples(**changes: object) -> PatchSource:
    """A sample with defects, number 0, and a darker one without."""
    settings = SeveritySettings.model_validate({"patch": 64, "cell": 1, **STILL, **changes})
    pixels, classes = drawn_sample()
    samples = (pixels, classes), (np.full_like(pixels, 40), np.zeros_like(classes))
    marked = marked_defects([classes], join_distance=4)
    return PatchSource(settings, samples.__getitem__, [(200, 260)] * 2, marked, scale=280.0)


def test_two_fifths_of_the_patches_are_of_clean_images() -> None:
    """Half of them are candidates for the hard ones: four for each, at the end of the batch."""
    patches, generator = (
        two_samples(batch=10, clean_share=0.4, hard_share=0.5, clean_patches="clean_images"),
        np.random.default_rng(0),
    )
    drawn = [patches.batch(generator)["images"].numpy() for _ in range(40)]
    dark = np.array([batch.mean(axis=(1, 2, 3)) < 45 / 255 for batch in drawn])
    assert dark.shape == (40, 8 + 4 * 2) and dark[:, 8:].all()
    assert (dark[:, :8].sum() + 2 * 40) / (10 * 40) == pytest.approx(0.4, abs=0.05)


def test_clean_patches_are_of_all_images_where_none_is_clean_or_all_are_wanted() -> None:
    assert list(two_samples(clean_patches="clean_images").clean_samples) == [1]
    assert list(two_samples(clean_patches="anywhere").clean_samples) == [0, 1]
    assert list(source(clean_patches="clean_images").clean_samples) == [0]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_wide_patch_is_the_coarser_copy_of_the_patch_and_its_surroundings(factor: int) -> None:
    patches = source(context=factor, **{**STILL, "contrast": 0.3, "noise": 0.05})
    for seed in range(5):
        drawn = patches.draw(np.random.default_rng(seed))
        assert drawn["wide"].shape == (1, 128 // factor, 128 // factor)
        inner = slice(32 // factor, 96 // factor)
        means = [
            [drawn["images"][0, y : y + factor, x : x + factor].mean() for x in range(0, 64, factor)]
            for y in range(0, 64, factor)
        ]
        np.testing.assert_allclose(drawn["wide"][0, inner, inner], means, atol=1e-5)


def test_pasted_defects_are_labelled_by_their_contrast_at_the_new_place() -> None:
    """A clean image twice as dark as the defect's: brightness and contrast are halved, and the label with
    them.
    """
    pixels, classes = drawn_sample()
    dark = np.full_like(pixels, 45)
    images = [(pixels, classes), (dark, np.zeros_like(classes))]
    patches = replace(
        source(**STILL, copy_paste=1.0), read=images.__getitem__, sizes=[(200, 260), (200, 260)]
    )
    shown = 0
    for image, severities in draws(patches, 40):
        gray = np.round(image[0] * 255).astype(np.uint8)
        marked = severities[0] > 0
        shown += marked.any()
        assert set(np.unique(gray[marked])) <= {115}
        assert gray[~marked].max() < 115
        np.testing.assert_allclose(
            severities[0], severity_labels(gray, marked, cell=1, scale=280.0, floor=6.0)
        )
    assert shown > 30
