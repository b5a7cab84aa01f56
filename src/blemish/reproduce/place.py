"""Where one table's data, run folders and results lie."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.progress import Reporter
from blemish.reproduce.experiment import DEFAULT_PLACES, Experiment, Row, read_experiment
from blemish.reproduce.results import RUNS


@dataclass(frozen=True)
class Table:
    """An experiment and its folder OUT/NAME. data: folder that holds the datasets, as given by --data"""

    name: str
    experiment: Experiment
    out: Path
    data: Path | None
    reporter: Reporter

    @property
    def folder(self) -> Path:
        return self.out / self.name

    @cached_property
    def dataset(self) -> Dataset:
        """The table's dataset, a synthetic one made first. Raises BlemishError when it is not there."""
        if self.experiment.synthetic is not None:
            return synthetic_dataset(self.folder / RUNS, self.experiment.synthetic, self.reporter)
        return load_dataset(self.dataset_path())

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.dataset)

    @property
    def has_data(self) -> bool:
        """Whether the dataset is at hand, without making or reading it."""
        if self.experiment.synthetic is not None:
            return is_made(self.folder / RUNS, self.experiment.synthetic)
        try:
            return self.dataset_path().is_dir()
        except BlemishError:
            return False

    def dataset_path(self) -> Path:
        """Folder of the dataset: below --data, or --data itself when it has the dataset's name."""
        name = self.experiment.dataset
        assert name is not None
        place = self.data or Path(os.environ.get("BLEMISH_DATA") or DEFAULT_PLACES["BLEMISH_DATA"])
        candidates = [place / name, *([place] if place.resolve().name == name else [])]
        for folder in candidates:
            if folder.is_dir():
                return folder
        raise BlemishError(
            f"{candidates[0]} must be the dataset of table {self.name}. Received: no such folder. "
            "Give the folder that holds it with --data, or set BLEMISH_DATA."
        )

    def run_folder(self, row: Row, seed: int) -> Path:
        """Where a trained row keeps its checkpoints and bundle."""
        return self.folder / RUNS / f"{row.name}-seed{seed}"

    def trained(self, row: Row) -> tuple[Table, Row]:
        """The row that was trained for this one, and its table: itself, row `of`, or `of` another table."""
        if row.of is None:
            return self, row
        name, slash, other = row.of.rpartition("/")
        table = self if not slash else open_table(name, self.out, data=self.data, reporter=self.reporter)
        names = [one.name for one in table.experiment.rows if one.kind == "train"]
        if other not in names:
            raise BlemishError(
                f"row {row.name} of table {self.name}: 'of' must name a trained row. Received: '{row.of}'. "
                f"Table {table.name} has {', '.join(names) or 'none'}."
            )
        return table, table.experiment.row(other)


def open_table(name: str, out: Path, *, data: Path | None, reporter: Reporter) -> Table:
    """The table NAME in OUT. Raises BlemishError for an unknown name or a fault in its file."""
    return Table(name, read_experiment(name), out, data, reporter)


def synthetic_dataset(folder: Path, arguments: Mapping[str, Any], reporter: Reporter) -> Dataset:
    """The set that these arguments of `synthesise` make, made once; of two processes at it, one's is kept."""
    place = synthetic_place(folder, arguments)
    if not is_made(folder, arguments):
        folder.mkdir(parents=True, exist_ok=True)
        reporter.line(f"Making the synthetic set {place}")
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=folder))
        try:
            synthesise_from(draft, arguments)
            if not place.exists():
                draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return load_dataset(place)


def synthetic_place(folder: Path, arguments: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
    return folder / f"data-{digest[:12]}"


def is_made(folder: Path, arguments: Mapping[str, Any]) -> bool:
    """Whether the set is there and whole: its dataset.yaml is written last."""
    return (synthetic_place(folder, arguments) / SETTINGS_NAME).is_file()


def synthesise_from(folder: Path, arguments: Mapping[str, Any]) -> None:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()
    }
    try:
        synthesise(folder, **values)
    except TypeError as error:
        raise BlemishError(f"synthetic: {error}. See blemish.dataset.synthetic.synthesise.") from error
