"""Conversions of trees with one mutation: what is written passes the check with the counts that are told.

Nothing is written outside the output, nothing stays of a refused conversion, and the account adds up.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.dataset.convert import WRITERS, convert
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.errors import BlemishError
from tests.dataset import builders
from tests.fuzz.harness import MUTATIONS, limited_time, settings
from tests.fuzz.outcomes import note_outcome

TREES: dict[str, Callable[[Path], Path]] = {
    "coco": builders.coco_layout,
    "voc": builders.voc_layout,
    "yolo": builders.yolo_layout,
    "masks": builders.masks_layout,
    "deeppcb": builders.deeppcb_layout,
}


@pytest.mark.parametrize("layout", TREES)
def test_a_mutated_tree_is_converted_whole_or_not_at_all(
    layout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = TREES[layout](tmp_path_factory.mktemp(layout) / "tree")

    @settings
    @given(st.data(), st.sampled_from(list(WRITERS)), st.booleans())
    def run(data: st.DataObject, to: str, skip_broken: bool) -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copytree(tree, folder / "in")
            hypothesis.note(data.draw(st.sampled_from(MUTATIONS))(folder / "in", data.draw))
            before = {*folder.rglob("*")}
            out = folder / "outer" / "out"
            try:
                with limited_time(folder):
                    dataset = load_dataset(folder / "in", skip_broken=skip_broken)
                    result = convert(dataset, out, to, skip_broken=skip_broken)
            except BlemishError as error:
                assert "\n" not in str(error)
                assert not out.exists()
                note_outcome("conversions", "refused")
                return
            note_outcome("conversions", "written")
            assert {
                path for path in {*folder.rglob("*")} - before if not path.is_relative_to(folder / "outer")
            } == set()
            marks = sum(len(sample.annotations) for sample in dataset) + len(dataset.account.dropped)
            assert result.annotations + len(result.left_out) == marks
            again = load_dataset(out)
            assert len(again) == result.images
            assert check_dataset(again).usable

    run()
