from __future__ import annotations

from typing import Any

from blemish.reproduce.experiment import Experiment
from blemish.reproduce.markdown import table_markdown
from blemish.reproduce.results import Result

EXPERIMENT = Experiment.model_validate(
    {
        "title": "Table",
        "paper": "Paper, Table 1",
        "dataset": "set",
        "rows": [
            {"name": "ours", "kind": "train", "title": "Ours", "paper": {"pixel.f1": 0.9375}},
            {"name": "off", "kind": "types-off", "of": "ours"},
            {"name": "speed", "kind": "speed", "section": "Speed"},
            {"name": "shaken", "kind": "stability", "of": "ours", "section": "Stability"},
        ],
        "paper_rows": [{"title": "Theirs", "figures": {"pixel.f1": 0.5}}],
        "columns": [
            {"path": "pixel.f1", "heading": "F1"},
            {"path": "type.accuracy", "heading": "type", "group": "Types"},
            {"path": "ms", "heading": "ms", "decimals": 1},
            {"path": "flips", "heading": "flips"},
        ],
        "goals": [
            {"row": "ours", "column": "pixel.f1", "at_least": 0.6},
            {"row": "ours", "column": "pixel.f1", "at_least": 0.61},
            {"row": "ours", "column": "pixel.f1", "above": "off"},
            {"row": "ours", "column": "type.accuracy", "not_below": "off"},
            {"row": "speed", "column": "ms", "at_most": 2, "device": "cuda"},
            {"row": "speed", "column": "ms", "at_most": 2, "device": "cpu"},
        ],
        "notes": ["A note."],
    }
)  # fmt: skip


def result(
    row: str, figures: dict[str, Any], *, seed: int | None = None, device: str | None = None
) -> Result:
    return Result(
        table="t", row=row, kind="train", seed=seed, device=device, figures=figures, seconds=2, settings={},
        dataset="set", data_fingerprint="0123456789abcdef", command="blemish reproduce t --seeds 3",
        provenance={"hardware": f"machine {seed}", "commit": "c0ffee", "torch": "2"},
    )  # fmt: skip


RESULTS = [
    result("ours", {"pixel": {"f1": 0.5}, "type": {"accuracy": 0.9}}, seed=0),
    result("ours", {"pixel": {"f1": 0.7}, "type": {"accuracy": 0.9}}, seed=1),
    result("off", {"pixel": {"f1": 0.6}}, seed=0),
    result("speed", {"ms": 3.04}, device="cpu"),
    result("speed", {"ms": 1.0}, device="cuda"),
    result("shaken", {"flips": {"n": 1, "of": 46, "upper95": 0.099}}, seed=0),
    result("shaken", {"flips": {"n": 0, "of": 46, "upper95": 0.063}}, seed=1),
]


def test_ours_beside_the_papers_with_mean_and_standard_deviation() -> None:
    text = table_markdown("t", EXPERIMENT, RESULTS)
    first = text.index("| Ours | 2 | 0.600 ± 0.141 |")
    assert text.index("| Ours, the paper's |  | *0.9375* |") > first
    assert "| off | 1 | 0.600 |" in text
    assert "| Theirs, the paper's |  | *0.5* |" in text
    assert "**Types**\n\n|  | seeds | type |" in text
    assert "| off | 1 | – |" in text


def test_sections_have_the_columns_they_fill_and_a_line_a_device() -> None:
    text = table_markdown("t", EXPERIMENT, RESULTS)
    assert "## Speed\n\n|  | seeds | ms |\n| --- | ---: | ---: |\n| speed (CPU) | – | 3.0 |\n" in text
    assert "| speed (CUDA) | – | 1.0 |" in text
    assert "| shaken | 2 | 1, 0 of 46 (≤ 9.9 %) |" in text


def test_goals_tell_what_was_reached() -> None:
    goals = table_markdown("t", EXPERIMENT, RESULTS).split("## Goals\n\n")[1].split("\n\n")[0].splitlines()
    assert goals == [
        "- Ours: F1 ≥ 0.6: 0.600, met",
        "- Ours: F1 ≥ 0.61: 0.600, **not met**",
        "- Ours: F1 > off: 0.600 against 0.600, **not met**",
        "- Ours: type ≥ off: not measured",
        "- speed (CUDA): ms ≤ 2: 1.0, met",
        "- speed (CPU): ms ≤ 2: 3.0, **not met**",
    ]


def test_where_the_figures_are_from() -> None:
    text = table_markdown("t", EXPERIMENT, RESULTS)
    assert "- Command: `blemish reproduce t --seeds 3`\n" in text
    assert "- Hardware: machine 0; machine 1; machine None\n" in text
    assert "- Commit: c0ffee\n" in text
    assert "- Data fingerprint: 0123456789ab\n" in text
    assert "- Wall clock: 14 s over all rows" in text


def test_an_empty_table_shows_what_is_to_be_run() -> None:
    text = table_markdown("t", EXPERIMENT, [])
    assert "| Ours | not run | – |" in text
    assert "Nothing measured yet. Command: `blemish reproduce t " in text
