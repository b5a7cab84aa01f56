"""Run lengths against faster-coco-eval's mask functions."""

from __future__ import annotations

import numpy as np
import pytest
from faster_coco_eval.core import mask as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from blemish.dataset.run_lengths import decode, encode, unpack
from blemish.dataset.samples import RunLengths

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.booleans())


@settings(max_examples=100, deadline=None)
@given(masks)
def test_agrees_with_the_reference_and_comes_back(mask: NDArray[np.bool_]) -> None:
    packed = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    letters = packed["counts"]
    text = letters.decode() if isinstance(letters, bytes) else letters
    runs = encode(mask)
    assert unpack(text) == runs.counts
    assert runs.size == mask.shape
    assert np.array_equal(decode(runs), mask)
    unpacked = reference.frPyObjects({"counts": list(runs.counts), "size": list(runs.size)}, *mask.shape)
    assert np.array_equal(reference.decode(unpacked), mask)


def test_by_hand() -> None:
    mask = np.array([[0, 1], [1, 1]], np.bool_)
    assert encode(mask) == RunLengths((1, 3), (2, 2))
    assert encode(~mask) == RunLengths((0, 1, 3), (2, 2))
    assert encode(np.zeros((2, 3), np.bool_)) == RunLengths((6,), (2, 3))


def test_runs_that_do_not_fill_the_mask_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 5, not to 2×2"):
        decode(RunLengths((1, 4), (2, 2)))
    with pytest.raises(ValueError, match="run lengths"):
        decode(RunLengths((5, -1), (2, 2)))
