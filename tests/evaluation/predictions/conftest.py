"""Two small COCO datasets, and what a command would make of predictions on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_sets import box, outlined, write_dataset

from blemish.dataset.layouts import load_dataset
from blemish.evaluation.predictions import Judgement, evaluate_predictions, read_predictions
from blemish.progress import Reporter


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """test: a with a dent, b with a scratch, c clean; val: d with a dent, e clean. Numbers overlap."""
    test = {"a": [box(7, 2, 3, 10, 8)], "b": [box(3, 5, 5, 12, 4)], "c": []}
    return write_dataset(tmp_path / "boxes", {"test": test, "val": {"d": [box(7, 1, 1, 6, 6)], "e": []}})


@pytest.fixture
def outlines(tmp_path: Path) -> Path:
    """Dataset with outlines."""
    test = {"a": [outlined(7, 2, 3, 10, 8)], "b": [outlined(3, 5, 5, 12, 4)], "c": []}
    val = {"d": [outlined(7, 1, 1, 6, 6)], "e": []}
    return write_dataset(tmp_path / "outlines", {"test": test, "val": val})


@pytest.fixture(scope="session")
def measured() -> Callable[..., tuple[Any, tuple[str, ...]]]:
    """The evaluation of predictions on a split, and the notes."""

    def measure(path: Path, data: Path, split: str = "test", **judgement: Any) -> Any:
        dataset = load_dataset(data)
        predictions = read_predictions(path, dataset, data=data, split=split)
        return evaluate_predictions(predictions, dataset, split, Judgement(**judgement), Reporter(quiet=True))

    return measure


@pytest.fixture(scope="session")
def written() -> Callable[[Path, Any], Path]:
    """A file of the content as JSON, or of the text itself."""

    def write(path: Path, content: Any) -> Path:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write
