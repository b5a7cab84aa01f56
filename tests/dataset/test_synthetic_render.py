"""Defects on a surface: the recorded contrast, mask and class are true of the image."""

import numpy as np
import pytest
from scipy import ndimage

from blemish.dataset.synthetic import DEFECTS, DefectRequest, render
from blemish.dataset.synthetic.noise import smooth_noise
from blemish.dataset.synthetic.render import grain_angle
from blemish.errors import BlemishError

ALL = sorted(DEFECTS)
TONAL = sorted(set(DEFECTS) - {"missing_structure"})


def drawn(surface, kinds, *, contrast=30.0, size=(256, 256), seed=0):
    requests = [DefectRequest(kind, contrast) for kind in kinds]
    return render(surface, size=size, defects=requests, generator=np.random.default_rng(seed))


@pytest.mark.parametrize("surface", ["woven_fabric", "brushed_metal", "paper"])
@pytest.mark.parametrize("kind", ALL)
def test_recorded_contrast_is_that_of_the_picture(surface, kind):
    rendered = drawn(surface, [kind, kind], seed=4)
    assert rendered.labels == (kind, kind)
    for mask, contrast in zip(rendered.masks, rendered.contrasts, strict=True):
        rows, columns = np.nonzero(mask)
        places = list(zip(rows.tolist(), columns.tolist(), strict=True))
        change = [abs(float(rendered.scene[p]) - float(rendered.surface[p])) for p in places]
        assert contrast == pytest.approx(sum(change) / len(change), abs=1e-3)
        # The 8-bit pictures share their noise: on them the same is measured, to within rounding.
        eight_bit = np.abs(rendered.image[mask].astype(int) - rendered.clean[mask].astype(int)).mean()
        assert contrast == pytest.approx(eight_bit, abs=0.8)


@pytest.mark.parametrize("kind", ALL)
def test_mask_is_what_is_visible(kind):
    for seed in range(6):
        rendered = drawn("brushed_metal", [kind], seed=seed)
        (mask,) = rendered.masks
        change = np.abs(rendered.scene - rendered.surface)
        assert mask.shape == (256, 256) and mask.any()
        assert not mask[[0, -1]].any() and not mask[:, [0, -1]].any()
        assert change[mask].sum() > 0.7 * change.sum()
        assert (change[mask] > 1).mean() > 0.8
        assert np.array_equal(rendered.image[change == 0], rendered.clean[change == 0])
        assert change[ndimage.distance_transform_edt(~mask) > 16].max() < 0.1 * change.max()


@pytest.mark.parametrize("contrast", [12.0, 40.0])
@pytest.mark.parametrize("kind", TONAL)
def test_contrast_asked_for_is_drawn(kind, contrast):
    rendered = drawn("brushed_metal", [kind], contrast=contrast, seed=1)
    assert rendered.contrasts[0] == pytest.approx(contrast, rel=0.02)


def test_contrast_beyond_the_gray_scale_is_recorded_as_it_is():
    rendered = drawn("cast_metal", ["crack"], contrast=190.0)
    assert 20 < rendered.contrasts[0] < 190
    assert rendered.scene.min() >= 0 and rendered.scene.max() <= 255


@pytest.mark.parametrize("surface", ["woven_fabric", "leather", "brushed_metal", "concrete"])
def test_missing_structure_lowers_local_variance(surface):
    for seed in range(4):
        rendered = drawn(surface, ["missing_structure"], contrast=60.0, size=(400, 400), seed=seed)
        depth = ndimage.distance_transform_edt(rendered.masks[0])
        core = depth > min(3, depth.max() / 2)
        fine = [image - ndimage.gaussian_filter(image, 3) for image in (rendered.scene, rendered.surface)]
        assert fine[0][core].var() < 0.6 * fine[1][core].var()


def test_dent_has_two_sides_yet_a_sound_contrast():
    for seed in range(5):
        rendered = drawn("paper", ["dent"], contrast=25.0, seed=seed)
        change = (rendered.scene - rendered.surface)[rendered.masks[0]]
        assert abs(change.mean()) < 0.35 * rendered.contrasts[0]
        assert change.min() < -25 and change.max() > 25
        assert rendered.contrasts[0] == pytest.approx(25, rel=0.02)


def test_crack_is_dark_and_thin_and_a_stain_large():
    crack, stain = (drawn("concrete", [kind], size=(512, 512), seed=2) for kind in ("crack", "stain"))
    assert (crack.scene - crack.surface)[crack.masks[0]].mean() < -20
    thickness = [ndimage.distance_transform_edt(r.masks[0]).max() for r in (crack, stain)]
    assert thickness[0] < 6 < thickness[1]


def test_bright_and_dark_both_occur():
    signs = set()
    for seed in range(12):
        rendered = drawn("leather", ["spot"], seed=seed)
        signs.add(bool((rendered.scene - rendered.surface)[rendered.masks[0]].mean() > 0))
    assert signs == {True, False}


def test_defects_keep_apart_where_there_is_room():
    rendered = drawn("paper", ["scratch", "spot", "stain"], size=(512, 512), seed=8)
    assert np.sum(rendered.masks, axis=0).max() == 1


def test_every_kind_fits_on_the_smallest_picture():
    for seed in range(10):
        rendered = drawn("wood_grain", ALL, size=(48, 48), seed=seed)
        assert len(rendered.masks) == len(ALL)
        assert all(mask.any() for mask in rendered.masks)


def test_a_clean_picture_has_no_truth_and_equals_its_surface():
    rendered = render("leather", size=(97, 201), generator=np.random.default_rng(0))
    assert rendered.masks == () and rendered.labels == () and rendered.contrasts == ()
    assert np.array_equal(rendered.image, rendered.clean)
    assert rendered.image.dtype == np.uint8 and rendered.image.shape == (97, 201)


@pytest.mark.parametrize("degrees", [0, 30, 75, 120])
def test_grain_angle_of_known_stripes(degrees):
    y, x = np.mgrid[:256, :256]
    across = y * np.cos(np.radians(degrees)) - x * np.sin(np.radians(degrees))
    stripes = 100 + 20 * np.sin(across / 3) + smooth_noise((256, 256), 2, np.random.default_rng(0))
    difference = np.degrees(grain_angle(stripes.astype(np.float32))) - degrees
    assert (difference + 90) % 180 - 90 == pytest.approx(0, abs=4)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(BlemishError, match=r"Received: 'leathr'\. Did you mean 'leather'"):
        render("leathr", size=(64, 64), generator=np.random.default_rng(0))
    with pytest.raises(BlemishError, match=r"Received: 'scratches'\. Did you mean 'scratch'"):
        drawn("leather", ["scratches"])


@pytest.mark.parametrize("size", [(47, 100), (100, 20000)])
def test_size_out_of_range_is_refused(size):
    with pytest.raises(BlemishError, match=f"48 to 16384 pixels each. Received: {size[0]}x{size[1]}"):
        render("paper", size=size, generator=np.random.default_rng(0))
