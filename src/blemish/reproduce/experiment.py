"""A table of a paper as experiments/NAME.yaml describes it, checked key by key.

Source of each figure: the YAML file names the paper's table. Nothing here reads data or trains.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from blemish.bundle.manifest import first_fault
from blemish.errors import BlemishError, nearest_name

FOLDER = "experiments"
CHECKOUT = Path(__file__).parents[3]
# Where data and weights lie on a developer's machine when the environment does not say: beside the checkout.
DEFAULT_PLACES = {
    "BLEMISH_DATA": CHECKOUT.parent / "shared" / "data",
    "BLEMISH_WEIGHTS": CHECKOUT.parent / "shared" / "weights",
}
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
SEEDED = ("train", "types-off", "stability")  # kinds whose figures depend on a training seed
OF_OTHERS = ("types-off", "stability")  # kinds that measure the bundle of another row


class Strict(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Strict):
    """path: dotted, into a row's figures, which are those of metrics.json; decimals: of what is printed.

    group: columns of one group are printed as a table of their own under this title
    """

    path: str
    heading: str
    decimals: int = Field(3, ge=0, le=6)
    group: str = ""


class Row(Strict):
    """One line of the table.

    kind: "train" trains and evaluates, "otsu" is the baseline without training, "types-off" and "stability"
        measure the bundle of row `of` ("row" or "other-table/row"), "speed" times random weights
    settings: of the method for "train" (on top of the table's), of the kind for the others
    section: rows of one section are printed as a table of their own, with the columns that they fill
    paper: the paper's figure by column path
    """

    name: str = Field(pattern=SLUG)
    kind: Literal["train", "otsu", "types-off", "stability", "speed"]
    title: str = ""
    of: str | None = None
    section: str = ""
    settings: dict[str, Any] = {}
    paper: dict[str, float] = {}

    @property
    def label(self) -> str:
        return self.title or self.name


class PaperRow(Strict):
    """A line that only the paper has. figures: by column path"""

    title: str
    section: str = ""
    figures: dict[str, float]


class Goal(Strict):
    """What the mean over seeds of one figure must reach: a number, or the same figure of another row.

    above: strictly more than that row's; not_below: at least that row's; device: for rows measured on several
    """

    row: str
    column: str
    device: Literal["cpu", "cuda"] | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: str | None = None
    not_below: str | None = None

    @model_validator(mode="after")
    def one_bound(self) -> Self:
        bounds = (self.at_least, self.at_most, self.above, self.not_below)
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("a goal has exactly one of at_least, at_most, above and not_below")
        return self


class Experiment(Strict):
    """One YAML file. dataset: folder below --data; synthetic: arguments of `synthesise` instead."""

    title: str
    paper: str
    dataset: str | None = None
    synthetic: dict[str, Any] | None = None
    method: str = "severity"
    settings: dict[str, Any] = {}
    rows: tuple[Row, ...] = Field(min_length=1)
    paper_rows: tuple[PaperRow, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str | dict[str, Any] | None:
        """The dataset's name, or the arguments that a synthetic one is made from."""
        return self.dataset or self.synthetic

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    @model_validator(mode="after")
    def names_are_known(self) -> Self:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"row names must differ; received {', '.join(names)}")
        for goal in self.goals:
            for name in (goal.row, goal.above, goal.not_below):
                known("row of a goal", name, names)
        paths = [column.path for column in self.columns]
        used = [goal.column for goal in self.goals]
        used += [path for row in self.rows for path in row.paper]
        used += [path for row in self.paper_rows for path in row.figures]
        for path in used:
            known("column", path, paths)
        return self

    @model_validator(mode="after")
    def rows_have_what_they_measure(self) -> Self:
        trained: list[str] = []
        for row in self.rows:
            if (row.of is not None) != (row.kind in OF_OTHERS):
                raise ValueError(f"row {row.name}: 'of' belongs to the kinds {' and '.join(OF_OTHERS)}")
            if row.of is not None and "/" not in row.of:
                known(f"trained row above {row.name}", row.of, trained)
            trained += [row.name] if row.kind == "train" else []
        needs_data = any(row.kind in ("train", "otsu") for row in self.rows)
        if (self.dataset is not None) + (self.synthetic is not None) != needs_data:
            raise ValueError(
                "a table with trained or otsu rows has one of dataset and synthetic; others have none"
            )
        return self


def known(what: str, name: str | None, names: list[str]) -> None:
    if name is not None and name not in names:
        raise ValueError(f"unknown {what}: '{name}'; there is {', '.join(names)}")


def read_experiment(name: str) -> Experiment:
    """The table NAME. Raises BlemishError for an unknown name, or a fault in its file."""
    file = find_experiment(name)
    try:
        fields = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Experiment.model_validate(fields)
    except (OSError, yaml.YAMLError) as error:
        raise BlemishError(f"{file} cannot be read: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        raise BlemishError(f"{file}: {first_fault(error, Experiment.model_fields)}") from error


def find_experiment(name: str) -> Path:
    """The YAML file of a table: in ./experiments, else in the checkout that this package is of."""
    folders = [Path.cwd() / FOLDER, CHECKOUT / FOLDER]
    for folder in folders:
        file = folder / f"{name}.yaml"
        if Path(name).name == name and file.is_file():
            return file
    there = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    raise BlemishError(
        f"NAME must be a table of {folders[0]}. Received: '{name}'.{nearest_name(name, there)} "
        f"There is: {', '.join(there) or 'none'}."
    )


def expanded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with ${VARIABLE} in texts replaced by the environment's or the default places' value."""
    values = {**{name: str(path) for name, path in DEFAULT_PLACES.items()}, **os.environ}
    return {key: expand(key, value, values) for key, value in settings.items()}


def expand(key: str, value: Any, variables: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return Template(value).substitute(variables)
    except (KeyError, ValueError) as error:
        raise BlemishError(
            f"{key}: '{value}' names an environment variable that is not set: {error}."
        ) from error
