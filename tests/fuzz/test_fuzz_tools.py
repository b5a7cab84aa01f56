"""Readers of label tools on trees with one mutation: read with all counts, told of, or refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataset.tool_builders import BUILDERS, LISTS_DEFECTS_ALONE
from tests.fuzz.harness import MUTATIONS, assert_read_or_told, settings


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid tree of each tool; without images that no file names, whose loss nobody could notice."""
    found = {name: build(tmp_path_factory.mktemp(name) / name) for name, build in BUILDERS.items()}
    for name in LISTS_DEFECTS_ALONE:
        next(found[name].rglob("b.png")).unlink()
    return found


@pytest.mark.parametrize("tool", BUILDERS)
def test_a_mutated_tree_is_read_or_told_of(tool: str, trees: dict[str, Path]) -> None:
    @settings
    @given(st.data())
    def run(data: st.DataObject) -> None:
        assert_read_or_told(trees[tool], data.draw, MUTATIONS)

    run()
