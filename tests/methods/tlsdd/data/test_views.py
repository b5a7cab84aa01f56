"""Mirrored, resized and cut images: boxes stay on what they were drawn around."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from blemish.methods.tlsdd.data.views import View, batched, fitted, mirrored, padded_boxes, scaled, tile_about
from blemish.methods.tlsdd.network.detector import padded
from blemish.methods.tlsdd.settings import TlsddSettings

PLAIN = TlsddSettings(preset="tiny")


def drawn(height: int, width: int, *boxes: tuple[int, int, int, int]) -> View:
    """A dark image; box i is filled with 50·(i + 1)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for i, (left, top, right, bottom) in enumerate(boxes):
        pixels[top:bottom, left:right] = 50 * (i + 1)
    return View(pixels, np.array(boxes, np.float32).reshape(-1, 4), np.arange(len(boxes)))


def shown(view: View, value: int) -> tuple[int, int, int, int]:
    """The box around pixels of one value."""
    rows, columns = np.nonzero(view.pixels[..., 0] == value)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_mirrored_boxes_lie_on_their_pixels_and_all_four_come() -> None:
    view = drawn(20, 30, (2, 3, 9, 7), (15, 10, 28, 19))
    corners = set()
    for seed in range(40):
        turned = mirrored(view, PLAIN, np.random.default_rng(seed))
        for i in range(2):
            assert shown(turned, 50 * (i + 1)) == tuple(turned.boxes[i])
        corners.add(tuple(turned.boxes[0]))
    assert len(corners) == 4
    assert view.boxes[0].tolist() == [2, 3, 9, 7]


def test_without_flips_nothing_moves() -> None:
    view = drawn(20, 30, (2, 3, 9, 7))
    still = mirrored(view, TlsddSettings(preset="tiny", flips=False), np.random.default_rng(1))
    np.testing.assert_array_equal(still.pixels, view.pixels)
    np.testing.assert_array_equal(still.boxes, view.boxes)


def test_resizing_moves_boxes_with_the_image() -> None:
    view = drawn(40, 60, (4, 8, 24, 32))
    grown = fitted(view, TlsddSettings(preset="tiny", size=80), None, np.random.default_rng(0))
    assert grown.pixels.shape == (80, 120, 3)
    np.testing.assert_allclose(grown.boxes, [[8, 16, 48, 64]])
    middle = grown.pixels[18:62, 10:46, 0]
    assert (middle == 50).all()
    np.testing.assert_allclose(scaled(view.boxes, (40, 60), 80), grown.boxes)


positions = st.integers(0, 250)


@budget(max_examples=60, deadline=None)
@given(positions, positions, st.integers(1, 49), st.integers(1, 49), st.integers(0, 99))
def test_a_tile_shows_its_box_whole(left: int, top: int, width: int, height: int, seed: int) -> None:
    view = drawn(300, 300, (left, top, left + width, top + height))
    cut = tile_about(view, 128, 0, np.random.default_rng(seed))
    assert cut.pixels.shape == (128, 128, 3)
    assert shown(cut, 50) == tuple(cut.boxes[0])
    assert cut.boxes[0][2] - cut.boxes[0][0] == width and cut.labels.tolist() == [0]


def test_a_box_larger_than_the_tile_fills_it() -> None:
    view = drawn(300, 400, (10, 10, 390, 290))
    cut = tile_about(view, 128, 0, np.random.default_rng(0))
    assert cut.boxes.tolist() == [[0, 0, 128, 128]] and cut.labels.tolist() == [0]


def test_boxes_mostly_outside_a_tile_are_ignored_and_wholly_outside_gone() -> None:
    view = drawn(128, 400, (60, 10, 64, 50), (120, 10, 220, 20), (120, 30, 130, 40), (300, 0, 310, 9))
    starts = set()
    for seed in range(50):
        cut = tile_about(view, 128, 0, np.random.default_rng(seed))
        left = 60 - int(cut.boxes[0][0])
        starts.add(left)
        visible = max(0, min(220, left + 128) - 120) / 100
        whole = max(0, min(130, left + 128) - 120) / 10
        assert 3 not in cut.labels
        assert (1 in cut.labels) == (visible >= 0.3)
        assert (2 in cut.labels) == (whole >= 0.3)
        assert len(cut.boxes) == 1 + (visible > 0) + (whole > 0)
        assert (cut.labels == -2).sum() == (0 < visible < 0.3) + (0 < whole < 0.3)
    assert min(starts) < 20 and max(starts) > 40


def test_a_tile_is_cut_only_where_the_image_is_larger() -> None:
    settings = TlsddSettings(preset="tiny", tile=128, overlap=32)
    small, long = drawn(128, 128, (0, 0, 5, 5)), drawn(100, 200, (150, 0, 160, 9))
    assert fitted(small, settings, 0, np.random.default_rng(0)).pixels.shape == (128, 128, 3)
    assert fitted(long, settings, 0, np.random.default_rng(0)).pixels.shape == (100, 128, 3)
    assert fitted(long, settings, None, np.random.default_rng(0)).pixels.shape == (100, 128, 3)


def test_batches_are_padded_right_and_below() -> None:
    views = [drawn(20, 40, (0, 0, 20, 20)), drawn(33, 10), drawn(5, 5, (1, 1, 2, 2), (3, 3, 5, 5))]
    images, sizes = batched(views, "black")
    assert images.shape == (3, 3, 64, 64) and images.dtype == np.float32
    assert sizes.tolist() == [[20, 40], [33, 10], [5, 5]]
    assert images[0, :, :20, :20] == pytest.approx(50 / 255)
    assert images.sum() == pytest.approx(images[0, :, :20, :20].sum() + images[2, :, :5, :5].sum())
    boxes, labels = padded_boxes(views)
    assert labels.tolist() == [[0, -1], [-1, -1], [0, 1]] and labels.dtype == np.int64
    assert boxes[2].tolist() == [[1, 1, 2, 2], [3, 3, 5, 5]] and boxes[1].sum() == 0


@pytest.mark.parametrize("size", [(20, 40), (33, 10), (64, 64), (1, 70)])
def test_padding_repeats_the_edge_as_numpy_does_and_as_in_the_detector(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    view = View(pixels, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    (image,), _ = batched([view], "edge")
    beyond = ((0, -size[0] % 32), (0, -size[1] % 32), (0, 0))
    expected = np.pad(pixels, beyond, mode="edge").transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(image, expected, rtol=1e-6)
    alone = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    np.testing.assert_allclose(padded(alone, "edge")[0].numpy(), expected, rtol=1e-6)


def test_a_batch_without_any_box_has_one_place() -> None:
    boxes, labels = padded_boxes([drawn(5, 5)])
    assert boxes.shape == (1, 1, 4) and labels.tolist() == [[-1]]
