"""Where one table's data, run folders and results lie."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.tables.experiment import (
    DEFAULT_PLACES,
    Classes,
    Experiment,
    Row,
    find_experiment,
    read_experiment,
)
from benchmarks.tables.few_shot_data import few_shot_dataset, merged, with_test
from benchmarks.tables.own_data import is_one_dataset
from benchmarks.tables.product_data import (
    collection_place,
    is_of_products,
    made_collection,
    product_dataset,
    with_products,
)
from benchmarks.tables.results import RUNS
from benchmarks.tables.targets import for_targets
from blemish.bundle.manifest import first_fault
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.synthetic import synthesise
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
        elif is_of_products(self.data_folder):
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
        """Whether the dataset is at hand, without making or reading it."""
        experiment = self.experiment
        own = experiment.dataset or experiment.synthetic
        sources = (own, *experiment.also, *experiment.products.values())
        if experiment.collection is not None and not self.has_collection(experiment.collection):
            return False
        try:
            return all(self.is_there(source) for source in sources if source is not None)
        except BlemishError:
            return False

    def has_collection(self, arguments: Mapping[str, Any]) -> bool:
        """Whether --data is the products themselves, or the collection was made from it."""
        made = collection_place(self.out / COLLECTIONS / RUNS, self.data_folder, arguments)
        return is_of_products(self.data_folder) or made.is_dir()

    def is_there(self, source: str | dict[str, Any]) -> bool:
        if isinstance(source, str):
            return self.dataset_path(source).is_dir()
        return is_made(self.folder / RUNS, source)

    @property
    def source(self) -> str | dict[str, Any] | None:
        """What a result says it was measured on."""
        if self.experiment.collection is not None and is_of_products(self.data_folder):
            return {"folder of products": self.data_folder.resolve().name}
        if self.has_own_dataset:
            return {"folder": self.data_folder.resolve().name}
        return self.experiment.source

    @property
    def data_name(self) -> str:
        """What a bundle remembers as its data."""
        if self.has_own_dataset:
            return self.data_folder.resolve().name
        return self.experiment.dataset or "synthetic"

    @property
    def data_folder(self) -> Path:
        """The folder that holds the datasets."""
        return self.data or Path(os.environ.get("BLEMISH_DATA") or DEFAULT_PLACES["BLEMISH_DATA"])

    def dataset_path(self, name: str) -> Path:
        """Folder of the dataset: below --data, or --data itself when it has its name, the classes are given
        with it, or it is a dataset of the user's own.
        """
        place = self.data_folder
        itself = place.resolve().name == name or (self.data is not None and self.has_own_classes)
        candidates = [place / name, *([place] if itself or self.has_own_dataset else [])]
        for folder in candidates:
            if folder.is_dir():
                return folder
        raise BlemishError(
            f"{candidates[0]} must be the dataset of table {self.name}. Received: no such folder. "
            "Give the folder that holds it, or for most tables a dataset of your own, with --data, or set "
            "BLEMISH_DATA."
        )

    @cached_property
    def has_own_dataset(self) -> bool:
        """Whether --data is a dataset itself that stands in place of the table's one."""
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
        synthetic = experiment.synthetic or any(not isinstance(one, str) for one in experiment.also)
        home = self.folder if self.has_own_classes or synthetic else find_experiment(self.name).parent
        return home / DRAWS

    def run_folder(self, row: Row, seed: int) -> Path:
        """Where a trained row keeps its checkpoints and bundle."""
        return self.folder / RUNS / f"{row.name}-seed{seed}"

    def trained(self, row: Row) -> tuple[Table, Row]:
        """The row that was trained for this one, and its table: itself, row `of`, or `of` another table."""
        return (self, row) if row.of is None else self.named_row(row, row.of, field="of", kinds=("train",))

    def shown(self, row: Row) -> tuple[Table, Row]:
        """Where a row is measured: itself, or the row of another table that it is the same as."""
        if row.same_as is None:
            return self, row
        return self.named_row(row, row.same_as, field="same_as", kinds=(row.kind,))

    def beside(self, name: str) -> Table:
        """Another table of the same folder and data, opened once."""
        if name not in self.others:
            self.others[name] = open_table(
                name,
                self.out,
                data=self.data,
                reporter=self.reporter,
                groups=self.groups,
                targets=self.targets,
            )
        return self.others[name]

    @cached_property
    def others(self) -> dict[str, Table]:
        """Tables that were opened by `beside`."""
        return {}

    def named_row(self, row: Row, named: str, *, field: str, kinds: tuple[str, ...]) -> tuple[Table, Row]:
        """The row of one of these kinds that a field of `row` names, and the table that it is measured in."""
        name, slash, other = named.rpartition("/")
        table = self
        if slash:
            table = self.beside(name)
        shares = field == "same_as"
        rows = [one for one in table.experiment.rows if one.kind in kinds and not (shares and one.same_as)]
        names = [one.name for one in rows]
        if other not in names:
            wanted = f"a row of kind {row.kind} that is measured in its table" if shares else "a trained row"
            raise BlemishError(
                f"row {row.name} of table {self.name}: '{field}' must name {wanted}. Received: "
                f"'{named}'. Table {table.name} has {', '.join(names) or 'none'}."
            )
        return table.shown(table.experiment.row(other))


def place_name(source: str | Mapping[str, Any]) -> str:
    """What a dataset is called beside others."""
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
    given = {group: names for group, names in groups.items() if names is not None}
    if given and experiment.classes is None:
        raise BlemishError(
            f"--common and --rare must be given for a few-shot table. Received: table {name}, which has no "
            "classes. Leave them out."
        )
    if given:
        classes = with_groups(experiment.classes, given)
        experiment = experiment.model_copy(update={"classes": classes})
    if targets or experiment.targets:
        experiment = for_targets(experiment, targets or experiment.targets)
    return Table(name, experiment, out, data, reporter, groups, targets)


def with_groups(classes: Classes | None, given: Mapping[str, tuple[str, ...]]) -> Classes:
    """The table's classes with the given groups. Other rare ones alone leave all others common."""
    kept = {} if "rare" in given or classes is None else {"rare": classes.rare}
    try:
        return Classes.model_validate({**kept, **given})
    except ValidationError as error:
        raise BlemishError(f"--common, --rare: {first_fault(error, Classes.model_fields)}") from error


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
