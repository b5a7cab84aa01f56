from __future__ import annotations

import math
from typing import Any

from benchmarks.tables.lines import first_reached, with_reached
from benchmarks.tables.markdown import table_markdown
from benchmarks.tables.results import Result
from benchmarks.tables.schema import Experiment


def adaptation(*recalls: float, best: int, epoch: float = 10.0) -> dict[str, Any]:
    """Looks every five steps from step 0."""
    looks = [{"step": 5 * number, "recall": recall} for number, recall in enumerate(recalls)]
    return {"best_step": 5 * best, "steps_of_epoch": epoch, "looks": looks}


def result(row: str, seed: int, looks: dict[str, Any] | None) -> Result:
    return Result(
        table="t", row=row, kind="product", seed=seed, device=None, figures={"adaptation": looks}, seconds=1,
        settings={}, dataset="d", data_fingerprint="0" * 64, command="c", provenance={},
    )  # fmt: skip


EXPERIMENT = Experiment.model_validate(
    {
        "title": "T",
        "paper": "P",
        "collection": {},
        "targets": ["caps"],
        "rows": [
            {"name": "random", "kind": "product", "reach": "random"},
            {"name": "maml", "kind": "product", "reach": "random"},
        ],
        "columns": [{"path": "reached.recall.epochs", "heading": "epochs", "decimals": 1}],
        "goals": [
            {"row": "maml", "column": "reached.recall.epochs", "at_most": 0.5, "relative_to": "random"}
        ],
    }
)
RANDOM = adaptation(0.1, 0.3, 0.6, 0.9, 0.8, 0.9, best=3)


def test_the_first_look_with_the_others_kept_value_counts() -> None:
    own = first_reached(adaptation(0.5, 0.95, 0.9, best=2), RANDOM)["recall"]
    assert own == {"value": 0.9, "step": 5, "epochs": 0.5, "yes": 1}
    assert first_reached(RANDOM, RANDOM)["recall"]["step"] == 15


def test_what_is_never_reached_is_infinitely_late() -> None:
    found = first_reached(adaptation(0.2, 0.8, best=1), RANDOM)["recall"]
    assert (found["step"], found["epochs"], found["yes"]) == (math.inf, math.inf, 0)


def test_rows_are_compared_seed_by_seed() -> None:
    results = [
        result("random", 0, RANDOM),
        result("random", 1, adaptation(0.1, 0.2, best=1)),
        result("maml", 1, adaptation(0.15, 0.25, best=1)),
        result("maml", 2, RANDOM),
        result("maml", 3, None),
    ]
    found = [result.figures.get("reached") for result in with_reached(EXPERIMENT, results)]
    assert [result and result["recall"]["step"] for result in found] == [15, 5, 5, None, None]


def goal_line(*maml: dict[str, Any]) -> str:
    results = [result("random", seed, RANDOM) for seed in range(len(maml))]
    results += [result("maml", seed, looks) for seed, looks in enumerate(maml)]
    return table_markdown("t", EXPERIMENT, results)


def test_the_goal_asks_for_a_share_of_the_others_epochs() -> None:
    fast, slow, never = (adaptation(*recalls, best=0) for recalls in ((0.9,), (0, 0, 0.9), (0.1,)))
    start = "- maml: epochs ≤ 50 % of random: "
    assert f"{start}0.5 against 1.5, met" in goal_line(fast, slow)
    assert f"{start}1.0 against 1.5, **not met**" in goal_line(slow, slow)
    text = goal_line(fast, never)
    assert f"{start}not reached against 1.5, **not met**" in text
    assert "| maml | 2 | 0.0, not reached |" in text
