from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.medetection.training.episodes import (
    Drawing,
    MetaSource,
    Product,
    TuningSource,
    choose_references,
    cycled,
    fixed_pairs,
    support_query_split,
)

CAP = Product("cap", tuple(range(20)), tuple(range(20, 30)))
TILE = Product("tile", tuple(range(30, 36)), (36, 37))
SETTINGS = MedetectionSettings(preset="tiny", support=8, query=6, products_per_step=None, flips=True)


def test_halves_share_out_either_kind_and_share_no_image() -> None:
    support, query = support_query_split(CAP, 0.7, seed=0)
    assert (len(support.normals), len(support.defectives)) == (14, 7)
    assert sorted(support.normals + query.normals) == list(CAP.normals)
    assert sorted(support.defectives + query.defectives) == list(CAP.defectives)
    assert support_query_split(CAP, 0.7, seed=0) == (support, query) != support_query_split(CAP, 0.7, seed=1)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_halves_of_few_images_are_never_empty(share: float) -> None:
    for pool in support_query_split(TILE, share, seed=3):
        assert pool.normals and pool.defectives
    single = Product("one", (1, 2), (3,))
    assert all(pool.defectives == (3,) for pool in support_query_split(single, share, seed=0))


def test_an_episode_is_balanced_and_each_part_from_its_pool() -> None:
    pools = [support_query_split(product, 0.7, seed=0) for product in (CAP, TILE)]
    batch = MetaSource(SETTINGS, pools, seed=0).draw(0)
    assert {name: tuple(values.shape) for name, values in batch.items()} == dict.fromkeys(
        ("images", "references", "turns", "labels", "views"), (2, 14)
    )
    for images, references, labels in zip(batch["images"], batch["references"], batch["labels"], strict=True):
        (support, query) = next(pool for pool in pools if int(images[0]) in pool[0].normals)
        for rows, pool in ((slice(0, 8), support), (slice(8, 14), query)):
            bad = labels[rows] == 1
            assert int(bad.sum()) == len(labels[rows]) // 2
            assert set(images[rows][bad].tolist()) <= set(pool.defectives)
            assert set(images[rows][~bad].tolist()) <= set(pool.normals)
        assert set(references.tolist()) <= set(support.normals)


def test_an_image_is_never_its_own_reference_nor_comes_twice_while_there_are_others() -> None:
    batch = TuningSource(SETTINGS.model_copy(update={"batch": 20}), CAP, seed=0).draw(4)
    assert not (batch["images"] == batch["references"]).any()
    assert max(Counter(batch["images"].tolist()).values()) == 1
    assert set(batch["references"].tolist()) <= set(CAP.normals)


def test_draws_follow_from_seed_and_step() -> None:
    source = TuningSource(SETTINGS, CAP, seed=0)
    again, other = TuningSource(SETTINGS, CAP, seed=0), TuningSource(SETTINGS, CAP, seed=1)
    assert (source.draw(3)["images"] == again.draw(3)["images"]).all()
    assert (source.draw(3)["images"] != source.draw(4)["images"]).any()
    assert (source.draw(3)["images"] != other.draw(3)["images"]).any()


def test_mirroring_can_be_switched_off() -> None:
    plain = TuningSource(SETTINGS.model_copy(update={"flips": False}), CAP, seed=0)
    assert not plain.draw(0)["views"].any()
    views = np.concatenate([TuningSource(SETTINGS, CAP, seed=0).draw(step)["views"] for step in range(9)])
    assert set(views.tolist()) == {0, 1, 2, 3}


def test_nearest_references_come_with_their_turns() -> None:
    drawing = Drawing((1, 2, 3), False, lambda image, normals: [(2, 3)])
    found = drawing.draw(Product("p", (5, 6), (7,)), 4, np.random.default_rng(0))
    assert found.references.tolist() == [2] * 4 and found.turns.tolist() == [3] * 4


def test_every_image_meets_every_fixed_reference() -> None:
    found = fixed_pairs(Product("p", (4, 5), (6,)), (1, 2, 3), 2, None)
    assert found.images.tolist() == [4, 4, 5, 5, 6, 6]
    assert found.references.tolist() == [1, 2] * 3
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 1] and not found.views.any()


def test_images_come_again_only_when_all_were_drawn() -> None:
    found = cycled((1, 2, 3), 8, np.random.default_rng(0))
    assert set(Counter(found.tolist()).values()) == {2, 3} and set(found[:3]) == {1, 2, 3}
    assert cycled((), 4, np.random.default_rng(0)).tolist() == []


NAMES = st.lists(st.text("abc/19", min_size=1, max_size=5), unique=True, max_size=12)


@given(NAMES, st.integers(1, 12), st.integers(0, 99), st.randoms())
@settings(max_examples=60)
def test_a_choice_follows_from_seed_and_names(names, count, seed, shuffler) -> None:
    chosen = choose_references(names, count, seed)
    again = list(names)
    shuffler.shuffle(again)
    assert choose_references(again, count, seed) == chosen
    assert len(set(chosen)) == len(chosen) == min(count, len(names))
    assert set(chosen) <= set(names)
    assert choose_references(names, count + 1, seed)[: len(chosen)] == chosen


def test_seeds_differ() -> None:
    names = [f"good/{number:03}.png" for number in range(40)]
    assert len({choose_references(names, 4, seed) for seed in range(20)}) > 15
