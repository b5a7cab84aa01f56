from __future__ import annotations

from typing import Any

import pytest

from benchmarks.tables.markdown import table_markdown
from benchmarks.tables.results import Result
from benchmarks.tables.schema import Experiment

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
        provenance={"hardware": f"machine {seed}", "commit": "c0ffee", "torch": "2", "threads": 2},
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
        "- Ours: F1 > off: 0.500 against 0.600 (of 1 seed that both have), **not met**",
        "- Ours: type ≥ off: not measured",
        "- speed (CUDA): ms ≤ 2: 1.0, met",
        "- speed (CPU): ms ≤ 2: 3.0, **not met**",
    ]


@pytest.mark.parametrize(
    ("ours", "off", "reached"),
    [
        ({0: 0.5, 1: 0.9}, {0: 0.4, 1: 0.6}, "0.700 against 0.500, met"),
        ({0: 0.5, 1: 0.9}, {0: 0.6}, "0.500 against 0.600 (of 1 seed that both have), **not met**"),
        ({0: 0.5, 1: 0.9, 2: 1.0}, {0: 0.6, 1: 0.6}, "0.700 against 0.600 (of 2 seeds that both have), met"),
        ({0: 0.9, 2: 0.9}, {1: 0.6}, "no seed that both have, not measured"),
        ({0: 0.9}, {}, "not measured"),
        ({0: 0.5, 1: 0.9}, {None: 0.6}, "0.700 against 0.600, met"),
        ({None: 0.6}, {0: 0.5, 1: 0.9}, "0.600 against 0.700, **not met**"),
    ],
)
def test_rows_are_compared_on_the_seeds_that_both_have(
    ours: dict[int | None, float], off: dict[int | None, float], reached: str
) -> None:
    results = [
        result(row, {"pixel": {"f1": value}}, seed=seed)
        for row, figures in (("ours", ours), ("off", off))
        for seed, value in figures.items()
    ]
    assert f"- Ours: F1 > off: {reached}\n" in table_markdown("t", EXPERIMENT, results)


def test_two_draws_of_one_seed_are_not_compared() -> None:
    results = [
        result(row, {"pixel": {"f1": 0.5}, "draw": {"digest": digest}}, seed=0)
        for row, digest in (("ours", "a"), ("off", "b"))
    ]
    assert "- Ours: F1 > off: no seed that both have, not measured\n" in table_markdown(
        "t", EXPERIMENT, results
    )


def test_where_the_figures_are_from() -> None:
    text = table_markdown("t", EXPERIMENT, RESULTS)
    assert "- Command: `blemish reproduce t --seeds 3`\n" in text
    assert "- Hardware: machine 0; machine 1; machine None\n" in text
    assert "- Threads: 2\n" in text
    assert "- Commit: c0ffee\n" in text
    assert "- Data fingerprint: 0123456789ab\n" in text
    assert "- Wall clock: 14 s over all rows" in text


def test_an_empty_table_shows_what_is_to_be_run() -> None:
    text = table_markdown("t", EXPERIMENT, [])
    assert "| Ours | not run | – |" in text
    assert "Nothing measured yet. Command: `blemish reproduce t " in text


FEW_SHOT = Experiment.model_validate(
    {
        "title": "Few",
        "paper": "Paper",
        "dataset": "set",
        "classes": {"rare": ["b.1"]},
        "rows": [
            {"name": "joint", "kind": "few-shot", "title": "Joint"},
            {"name": "ours", "kind": "few-shot", "title": "Ours", "against": "joint"},
        ],
        "paper_rows": [{"title": "Theirs", "section": "Elsewhere", "figures": {"leak": 74.83}}],
        "columns": [
            {"path": "nap50", "heading": "nAP50", "paired": True},
            {"path": "ap50.*", "heading": "*"},
            {"path": "leak", "heading": "Leak"},
        ],
        "goals": [
            {"row": "ours", "column": "nap50", "against": "joint", "at_least": 0.1, "told_from_zero": True},
            {"row": "ours", "column": "nap50", "against": "joint", "at_least": 0.2},
            {"row": "ours", "column": "nap50", "relative_to": "joint", "at_least": 1.4},
            {"row": "ours", "column": "nap50", "relative_to": "joint", "at_least": 1.6},
        ],
    }
)


def drawn(row: str, seed: int, nap50: float) -> Result:
    figures = {"nap50": nap50, "draw": {"digest": f"d{seed}"}, "ap50": {"b.1": nap50, "a": 1.0}}
    return result(row, figures, seed=seed)


# Of draw 3 only one row has a figure. The differences on draws 0 to 2 are 0.14, 0.16 and 0.12.
DRAWN = [drawn("joint", seed, nap50) for seed, nap50 in enumerate((0.1, 0.3, 0.5))]
DRAWN += [drawn("ours", seed, nap50) for seed, nap50 in enumerate((0.24, 0.46, 0.62, 0.9))]


def test_few_shot_rows_are_compared_on_the_draws_that_both_have() -> None:
    """Student's t with two degrees of freedom is 4.3027: 0.14 ± 4.3027 · 0.02 / √3 = 0.14 ± 0.0497."""
    text = table_markdown("t", FEW_SHOT, DRAWN)
    assert "**Difference to Joint on the same draws, and its 95 % interval**" in text
    assert "| Ours | 3 | +0.140 [+0.090, +0.190] |" in text
    # By hand: 0.2 / √3 · 4.3027 = 0.497
    assert "| Joint | 3 | 0.300 ± 0.497 |" in text


def test_a_column_for_each_class_has_common_ones_first_and_dots_in_names() -> None:
    text = table_markdown("t", FEW_SHOT, DRAWN)
    assert "|  | draws | nAP50 | a | b.1, rare |" in text
    assert "| 1.000 ± 0.000 | 0.300 ± 0.497 |" in text


def test_goals_on_differences_and_shares() -> None:
    goals = table_markdown("t", FEW_SHOT, DRAWN).split("## Goals\n\n")[1].split("\n\n")[0].splitlines()
    assert goals == [
        "- Ours: nAP50 minus that of Joint ≥ +0.1, told from 0: +0.140 [+0.090, +0.190], met",
        "- Ours: nAP50 minus that of Joint ≥ +0.2: +0.140 [+0.090, +0.190], **not met**",
        "- Ours: nAP50 ≥ 140 % of Joint: 0.440 against 0.300 (of 3 draws that both have), met",
        "- Ours: nAP50 ≥ 160 % of Joint: 0.440 against 0.300 (of 3 draws that both have), **not met**",
    ]


def test_what_only_the_paper_has_is_a_section_of_its_own() -> None:
    text = table_markdown("t", FEW_SHOT, [])
    assert (
        "## Elsewhere\n\n|  | seeds | Leak |\n| --- | ---: | ---: |\n| Theirs, the paper's |  | *74.83* |"
        in text
    )
    assert "- Ours: nAP50 minus that of Joint ≥ +0.2: not measured" in text
