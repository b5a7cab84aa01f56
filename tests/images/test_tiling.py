from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from blemish.errors import BlemishError
from blemish.images.tiling import Tiling, dense_map, pad_to_multiple, spans

Array = NDArray[np.float32]


def blurring_network(reach: int, stride: int):
    """A stand-in that sees `reach` pixels to each side: a box blur with zeros outside, every stride-th
    value.
    """

    def network(inputs: Array) -> Array:
        side = 2 * reach + 1
        blurred = [ndimage.uniform_filter(item.mean(axis=0), side, mode="constant") for item in inputs]
        return np.stack(blurred)[:, None, ::stride, ::stride].astype(np.float32)

    return network


def random_image(height: int, width: int, *, channels: int = 1, dtype: type = np.uint8) -> NDArray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng([height, width]).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


@given(
    stride=st.sampled_from([1, 2, 4]),
    halo_cells=st.integers(0, 6),
    inner_cells=st.integers(1, 12),
    length_cells=st.integers(1, 120),
)
def test_spans_share_out_the_axis(stride: int, halo_cells: int, inner_cells: int, length_cells: int) -> None:
    tiling = Tiling(tile=(2 * halo_cells + inner_cells) * stride, halo=halo_cells * stride, stride=stride)
    length = length_cells * stride
    found = list(spans(length, tiling))
    remaining = [place for span in found for place in range(span.keep_start, span.keep_stop)]
    assert remaining == list(range(length))
    for span in found:
        assert 0 <= span.start < span.stop <= length
        assert span.stop - span.start == min(tiling.tile, length)
        assert span.start % stride == span.keep_start % stride == 0
        assert span.keep_start - span.start >= tiling.halo or span.start == 0
        assert span.stop - span.keep_stop >= tiling.halo or span.stop == length


@pytest.mark.parametrize("size", [(1, 1), (7, 200), (63, 64), (65, 129), (150, 31), (131, 257)])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_merge_to_the_map_of_the_whole_image(size: tuple[int, int], stride: int, batch: int) -> None:
    image = random_image(*size)
    network = blurring_network(8, stride)
    merged = dense_map(image, network, Tiling(tile=32, halo=8, stride=stride, batch=batch))
    padded = pad_to_multiple(image, stride).astype(np.float32) / 255
    assert merged.shape == (-(-size[0] // stride), -(-size[1] // stride))
    np.testing.assert_allclose(merged, network(padded[None, None])[0, 0], atol=1e-6)


def test_a_halo_below_the_reach_shows_seams() -> None:
    image = random_image(100, 100)
    network = blurring_network(8, 1)
    whole = dense_map(image, network, Tiling(tile=100, halo=0, stride=1))
    seamed = dense_map(image, network, Tiling(tile=32, halo=7, stride=1))
    assert abs(seamed - whole).max() > 1e-3


def test_no_more_tiles_than_the_batch_are_in_one_call() -> None:
    sizes: list[tuple[int, ...]] = []

    def network(inputs: Array) -> Array:
        sizes.append(inputs.shape)
        return inputs[:, :1]

    dense_map(random_image(100, 90), network, Tiling(tile=32, halo=4, stride=1, batch=4))
    assert {shape[1:] for shape in sizes} == {(1, 32, 32)}
    assert [shape[0] for shape in sizes[:-1]] == [4] * (len(sizes) - 1)


def test_colour_and_16_bit_reach_the_network_as_planes_from_0_to_1() -> None:
    image = np.zeros((2, 3, 3), np.uint16)
    image[1, 2] = (65535, 0, 32768)
    seen: list[Array] = []

    def network(inputs: Array) -> Array:
        seen.append(inputs)
        return inputs[:, :1]

    dense_map(image, network, Tiling(tile=8, halo=0, stride=1))
    assert seen[0].shape == (1, 3, 2, 3)
    assert seen[0].dtype == np.float32
    np.testing.assert_allclose(seen[0][0, :, 1, 2], [1, 0, 32768 / 65535])


def test_padding_continues_the_last_pixels() -> None:
    padded = pad_to_multiple(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), 4)
    assert padded.tolist() == [[1, 2, 3, 3], [4, 5, 6, 6], [4, 5, 6, 6], [4, 5, 6, 6]]


def test_an_image_that_fits_is_not_copied() -> None:
    image = random_image(8, 12)
    assert pad_to_multiple(image, 4) is image


def test_a_tile_off_the_stride_is_refused_with_the_next_one_up() -> None:
    with pytest.raises(
        BlemishError, match=r"tile must be a multiple of the stride 4\. Received: 250\. Use 252\."
    ):
        Tiling(tile=250, halo=64, stride=4)


def test_a_tile_all_halo_is_refused_and_the_remedy_works() -> None:
    with pytest.raises(
        BlemishError, match=r"more than twice the halo 64\. Received: 128\. Use 384 or more\."
    ):
        Tiling(tile=128, halo=64, stride=4)
    Tiling(tile=384, halo=64, stride=4)
