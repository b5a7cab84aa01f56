"""The input of a support: where the crop lies, what the mask covers, and what lies beyond the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.methods.tlsdd.data.supports import coverage, mirrored, support_input
from blemish.methods.tlsdd.settings import TlsddSettings

SMALL = TlsddSettings(preset="tiny", support_size=32)  # context 2
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_crop_at_its_own_scale_is_a_cut_out_with_the_box_in_its_middle() -> None:
    given_input = support_input(IMAGE, (12, 10, 28, 26), SMALL)  # side 16, crop 32 from (4, 2)
    assert given_input.shape == (4, 32, 32) and given_input.dtype == np.float32
    np.testing.assert_allclose(given_input[:3], IMAGE[2:34, 4:36].transpose(2, 0, 1) / 255, atol=1e-6)
    expected = np.zeros((32, 32))
    expected[8:24, 8:24] = 1
    np.testing.assert_array_equal(given_input[3], expected)


def test_beyond_the_image_lies_its_mirror_image_and_no_mask() -> None:
    given_input = support_input(IMAGE, (0, 0, 16, 16), SMALL)  # crop from (−8, −8)
    np.testing.assert_array_equal(given_input[:3, 8:, :8], given_input[:3, 8:, 8:16][..., ::-1])
    np.testing.assert_array_equal(given_input[:3, :8], given_input[:3, 8:16][:, ::-1])
    assert given_input[3, :8].sum() == given_input[3, :, :8].sum() == 0
    assert given_input[3].sum() == 256


def test_a_tiny_box_gets_sixteen_pixels() -> None:
    given_input = support_input(IMAGE, (30, 20, 31, 22), SMALL)  # side 16, each pixel 2×2
    assert given_input[3].sum() == pytest.approx(2 * 4)
    mean = given_input[:3].reshape(3, 16, 2, 16, 2).mean(axis=(2, 4))
    assert np.corrcoef(mean.ravel(), IMAGE[13:29, 22:38].transpose(2, 0, 1).ravel())[0, 1] > 0.95


def test_a_thin_box_in_a_large_crop_does_not_vanish() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    given_input = support_input(image, (200, 100, 201, 300), SMALL)  # 400 pixels to 32
    assert 0 < given_input[3].max() < 1
    assert given_input[3].sum() == pytest.approx(200 * (32 / 400) ** 2, rel=1e-5)


def test_the_whole_image_is_letterboxed() -> None:
    view = TlsddSettings(preset="tiny", support_size=60, support_view="image")
    given_input = support_input(IMAGE, (10, 5, 20, 25), view)
    np.testing.assert_allclose(given_input[:3, :40], IMAGE.transpose(2, 0, 1) / 255, atol=1e-6)
    assert not given_input[:, 40:].any()
    rows, columns = np.nonzero(given_input[3])
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (5, 25, 10, 20)


def test_sixteen_bits_give_the_same_as_eight() -> None:
    deep = IMAGE.astype(np.uint16) * 257
    box = (3, 3, 30, 31)
    np.testing.assert_allclose(
        support_input(deep, box, SMALL), support_input(IMAGE, box, SMALL), atol=0.5 / 255 + 1e-6
    )


@pytest.mark.parametrize("view", ["crop", "image"])
def test_mirroring_image_and_box_mirrors_the_input(view: str) -> None:
    settings = TlsddSettings(preset="tiny", support_size=60, support_view=view)
    plain = support_input(IMAGE, (10, 6, 20, 26), settings)
    turned = support_input(np.ascontiguousarray(IMAGE[:, ::-1]), (40, 6, 50, 26), settings)
    np.testing.assert_allclose(turned, plain[..., ::-1], atol=1.01 / 255)


@given(st.integers(-100, 100), st.integers(1, 40), st.integers(1, 12))
def test_positions_fold_like_numpy_s_symmetric_padding(start: int, count: int, length: int) -> None:
    padded = np.pad(np.arange(length), 200, mode="symmetric")
    np.testing.assert_array_equal(mirrored(start, count, length), padded[200 + start : 200 + start + count])


def brute_coverage(corners: NDArray[np.float64], side: int, fine: int = 8) -> NDArray[np.float64]:
    """Coverage by counting sub-pixels' centres."""
    centres = (np.arange(side * fine) + 0.5) / fine
    across = (centres >= corners[0]) & (centres < corners[2])
    down = (centres >= corners[1]) & (centres < corners[3])
    return np.outer(down, across).reshape(side, fine, side, fine).mean(axis=(1, 3))


eighths = st.integers(-20, 100).map(lambda number: number / 8)


@budget(max_examples=50)
@given(eighths, eighths, eighths, eighths)
def test_coverage_counts_sub_pixels(x: float, y: float, width: float, height: float) -> None:
    corners = np.array([x, y, x + abs(width), y + abs(height)])
    np.testing.assert_allclose(coverage(corners, 9), brute_coverage(corners, 9), atol=1e-6)
