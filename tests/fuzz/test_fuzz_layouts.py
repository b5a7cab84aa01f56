"""Every layout's reader on trees with one mutation: read with all counts, told of, or refused in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataset import builders
from tests.fuzz.harness import MUTATIONS, assert_read_or_told, settings

TREES: dict[str, Callable[[Path], Path]] = {
    "masks": builders.masks_layout,
    "pairs": builders.pairs_layout,
    "labels": builders.labels_layout,
    "voc": builders.voc_layout,
    "yolo": builders.yolo_layout,
    "coco": builders.coco_layout,
    "mvtec": builders.mvtec_layout,
    "dagm": builders.dagm_layout,
    "deeppcb": builders.deeppcb_layout,
    "crackforest": builders.crackforest_layout,
    "products": builders.products_layout,
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid tree of each layout."""
    return {name: build(tmp_path_factory.mktemp(name) / name) for name, build in TREES.items()}


@pytest.mark.parametrize("layout", TREES)
def test_a_mutated_tree_is_read_or_told_of(layout: str, trees: dict[str, Path]) -> None:
    @settings
    @given(st.data())
    def run(data: st.DataObject) -> None:
        assert_read_or_told(trees[layout], data.draw, MUTATIONS)

    run()
