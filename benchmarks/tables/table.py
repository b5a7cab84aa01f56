"""A table at work: its experiment, its folder, and where its data, draws and run folders lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.tables.data import (
    collection_place,
    few_shot_dataset,
    is_of_products,
    is_one_dataset,
    made_collection,
    merged,
    product_dataset,
    synthetic_dataset,
    synthetic_place,
    with_products,
    with_test,
)
from benchmarks.tables.experiment import find_experiment, for_targets, read_experiment
from benchmarks.tables.results import RUNS
from benchmarks.tables.schema import TRAIN, ClassGroups, Experiment, TableRow
from blemish.bundle.faults import first_fault
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.progress import Reporter

DRAWS = "draws"
COLLECTIONS = "collections"  # folder beside the tables, as these share them
Groups = Mapping[str, tuple[str, ...] | None]  # classes that the user gave instead of the table's


@dataclass(frozen=True)
class Table:
    """An experiment and its folder OUT/NAME. data: folder that holds the datasets, as given by --data

    groups: classes that were given instead of the table's; targets: products
    """

    name: str
    experiment: Experiment
    out: Path
    data: Path | None
    reporter: Reporter
    groups: Groups = field(default_factory=dict)
    targets: tuple[str, ...] | None = None

    @property
    def folder(self) -> Path:
        return self.out / self.name

    @cached_property
    def dataset(self) -> Dataset:
        """The table's dataset, a synthetic one made first. Raises BlemishError when it is not there."""
        experiment, runs = self.experiment, self.folder / RUNS
        if experiment.targets:
            return product_dataset(self.products(), experiment, self.reporter)
        dataset = self.loaded(experiment.dataset or experiment.synthetic or {})
        if experiment.classes is None:
            return with_test(dataset, experiment.split)
        if experiment.also:
            others = {place_name(source): self.loaded(source) for source in experiment.also}
            dataset = merged({place_name(experiment.dataset or {}): dataset, **others}, experiment.split)
        return few_shot_dataset(dataset, experiment, runs, self.reporter)

    def products(self) -> Dataset:
        """The products as they lie on disk; a collection and synthetic ones are made first."""
        experiment = self.experiment
        if experiment.collection is None:
            dataset = self.loaded(experiment.dataset or experiment.synthetic or {})
        elif self.has_own_products:
            dataset = load_dataset(self.data_folder)
        else:
            dataset = made_collection(
                self.out / COLLECTIONS / RUNS, self.data_folder, experiment.collection, self.reporter
            )
        more = {name: self.loaded(arguments) for name, arguments in experiment.products.items()}
        return with_products(dataset, more)

    def loaded(self, source: str | dict[str, Any]) -> Dataset:
        """A dataset as it lies on disk; a synthetic one is made first."""
        if isinstance(source, str):
            return load_dataset(self.dataset_path(source))
        return synthetic_dataset(self.folder / RUNS, source, self.reporter)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.dataset)

    @property
    def has_data(self) -> bool:
        """True where the dataset is at hand, without making or reading it."""
        experiment, runs = self.experiment, self.folder / RUNS
        place = self.data_place
        if experiment.collection is not None and not self.has_own_products:
            made = self.out / COLLECTIONS / RUNS
            if place is None or not collection_place(made, place, experiment.collection).is_dir():
                return False
        own = (experiment.dataset, experiment.synthetic)
        for source in (*own, *experiment.also, *experiment.products.values()):
            if isinstance(source, str):
                if not any(folder.is_dir() for folder in self.candidates(source)):
                    return False
            elif source is not None and not (synthetic_place(runs, source) / SETTINGS_NAME).is_file():
                return False
        return True

    @property
    def source(self) -> str | dict[str, Any] | None:
        """The data that a result names as its own."""
        if self.has_own_products:
            return {"folder of products": self.data_folder.resolve().name}
        if self.has_own_dataset:
            return {"folder": self.data_folder.resolve().name}
        return self.experiment.source

    @property
    def data_name(self) -> str:
        """The data that a bundle names as its own."""
        if self.has_own_dataset:
            return self.data_folder.resolve().name
        return self.experiment.dataset or "synthetic"

    @property
    def data_place(self) -> Path | None:
        """The folder that holds the datasets: --data, else BLEMISH_DATA, else `data` of the table's file."""
        named = self.data or os.environ.get("BLEMISH_DATA") or self.experiment.data
        return Path(named) if named else None

    @property
    def data_folder(self) -> Path:
        """The folder that holds the datasets. Raises BlemishError where none is named."""
        if self.data_place is None:
            wanted = f"a folder '{self.experiment.dataset}'" if self.experiment.dataset else "the public sets"
            raise BlemishError(
                f"table {self.name} must be given its data, {wanted} in the folder of all datasets. "
                "Received: none. Give that folder by --data, by the environment variable BLEMISH_DATA, or as "
                f"'data' in {find_experiment(self.name)}."
            )
        return self.data_place

    def dataset_path(self, name: str) -> Path:
        """Folder of the dataset, the first of `candidates`. Raises BlemishError where there is none."""
        self.data_folder  # noqa: B018 - raises where no folder is named
        candidates = self.candidates(name)
        for folder in candidates:
            if folder.is_dir():
                return folder
        raise BlemishError(
            f"{candidates[0]} must be the dataset of table {self.name}. Received: no such folder. Give the "
            "folder that holds it, or for most tables a dataset of your own, by --data, the environment "
            "variable BLEMISH_DATA, or 'data' in the table's file."
        )

    def candidates(self, name: str) -> list[Path]:
        """Where a dataset may lie: below the data folder, or that itself when it has its name, the classes
        are given with it, or it is a dataset of the user's own.
        """
        place = self.data_place
        if place is None:
            return []
        itself = place.resolve().name == name or (self.data is not None and self.has_own_classes)
        return [place / name, *([place] if itself or self.has_own_dataset else [])]

    @cached_property
    def has_own_products(self) -> bool:
        """True for a data folder of products, in place of the collection that the table makes."""
        place = self.data_place
        return self.experiment.collection is not None and place is not None and is_of_products(place)

    @cached_property
    def has_own_dataset(self) -> bool:
        """True where --data is a dataset itself that stands in place of the table's one."""
        experiment, name, place = self.experiment, self.experiment.dataset, self.data
        if name is None or place is None or experiment.classes or experiment.targets:
            return False
        return place.resolve().name != name and not (place / name).is_dir() and is_one_dataset(place)

    @property
    def has_own_classes(self) -> bool:
        return any(names is not None for names in self.groups.values())

    @property
    def draws_folder(self) -> Path:
        """Where support draws are kept: beside the table's file where everyone has the same data and classes.

        Else beside its results: a synthetic picture may differ in a bit from machine to machine.
        """
        experiment = self.experiment
        synthetic = experiment.synthetic or any(not isinstance(more, str) for more in experiment.also)
        home = self.folder if self.has_own_classes or synthetic else find_experiment(self.name).parent
        return home / DRAWS

    def run_folder(self, row: TableRow, seed: int) -> Path:
        """Where a trained row keeps its checkpoints and bundle."""
        return self.folder / RUNS / f"{row.name}-seed{seed}"

    def bundle_path(self, row: TableRow, seed: int) -> Path:
        return self.run_folder(row, seed) / "bundle"

    def trained(self, row: TableRow) -> tuple[Table, TableRow]:
        """The row that was trained for this one, and its table: itself, row `of`, or `of` another table."""
        return (self, row) if row.of is None else self.named_row(row, row.of, field="of", kinds=(TRAIN,))

    def shown(self, row: TableRow) -> tuple[Table, TableRow]:
        """Where a row is measured: itself, or the row of another table that it is the same as."""
        if row.same_as is None:
            return self, row
        return self.named_row(row, row.same_as, field="same_as", kinds=(row.kind,))

    def beside(self, name: str) -> Table:
        """Another table of the same folder and data, opened once."""
        if name not in self.others:
            options: Any = {"data": self.data, "groups": self.groups, "targets": self.targets}
            self.others[name] = open_table(name, self.out, reporter=self.reporter, **options)
        return self.others[name]

    @cached_property
    def others(self) -> dict[str, Table]:
        """Tables that were opened by `beside`."""
        return {}

    def named_row(
        self, row: TableRow, named: str, *, field: str, kinds: tuple[str, ...]
    ) -> tuple[Table, TableRow]:
        """The row of one of these kinds that a field of `row` names, and the table that it is measured in."""
        name, slash, other = named.rpartition("/")
        table = self.beside(name) if slash else self
        shares = field == "same_as"
        rows = [
            candidate
            for candidate in table.experiment.rows
            if candidate.kind in kinds and not (shares and candidate.same_as)
        ]
        names = [candidate.name for candidate in rows]
        if other not in names:
            wanted = f"a row of kind {row.kind} that is measured in its table" if shares else "a trained row"
            raise BlemishError(
                f"row {row.name} of table {self.name}: '{field}' must name {wanted}. Received: "
                f"'{named}'. Table {table.name} has {', '.join(names) or 'none'}."
            )
        return table.shown(table.experiment.row(other))


def place_name(source: str | Mapping[str, Any]) -> str:
    """The name of a dataset beside others."""
    return source if isinstance(source, str) else "synthetic"


def open_table(
    name: str,
    out: Path,
    *,
    data: Path | None,
    reporter: Reporter,
    groups: Groups | None = None,
    targets: tuple[str, ...] | None = None,
) -> Table:
    """The table NAME in OUT, with its classes and targets or the given ones.

    Raises BlemishError for an unknown name, a fault in its file, or classes or targets where it has none.
    """
    experiment, groups = read_experiment(name), groups or {}
    own_groups = {group: names for group, names in groups.items() if names is not None}
    if own_groups and experiment.classes is None:
        raise BlemishError(
            f"--common and --rare must be given for a few-shot table. Received: table {name}, which has no "
            "classes. Leave them out."
        )
    if own_groups:
        classes = with_groups(experiment.classes, own_groups)
        experiment = experiment.model_copy(update={"classes": classes})
    if targets or experiment.targets:
        experiment = for_targets(experiment, targets or experiment.targets)
    return Table(name, experiment, out, data, reporter, groups, targets)


def with_groups(classes: ClassGroups | None, groups: Mapping[str, tuple[str, ...]]) -> ClassGroups:
    """The table's classes with the given groups. Other rare ones alone leave all others common."""
    rare = {} if "rare" in groups or classes is None else {"rare": classes.rare}
    try:
        return ClassGroups.model_validate({**rare, **groups})
    except ValidationError as error:
        raise BlemishError(f"--common, --rare: {first_fault(error, ClassGroups.model_fields)}") from error
