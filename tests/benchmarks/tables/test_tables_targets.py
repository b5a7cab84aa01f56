from __future__ import annotations

from typing import Any

import pytest

from benchmarks.tables.experiment import column_title, for_targets, row_name
from benchmarks.tables.schema import Experiment
from blemish.errors import BlemishError

FIELDS: dict[str, Any] = {
    "title": "T",
    "paper": "P",
    "collection": {},
    "targets": ["caps", "Metal nut"],
    "rows": [
        {
            "name": "ours", "kind": "product", "title": "{target}", "section": "Ours", "reach": "peer",
            "papers": {"caps": {"image.auroc": 0.9}},
        },
        {"name": "peer", "kind": "nearest-feature", "title": "1-NN", "section": "{target}"},
        {"name": "speed", "kind": "speed"},
    ],
    "columns": [{"path": "image.auroc", "heading": "AUROC"}],
    "goals": [
        {"row": "ours", "column": "image.auroc", "above": "peer"},
        {"row": "ours", "column": "image.auroc", "at_least": 0.9, "target": "caps"},
        {"row": "speed", "column": "image.auroc", "at_most": 1},
    ],
}  # fmt: skip


def expanded(*targets: str, **changes: Any) -> Experiment:
    return for_targets(Experiment.model_validate({**FIELDS, **changes}), targets)


def test_a_row_of_products_becomes_one_for_each_target_and_others_stay() -> None:
    rows = expanded("caps", "Metal nut").rows
    assert [row.name for row in rows] == [
        "ours-caps",
        "ours-metal-nut",
        "peer-caps",
        "peer-metal-nut",
        "speed",
    ]
    assert [(row.title, row.section, row.target) for row in rows[1:3]] == [
        ("Metal nut", "Ours", "Metal nut"),
        ("1-NN", "caps", "caps"),
    ]
    assert [row.paper for row in rows[:2]] == [{"image.auroc": 0.9}, {}]
    assert rows[1].reach == "peer-metal-nut"
    assert [column_title(row) for row in (rows[0], rows[2])] == ["Ours", "1-NN"]


def test_goals_follow_their_rows() -> None:
    goals = expanded("caps", "Metal nut").goals
    assert [(goal.row, goal.above) for goal in goals] == [
        ("ours-caps", "peer-caps"),
        ("ours-metal-nut", "peer-metal-nut"),
        ("ours-caps", None),
        ("speed", None),
    ]
    assert [goal.row for goal in expanded("Metal nut").goals] == ["ours-metal-nut", "speed"]


@pytest.mark.parametrize(("target", "name"), [("Metal_nut", "a-metal-nut"), ("x/y (2)", "a-x-y-2")])
def test_names_of_rows_can_be_files(target: str, name: str) -> None:
    assert row_name("a", target) == name


def test_targets_need_rows_that_are_about_one() -> None:
    with pytest.raises(BlemishError, match="Received: caps"):
        expanded("caps", rows=[FIELDS["rows"][2]], goals=[], targets=[], collection=None)
