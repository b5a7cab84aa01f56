"""Pixels of references travel unchanged."""

from __future__ import annotations

import numpy as np

from blemish.inspector.torch_backend import as_networks, load_tensors
from blemish.methods.medetection.network.references import References, references_from


def test_pixels_come_back_as_they_were() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    source = {"references": {"pictures": references_from(pictures).pictures.numpy()}}
    empty = {"references": References(3, 16)}
    load_tensors(empty, source, source="bundle")
    for bfloat16 in (False, True):
        got = as_networks(empty, bfloat16=bfloat16)["references"](np.zeros((1, 1, 1, 1), np.float32))
        assert (got.astype(np.uint8).transpose(0, 2, 3, 1) == pictures).all()


def test_a_starting_point_has_none() -> None:
    assert references_from(np.zeros((0, 16, 16, 3), np.uint8)).pictures.shape == (0, 3, 16, 16)
