"""A kind of row: its settings, what it needs, and how it is measured.

Every class with a name in a file of `kinds/` is one; adding a kind is adding a file there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from benchmarks.tables import kinds
from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Strict
from blemish.errors import BlemishError, nearest_name

if TYPE_CHECKING:
    from benchmarks.tables.results import Result, RowJob
    from benchmarks.tables.schema import TableRow
    from benchmarks.tables.table import Table

Figures = dict[str, Any]
Source = Literal["dataset", "draw", "product", "bundle", "random"]
Model = TypeVar("Model", bound=BaseModel)
DEVICES = ("cpu", "cuda")


class NoSettings(Strict):
    """Settings of a kind that takes none."""


class RowKind:
    """Base of every kind, with what most of them share.

    name: that tables call it by
    settings_type: of a row's own settings
    source: a row is measured on the whole "dataset", by a support "draw" whose seed is the row's, on one
        "product" of several, on the "bundle" of row `of`, or with "random" weights on each device
    seeded: its figures depend on a seed
    is_stage: its bundle can be a stage of a chain
    of_method: its settings are those of the table's method
    external: another tool fills it, in an environment of its own
    takes_stages: it measures the bundles of rows `stages`
    packages: that it needs beside PyTorch, by import name, and what pip calls them
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[BaseModel]] = NoSettings
    source: ClassVar[Source] = "dataset"
    seeded: ClassVar[bool] = True
    is_stage: ClassVar[bool] = False
    of_method: ClassVar[bool] = False
    external: ClassVar[bool] = False
    takes_stages: ClassVar[bool] = False
    packages: ClassVar[Mapping[str, str]] = {}

    @property
    def needs_data(self) -> bool:
        """True where a table with such a row names a dataset."""
        return self.source in ("dataset", "draw", "product")

    def devices(self, row: TableRow) -> tuple[str, ...]:
        """Where a row of random weights is measured."""
        return DEVICES

    def settings(self, table: Table, row: TableRow) -> dict[str, Any]:
        """Every setting that the row's figures depend on, environment variables as they are written.

        Raises BlemishError for an unknown key or a value out of range, naming table and row.
        """
        own = validated(self.settings_type, row.settings, table, row).model_dump(mode="json")
        return {**own, "target": row.target} if self.source == "product" else own

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        """Stored settings under the names of today, with the values of those that they are older than."""
        return dict(stored.settings)

    def measured_bundles(self, table: Table, row: TableRow) -> list[tuple[Table, TableRow]]:
        """Rows that must have left their bundles before this one is measured, and their tables."""
        return []

    def measure(self, table: Table, job: RowJob) -> Figures:
        """Figures of one row. Raises BlemishError for settings, data or a bundle that cannot be used."""
        raise NotImplementedError(f"kind {self.name} is not measured here")


@cache
def row_kinds() -> Mapping[str, RowKind]:
    """Every kind there is, by name."""
    modules = [import_module(f"{kinds.__name__}.{module.name}") for module in iter_modules(kinds.__path__)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    named = [kind for kind in classes if issubclass(kind, RowKind) and "name" in vars(kind)]
    return {kind.name: kind() for kind in sorted(named, key=lambda kind: kind.name)}


def find_kind(name: str) -> RowKind:
    """The kind of that name. Raises ValueError for an unknown one, with the nearest."""
    if name not in row_kinds():
        there = ", ".join(row_kinds())
        raise ValueError(f"unknown kind '{name}'.{nearest_name(name, row_kinds())} There is: {there}")
    return row_kinds()[name]


def validated(model: type[Model], values: Mapping[str, Any], table: Table, row: TableRow) -> Model:
    """Settings from a table's file. Raises BlemishError that names table, row and key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, model.model_fields)
        raise BlemishError(f"table {table.name}, row {row.name}: settings: {fault}") from error


def require_packages(packages: Mapping[str, str], purpose: str) -> None:
    """Raise BlemishError where a package that no extra of the wheel brings is not installed.

    packages: import names, and what pip calls them; purpose: what needs them, as the sentence's first words
    """
    for module, package in packages.items():
        try:
            import_module(module)
        except ImportError as error:
            raise BlemishError(
                f"{purpose} needs {package}, which is not installed. Run: pip install {package}"
            ) from error
