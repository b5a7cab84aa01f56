"""dataset.yaml with odd values and mutations: read, or refused in a line, in bounded time; never a trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.dataset.settings import DatasetSettings
from blemish.errors import BlemishError
from tests.dataset import builders
from tests.fuzz.harness import MUTATIONS, assert_read_or_told, limited_time, settings
from tests.fuzz.outcomes import note_outcome

scalars = st.one_of(
    st.sampled_from(
        [
            *(
                "null",
                "~",
                "''",
                "on",
                "no",
                "1",
                ".nan",
                ".inf",
                "1e400",
                "-1",
                "0x1f",
                "2024-01-01",
                "[]",
                "{}",
            ),
            *(
                "[[]]",
                "[null]",
                "{null: a}",
                "{a: null}",
                "{1: 2}",
                "{train: null}",
                "{train: [a, null]}",
                "*a",
            ),
            *(
                "&a b",
                "!!binary aGk=",
                "!!python/none x",
                "/dev/zero",
                "/dev/null",
                "/etc/passwd",
                "..",
                ".",
                "/",
            ),
            *(
                '"\\0"',
                '"\\ud800"',
                "{train: /dev/zero}",
                "{val: ../../etc/passwd}",
                "{train: {a: b}}",
                "(a+)+$",
            ),
            *("(?P<n>a)(b)", "((.|a)*)*x", "(", "x" * 5000, "[" * 100, "{a: " * 100, "? [a]", "!!set {a, b}"),
        ]
    ),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.recursive(st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=6).map(
        json.dumps
    ),
)
LINES = {
    "labels": {
        "layout": "labels", "group": "([a-z])", "mm_per_px": 0.5, "classes": ["defect"],
        "splits": {"train": ["g0", "b0"], "test": ["g1"]},
    },
    "coco": {
        "layout": "coco", "root": ".", "annotations": {"train": "annotations/instances_train.json"},
        "classes": {"dent": "hole"},
    },
    "pairs": {"layout": "pairs", "above": 100},
}  # fmt: skip
BUILD: dict[str, Callable[[Path], Path]] = {
    "labels": builders.labels_layout,
    "coco": builders.coco_layout,
    "pairs": builders.pairs_layout,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings") / "tree"
    builders.coco_layout(folder)
    return builders.labels_layout(folder)


def read_or_refused(root: Path) -> None:
    try:
        with limited_time(root):
            assert len(load_dataset(root))
        note_outcome("settings of datasets", "read")
    except BlemishError as error:
        assert "\n" not in str(error) and len(str(error)) < 12_000
        note_outcome("settings of datasets", "refused")


def test_odd_values_of_every_key(root: Path) -> None:
    @settings
    @given(
        st.dictionaries(
            st.sampled_from([*DatasetSettings.model_fields, "zzz"]), scalars, min_size=1, max_size=3
        )
    )
    def run(content: dict[str, str]) -> None:
        text = "".join(f"{key}: {value}\n" for key, value in content.items())
        hypothesis.assume(text.isprintable() or "\n" in text)
        (root / "dataset.yaml").write_text(text, "utf-8", "surrogatepass")
        hypothesis.note(text)
        read_or_refused(root)

    run()


@pytest.mark.parametrize("layout", LINES)
def test_one_mutation_of_a_tree_with_settings(layout: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    tree = BUILD[layout](tmp_path_factory.mktemp(layout) / "tree")
    (tree / "dataset.yaml").write_text(yaml.safe_dump(LINES[layout]))
    load_dataset(tree)

    @settings
    @given(st.data())
    def run(data: st.DataObject) -> None:
        assert_read_or_told(tree, data.draw, MUTATIONS)

    run()
