"""Reading the dataset of a use case, with a word on what became of its files."""

from __future__ import annotations

from pathlib import Path

from blemish.dataset.account import number
from blemish.dataset.opening import open_dataset
from blemish.dataset.samples import Dataset
from blemish.progress import Reporter

MAX_NAMED = 10  # broken files; all are in the bundle's manifest, in metrics.json or in the report


def read_dataset(data: Path, reporter: Reporter, *, skip_broken: bool = False) -> Dataset:
    """Read a dataset and report its account: a line of counts, and a warning for whatever was left out.

    skip_broken: leave out broken files, each with a line
    Raises BlemishError that names the file or setting.
    """
    dataset = open_dataset(data, skip_broken=skip_broken)
    found = f"{len(dataset)} images, {dataset.layout} ({dataset.reason})"
    reporter.line(f"{data}: {found}; {dataset.account.line()}")
    for warning in (*broken_files(dataset), *dataset.account.warnings):
        reporter.line(f"warning: {warning}")
    return dataset


def broken_files(dataset: Dataset) -> list[str]:
    """Lines on the broken files that were left out: each of the first, and their number."""
    reasons = list(dict.fromkeys(dataset.skipped.values()))
    if not reasons:
        return []
    lines = [f"left out: {reason}" for reason in reasons[:MAX_NAMED]]
    more = f", the first {MAX_NAMED} of them named above" if len(reasons) > MAX_NAMED else ""
    return [*lines, f"{number(len(dataset.skipped), 'file')} left out by --skip-broken{more}"]
