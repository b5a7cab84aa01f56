"""`evaluate --predictions`: what it writes, and what it refuses before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.dataset.samples import Dataset

Command = Callable[..., Any]


def is_one_line(err: str) -> bool:
    """Tell whether standard error ends with one error of one line, behind the account of the dataset."""
    *account, error = err.splitlines()
    return error.startswith("blemish: ") and all(" files used" in line for line in account)


@pytest.fixture
def scores(tiny_dataset: Dataset, tmp_path: Path) -> Path:
    """Perfect scores of the test images."""
    test = tiny_dataset.split("test")
    lines = ["image,score", *(f"{one.id},{0.9 if one.is_defective else 0.2}" for one in test)]
    (tmp_path / "scores.csv").write_text("\n".join(lines))
    return tmp_path / "scores.csv"


def test_metrics_and_report_are_those_of_the_predictions(
    blemish: Command, tiny_dataset: Dataset, scores: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = blemish("evaluate", "--predictions", scores, "--data", tiny_dataset.root, "--out", out)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[-1] == str(out / "report.html")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["image"]["auroc"] == 1 and metrics["method"] == "predictions"
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "The threshold 0.5 is the default: it was not chosen on data" in report
    assert "scores.csv on" in report


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "evaluate needs BUNDLE or --predictions FILE"),
        (["BUNDLE", "--predictions", "SCORES"], 2, "evaluate measures BUNDLE or --predictions. Received: "),
        (["BUNDLE", "--threshold", "0.3"], 2, "--threshold goes with --predictions"),
        (["--predictions", "SCORES", "--mm-per-px", "0.1"], 2, "--mm-per-px goes with BUNDLE"),
        (["--predictions", "SCORES", "--threshold", "0.3", "--rule", "f1"], 2, "Leave one out"),
        (["--predictions", "SCORES", "--rule", "best"], 2, "Received: 'best'"),
        (["--predictions", "SCORES", "--rule", "f1"], 1, "--rule needs predictions of 'val' images"),
        (["--predictions", "SCORES", "--split", "val"], 1, "no prediction for any of its"),
        (["--predictions", "SCORES", "--split", "all"], 1, "Add them, or give --missing none-found"),
        (["--predictions", "nowhere.csv"], 1, "nowhere.csv must exist"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(
    blemish: Command,
    tiny_dataset: Dataset,
    scores: Path,
    tmp_path: Path,
    options: list[str],
    code: int,
    message: str,
) -> None:
    given = [{"BUNDLE": tmp_path / "bundle", "SCORES": scores}.get(option, option) for option in options]
    answer = blemish("evaluate", *given, "--data", tiny_dataset.root, "--out", tmp_path / "out", "--quiet")
    assert answer.code == code
    assert message in answer.err
    assert is_one_line(answer.err)
    assert not (tmp_path / "out").exists()


def test_images_without_predictions_count_as_nothing_found_when_asked_for(
    blemish: Command, tiny_dataset: Dataset, scores: Path, tmp_path: Path
) -> None:
    places = ("--data", tiny_dataset.root, "--out", tmp_path / "out", "--split", "all", "--quiet")
    answer = blemish("evaluate", "--predictions", scores, *places, "--missing", "none-found")
    assert answer.code == 0, answer.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    known = tiny_dataset.split("test")
    defective = [sum(one.is_defective for one in part) for part in (known, tiny_dataset)]
    assert metrics["image"]["recall"] == pytest.approx(defective[0] / defective[1])
    assert f"{len(tiny_dataset) - len(known)} of {len(tiny_dataset)} images have no prediction" in (
        tmp_path / "out" / "report.html"
    ).read_text(encoding="utf-8")
