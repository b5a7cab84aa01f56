"""Charts from hand-made results: where the lines run, and what is said about trainings that ended early."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables.charts import charts_of, drawn, lines_by_epoch, lines_by_setting, write_charts
from benchmarks.tables.experiment import for_targets, read_experiment
from benchmarks.tables.fill import write_table
from benchmarks.tables.results import Result, write_result
from benchmarks.tables.schema import Experiment
from benchmarks.tables.table import open_table
from blemish.errors import BlemishError
from blemish.methods.medetection.training.scoring import validation_figures
from blemish.progress import Reporter

BY_SHOTS: dict[str, Any] = {
    "title": "T",
    "paper": "P",
    "dataset": "set",
    "classes": {"rare": ["a"]},
    "settings": {"shots": 5},
    "rows": [
        {"name": "five", "kind": "few-shot"},
        {"name": "one", "kind": "few-shot", "settings": {"shots": 1}},
        {"name": "peer", "kind": "few-shot", "settings": {"shots": 1}},
    ],
    "columns": [{"path": "nap50", "heading": "nAP50"}],
    "curves": [
        {
            "file": "shots.svg", "title": "By shots", "x_name": "shots", "y_name": "nAP50",
            "setting": "shots", "column": "nap50", "limits": [0, 1],
            "lines": {"ours": ["five", "one"], "peer": ["peer"]},
        },
    ],
}  # fmt: skip
BY_EPOCH: dict[str, Any] = {
    "title": "T",
    "paper": "P",
    "collection": {},
    "targets": ["caps"],
    "rows": [{"name": "random", "kind": "product"}, {"name": "maml", "kind": "product"}],
    "columns": [{"path": "image.auroc", "heading": "AUROC"}],
    "curves": [
        {
            "file": "recall.svg", "title": "Recall, {target}", "x_name": "epochs", "y_name": "recall",
            "look": "recall", "lines": {"random start": ["random"], "MAML": ["maml"]},
        },
    ],
}  # fmt: skip
SHOTS = Experiment.model_validate(BY_SHOTS)
EPOCHS = Experiment.model_validate(BY_EPOCH)


def result(row: str, seed: int, figures: dict[str, Any]) -> Result:
    return Result(
        table="t", row=row, kind="product", seed=seed, device=None, figures=figures, seconds=1,
        settings={}, dataset="d", data_fingerprint="0" * 64, command="c", provenance={},
    )  # fmt: skip


def adapted(row: str, seed: int, *recalls: float, best: int) -> Result:
    """Looks every five steps from step 0; ten steps are an epoch."""
    looks = [{"step": 5 * number, "recall": recall} for number, recall in enumerate(recalls)]
    return result(row, seed, {"adaptation": {"best_step": 5 * best, "steps_of_epoch": 10.0, "looks": looks}})


def means(experiment: Experiment, results: list[Result]) -> dict[str, list[tuple[float, float]]]:
    by_row = {row.name: [one for one in results if one.row == row.name] for row in experiment.rows}
    curve = experiment.curves[0]
    lines = lines_by_epoch(curve, by_row)[0] if curve.look else lines_by_setting(curve, experiment, by_row)
    return {line: [(point.x, pytest.approx(point.y.mean)) for point in own] for line, own in lines.items()}


DRAWN = [
    *(result("five", seed, {"nap50": value}) for seed, value in enumerate((0.4, 0.6, 0.8))),
    *(result("one", seed, {"nap50": value}) for seed, value in enumerate((0.1, 0.3))),
]
ENDED = [
    adapted("random", 0, 0.1, 0.2, 0.4, 0.5, 0.7, best=4),
    adapted("random", 1, 0.3, 0.9, 0.5, best=1),  # ended after step 10; what was kept has 0.9
    adapted("maml", 0, 0.8, 1.0, best=1),
]


def test_rows_of_a_line_lie_at_their_setting_the_tables_or_their_own() -> None:
    assert means(SHOTS, DRAWN) == {"ours": [(1, 0.2), (5, 0.6)], "peer": []}


def test_a_level_runs_across_all_places_of_the_lines() -> None:
    rows = [*BY_SHOTS["rows"], {"name": "all", "kind": "few-shot"}]
    curves = [{**BY_SHOTS["curves"][0], "levels": {"every box": "all"}}]
    table = Experiment.model_validate({**BY_SHOTS, "rows": rows, "curves": curves})
    level = [result("all", seed, {"nap50": value}) for seed, value in enumerate((0.7, 0.9))]
    assert means(table, [*DRAWN, *level])["every box"] == [(1, 0.8), (5, 0.8)]
    assert means(table, DRAWN)["every box"] == []


def test_whiskers_are_students_interval_cut_at_the_limits() -> None:
    """Two values: t = 12.706, 0.2 ± 12.706 · 0.1 leaves 0…1. Three: t = 4.3027, 0.6 ± 4.3027 · 0.2 / √3."""
    (chart,) = charts_of(SHOTS, DRAWN)
    ends = {x: pytest.approx([low, high], abs=1e-3) for x, low, high in chart.spans["ours"]}
    assert ends == {1: [0, 1], 5: [0.1032, 1]}
    assert "(Student's t), cut where the figure cannot be." in chart.caption
    assert chart.caption.startswith("Mean over draws: 2–3. ")


def test_what_is_not_finite_has_no_point() -> None:
    assert means(SHOTS, [*DRAWN, result("five", 3, {"nap50": float("inf")})])["ours"] == [(1, 0.2)]


def test_a_column_without_numbers_is_told() -> None:
    with pytest.raises(BlemishError, match=r"curve shots\.svg: column 'nap50' must hold numbers\. Received"):
        charts_of(SHOTS, [result("five", 0, {"nap50": {"n": 1, "of": 2}})])


def test_a_seed_that_ended_early_keeps_its_best_value() -> None:
    """Of random, by hand: seed 1 has 0.3, 0.9, 0.5, and 0.9 from then on."""
    lines = means(EPOCHS, ENDED)
    assert lines["random start"] == [(0, 0.2), (0.5, 0.55), (1, 0.45), (1.5, 0.7), (2, 0.8)]
    assert lines["MAML"] == [(0, 0.8), (0.5, 1), (1, 1), (1.5, 1), (2, 1)]


def test_the_caption_says_which_ended_early_and_of_how_many_the_means_are() -> None:
    (chart,) = charts_of(EPOCHS, ENDED)
    assert "Seeds that ended early (1 of random start, 1 of MAML) keep their best value" in chart.caption
    assert "Mean over seeds: 2 (random start), 1 (MAML)." in chart.caption
    (whole,) = charts_of(EPOCHS, ENDED[:1])
    assert whole.caption == "One of the seeds alone."


def test_products_have_a_chart_each() -> None:
    experiment = for_targets(EPOCHS, ("caps", "Metal nut"))
    results = [adapted(f"{row}-metal-nut", 0, 0.5, 0.6, best=1) for row in ("random", "maml")]
    assert [(chart.of.file, chart.of.title) for chart in charts_of(experiment, results)] == [
        ("recall-metal-nut.svg", "Recall, Metal nut")
    ]
    results.append(adapted("maml-caps", 0, 0.5, 0.6, best=1))
    assert [chart.of.file for chart in charts_of(experiment, results)] == [
        "recall-caps.svg",
        "recall-metal-nut.svg",
    ]


def test_the_table_links_what_is_drawn_and_nothing_without_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    Path("experiments/t.yaml").write_text(yaml.safe_dump(BY_SHOTS))
    table = open_table("t", Path("out"), data=None, reporter=Reporter(quiet=True))
    assert "svg" not in write_table(table).read_text()
    assert [file.name for file in Path("out/t").iterdir()] == ["table.md"]
    for one in DRAWN:
        write_result(Path("out/t"), one)
    text = write_table(table).read_text()
    assert "![By shots](shots.svg)\n\n*By shots. Mean over draws: 2–3." in text
    first = Path("out/t/shots.svg").read_text()
    assert all(f">{name}<" in first for name in ("By shots", "shots", "nAP50", "ours"))
    write_table(table)
    assert Path("out/t/shots.svg").read_text() == first


def test_the_measures_of_a_look_are_those_that_a_curve_can_ask_for() -> None:
    import numpy as np

    measured = validation_figures(np.array([0.1, 0.9]), np.array([0, 1]))
    for name in ("medetection-table3", "medetection-shots20"):
        assert (
            {curve.look for curve in read_experiment(name).curves} == {"recall", "auroc"} <= measured.keys()
        )
    for look in measured:
        Experiment.model_validate({**BY_EPOCH, "curves": [{**BY_EPOCH["curves"][0], "look": look}]})


def test_without_matplotlib_a_chart_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        BlemishError, match=r"^Drawing shots\.svg needs matplotlib, .*pip install matplotlib$"
    ):
        write_charts(tmp_path, SHOTS, DRAWN)
    write_charts(tmp_path, SHOTS, [])


def test_many_points_have_a_band_and_few_have_whiskers() -> None:
    many = [adapted("maml", seed, *(0.1 * seed + 0.01 * n for n in range(20)), best=3) for seed in range(3)]
    (chart,) = charts_of(EPOCHS, many)
    assert len(chart.lines["MAML"]) == 20
    assert "FillBetweenPolyCollection" in drawn(chart)
    (few,) = charts_of(SHOTS, DRAWN)
    assert "FillBetweenPolyCollection" not in drawn(few)
    assert "LineCollection" in drawn(few)
