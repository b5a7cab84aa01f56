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

from benchmarks.tables.curve import Curve, check_curves
from blemish.bundle.manifest import first_fault
from blemish.dataset.splits.split import By
from blemish.errors import BlemishError, nearest_name

FOLDER = "experiments"
CHECKOUT = Path(__file__).parents[2]
# Where data and weights lie on a developer's machine when the environment does not say: beside the checkout.
DEFAULT_PLACES = {
    "BLEMISH_DATA": CHECKOUT.parent / "shared" / "data",
    "BLEMISH_WEIGHTS": CHECKOUT.parent / "shared" / "weights",
}
SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
GRAY = ("otsu", "kittler")  # kinds that need no training
OF_TYPES = ("types", "type-features")  # kinds that tell the types of true defects
FEW_SHOT = ("few-shot", "enrolled")  # kinds whose seed is that of a support draw
OF_DRAW = (*FEW_SHOT, "external-few-shot")  # all kinds whose seed is that of a support draw
PEERS = ("nearest-feature", "patch-memory", "linear-probe")  # kinds that measure a baseline of one product
OF_PRODUCT = ("product", *PEERS, "external-product")  # kinds that are about one product of several
# Kinds that other tools fill, see `reproduce.external`.
EXTERNAL = ("external", "external-few-shot", "external-product")
# Kinds whose figures depend on a seed.
SEEDED = ("train", "types-off", "stability", "chain", "external", *OF_TYPES, *OF_DRAW, *OF_PRODUCT)
# Kinds of random weights, measured on each device.
OF_DEVICE = ("speed", "detector-speed", "pair-speed", "cascade-speed", "runtime-speed", "map-speed")
OF_OTHERS = ("types-off", "stability")  # kinds that measure the bundle of another row
STAGES = ("train", "few-shot", "product")  # kinds whose bundles a chain can be made of


class Strict(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Strict):
    """path: dotted, into a row's figures, which are those of metrics.json; decimals: of what is printed.

    A path that ends in "*" stands for a column of each class, common ones first, under its name.
    group: columns of one group are printed as a table of their own under this title
    paired: rows with `against` also give the difference, draw by draw
    """

    path: str
    heading: str
    decimals: int = Field(3, ge=0, le=6)
    group: str = ""
    paired: bool = False


class Classes(Strict):
    """The few-shot protocol's two groups. common: none given are all that are not rare."""

    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = Field(min_length=1)


class Split(Strict):
    """Shares for data without splits of its own. test: of all images; val: of the rest

    by: as `dataset.splits.split.split_dataset` has it; given, it takes the place of splits that the data has
    """

    test: float = Field(0.3, gt=0, lt=1)
    val: float = Field(0.1, gt=0, lt=1)
    seed: int = 0
    by: By | None = None


class Row(Strict):
    """One line of the table.

    kind: "train" trains and evaluates, "otsu" and "kittler" are baselines without training, "types" trains
        and names true defects, "type-features" is its baseline, "types-off" and "stability" measure bundles
        of row `of` ("row" or "other-table/row"), "speed", "detector-speed", "pair-speed", "cascade-speed" and
        "runtime-speed" time random weights, "map-speed" what follows them, "few-shot" trains with the boxes
        of a support draw, "enrolled" adds them to its base; "product" adapts to one product what was learned
        from the others, "nearest-feature", "patch-memory" and "linear-probe" are its peers; "chain" measures
        bundles of rows `stages` one behind the other, or one of them alone; "external", "external-few-shot"
        and "external-product" are other tools on all data, with a support draw's boxes, on one product
    stages: rows of `STAGES`, "row" or "other-table/row", in the order in which they are asked
    method: that the row trains instead of the table's, with its own settings alone
    settings: of the method where the row trains (on top of the table's), of the kind for the others
    base: settings that base training has instead, so that rows can share one base
    against: row that the differences on the same draws are taken from
    section: rows of one section are printed as a table of their own, with the columns that they fill
    paper: the paper's figure by column path
    target: the product that a row of its kinds is about; "{target}" in title and section stands for it
    template: the row of the file that such a row was made from, once for each target
    papers: the paper's figures by product
    reach: row whose last look at the validation images is to be reached, see `reproduce.reached`
    same_as: "other-table/row": the row is that one, with the same settings and data; measured there alone
    """

    name: str = Field(pattern=SLUG)
    kind: Literal[
        "train", "otsu", "kittler", "types", "type-features", "types-off", "stability", "speed",
        "detector-speed", "few-shot", "enrolled", "product", "nearest-feature", "patch-memory",
        "linear-probe", "pair-speed", "cascade-speed", "runtime-speed", "map-speed", "chain", "external",
        "external-few-shot", "external-product",
    ]  # fmt: skip
    title: str = ""
    method: str | None = None
    of: str | None = None
    stages: tuple[str, ...] = ()
    section: str = ""
    settings: dict[str, Any] = {}
    base: dict[str, Any] = {}
    against: str | None = None
    paper: dict[str, float] = {}
    target: str | None = None
    template: str | None = None
    papers: dict[str, dict[str, float]] = {}
    reach: str | None = None
    same_as: str | None = Field(None, pattern=f"{SLUG[:-1]}/{SLUG[1:]}")

    @property
    def label(self) -> str:
        return self.title or self.name


class PaperRow(Strict):
    """A line that only the paper has. figures: by column path"""

    title: str
    section: str = ""
    figures: dict[str, float]


class Pictures(Strict):
    """What is drawn beside the table. images: test images, each with every row's detections

    metric_space: row whose metric space is drawn
    """

    images: int = Field(6, ge=1)
    metric_space: str | None = None


class Goal(Strict):
    """What the mean over seeds of one figure must reach: a number, or the same figure of another row.

    above: strictly more than that row's; not_below: at least that row's; device: for rows measured on several
    against: at_least is about the difference to that row on the same draws; told_from_zero: and the
        difference's 95 % interval excludes 0; relative_to: the bound is a share of that row's mean
    target: product that it is about; None: each one that the rows are made for
    """

    row: str
    column: str
    device: Literal["cpu", "cuda"] | None = None
    at_least: float | None = None
    at_most: float | None = None
    above: str | None = None
    not_below: str | None = None
    against: str | None = None
    told_from_zero: bool = False
    relative_to: str | None = None
    target: str | None = None

    @model_validator(mode="after")
    def one_bound(self) -> Self:
        bounds = (self.at_least, self.at_most, self.above, self.not_below)
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("a goal has exactly one of at_least, at_most, above and not_below")
        if self.against and self.at_least is None:
            raise ValueError("a goal with against has at_least")
        if self.relative_to and self.at_least is None and self.at_most is None:
            raise ValueError("a goal with relative_to has at_least or at_most")
        return self


class Experiment(Strict):
    """One YAML file. dataset: folder below --data; synthetic: arguments of `synthesise` instead.

    For few-shot rows: classes; rare_images: how many training images of each rare class stay; split: where
    the data has none; draws: table whose files of support draws are used, this one when not given
    also: more datasets to train on, folders or arguments of `synthesise`; class names then bear that of their
        dataset in front, and only images of the first one are measured
    For rows of one product: dataset is a folder of products; collection: instead, what `blemish data tasks`
        is told to make one; products: more of them, name and arguments of `synthesise`; targets: the products
        that each such row is filled for; by_target: columns that are printed with a line for each target
    """

    title: str
    paper: str
    dataset: str | None = None
    synthetic: dict[str, Any] | None = None
    collection: dict[str, Any] | None = None
    products: dict[str, dict[str, Any]] = {}
    targets: tuple[str, ...] = ()
    by_target: tuple[str, ...] = ()
    classes: Classes | None = None
    rare_images: int | None = Field(None, ge=1)
    split: Split = Split()
    also: tuple[str | dict[str, Any], ...] = ()
    draws: str | None = None
    method: str = "severity"
    settings: dict[str, Any] = {}
    rows: tuple[Row, ...] = Field(min_length=1)
    paper_rows: tuple[PaperRow, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    pictures: Pictures | None = None
    curves: tuple[Curve, ...] = ()
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> str | dict[str, Any] | None:
        """The dataset's name, or the arguments that a synthetic one is made from; all of several."""
        own = self.dataset or self.synthetic
        if self.collection is not None:
            own = {"collection": self.collection}
        if self.products:
            return {"products": self.products, "beside": own}
        return {"measured on": own, "also": list(self.also)} if self.also else own

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    @model_validator(mode="after")
    def names_are_known(self) -> Self:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"row names must differ; received {', '.join(names)}")
        for goal in self.goals:
            for name in (goal.row, goal.above, goal.not_below, goal.against, goal.relative_to):
                known("row of a goal", name, names)
        for row in self.rows:
            known("row that is compared against", row.against, names)
            known("row that is to be reached", row.reach, names)
        if self.pictures:
            known("row of a picture", self.pictures.metric_space, names)
        paths = [column.path for column in self.columns]
        used = [goal.column for goal in self.goals]
        used += [path for row in self.rows for path in row.paper]
        used += [path for row in self.rows for figures in row.papers.values() for path in figures]
        used += [path for row in self.paper_rows for path in row.figures]
        used += self.by_target
        for path in used:
            known("column", path, paths)
        settings = {row.name: {**self.settings, **row.settings} for row in self.rows}
        check_curves(self.curves, settings, paths)
        return self

    @model_validator(mode="after")
    def rows_have_what_they_measure(self) -> Self:
        trained: list[str] = []
        staged: list[str] = []
        for row in self.rows:
            if bool(row.stages) != (row.kind == "chain"):
                raise ValueError(f"row {row.name}: 'stages' belong to the kind chain, which has one or more")
            for name in (name for name in row.stages if "/" not in name):
                known(f"stage above {row.name}", name, staged)
            staged += [row.name] if row.kind in STAGES else []
            if (row.of is not None) != (row.kind in OF_OTHERS):
                raise ValueError(f"row {row.name}: 'of' belongs to the kinds {' and '.join(OF_OTHERS)}")
            if row.of is not None and "/" not in row.of:
                known(f"trained row above {row.name}", row.of, trained)
            trained += [row.name] if row.kind == "train" else []
            if row.method is not None and row.kind != "train":
                raise ValueError(f"row {row.name}: a method of its own belongs to the kind train")
            if row.same_as is not None and row.kind in EXTERNAL:
                raise ValueError(f"row {row.name}: 'same_as' does not belong to a row of another tool")
        if self.classes is None and any(row.kind in OF_DRAW for row in self.rows):
            raise ValueError("a table with few-shot rows has classes")
        if bool(self.targets) != any(row.kind in OF_PRODUCT for row in self.rows):
            raise ValueError(f"targets belong to the kinds {', '.join(OF_PRODUCT)}")
        if self.targets and self.split.by is not None:
            raise ValueError("split.by belongs to a table of one dataset: products bring splits of their own")
        with_data = ("train", "chain", "external", *GRAY, *OF_TYPES, *OF_DRAW, *OF_PRODUCT)
        needs_data = any(row.kind in with_data for row in self.rows)
        if sum(one is not None for one in (self.dataset, self.synthetic, self.collection)) != needs_data:
            raise ValueError(
                "a table with trained, product, type, chain or threshold rows has one of dataset, synthetic "
                "and collection; others have none"
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
    for folder in folders():
        file = folder / f"{name}.yaml"
        if Path(name).name == name and file.is_file():
            return file
    there = table_names()
    raise BlemishError(
        f"NAME must be a table of {folders()[0]}. Received: '{name}'.{nearest_name(name, there)} "
        f"There is: {', '.join(there) or 'none'}."
    )


def table_names() -> list[str]:
    """Every table there is, by name."""
    return sorted({file.stem for folder in folders() for file in folder.glob("*.yaml")})


def folders() -> list[Path]:
    """Where tables are looked for, in this order."""
    return [Path.cwd() / FOLDER, CHECKOUT / FOLDER]


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
