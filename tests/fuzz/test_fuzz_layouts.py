"""Every layout's reader on trees with one mutation: read with all counts, told of, or refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataset import builders
from tests.fuzz.harness import MUTATIONS, assert_read_or_told, settings


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid tree of each layout."""
    return {
        name: build(tmp_path_factory.mktemp(name) / name) for name, build in builders.LAYOUT_BUILDERS.items()
    }


@pytest.mark.parametrize("layout", builders.LAYOUT_BUILDERS)
def test_a_mutated_tree_is_read_or_told_of(layout: str, trees: dict[str, Path]) -> None:
    @settings
    @given(st.data())
    def run(data: st.DataObject) -> None:
        assert_read_or_told(trees[layout], data.draw, MUTATIONS)

    run()
