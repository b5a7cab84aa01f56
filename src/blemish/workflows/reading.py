"""Reading the dataset of a use case, with a word on what became of its files."""

from __future__ import annotations

from pathlib import Path

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.progress import Reporter


def read_dataset(data: Path, reporter: Reporter) -> Dataset:
    """Read a dataset and report its account: a line of counts, and a warning for whatever was left out.

    Raises BlemishError that names the file or setting.
    """
    dataset = load_dataset(data)
    found = f"{len(dataset)} images, {dataset.layout} ({dataset.reason})"
    reporter.line(f"{data}: {found}; {dataset.account.line()}")
    for warning in dataset.account.warnings:
        reporter.line(f"warning: {warning}")
    return dataset
