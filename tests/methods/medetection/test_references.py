"""References: a choice that depends on seed and names alone, and pixels that travel unchanged."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.inspector.torch_backend import as_networks, load_tensors
from blemish.methods.medetection.references import References, choose, kept, references_from
from blemish.methods.medetection.settings import Settings

NAMES = st.lists(st.text("abc/19", min_size=1, max_size=5), unique=True, max_size=12)


@given(NAMES, st.integers(1, 12), st.integers(0, 99), st.randoms())
@settings(max_examples=60)
def test_a_choice_follows_from_seed_and_names(names, count, seed, shuffler) -> None:
    chosen = choose(names, count, seed)
    again = list(names)
    shuffler.shuffle(again)
    assert choose(again, count, seed) == chosen
    assert len(set(chosen)) == len(chosen) == min(count, len(names))
    assert set(chosen) <= set(names)
    assert choose(names, count + 1, seed)[: len(chosen)] == chosen


def test_seeds_differ() -> None:
    names = [f"good/{number:03}.png" for number in range(40)]
    assert len({choose(names, 4, seed) for seed in range(20)}) > 15


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


def test_a_bundle_keeps_a_bank_only_to_choose_from() -> None:
    assert kept(Settings(references=3)) == 3
    assert kept(Settings(references=3, align="rigid")) == 3
    assert kept(Settings(references=3, align="nearest", bank=20)) == 20
