"""A table of a paper as experiments/NAME.yaml describes it, checked key by key.

Source of each figure: the YAML file names the paper's table. Nothing here reads data or trains.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from benchmarks.tables.by_image import PAIRED_PATHS
from benchmarks.tables.line_chart import LineChart, check_line_charts, refuse_unknown
from benchmarks.tables.row_kind import RowKind, find_kind
from blemish.bundle.manifest import Strict
from blemish.dataset.splits.split import By

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
TRAIN = "train"  # kind whose bundles other rows measure, and that may train a method of its own


class Column(Strict):
    """path: dotted, into a row's figures, which are those of metrics.json; decimals: of what is printed.

    A path with "*" for a name stands for a column of each class, common ones first, under its name.
    group: columns of one group are printed as a table of their own under this title
    paired: rows with `against` also give the difference, "draws": draw by draw or seed by seed, with an
        interval over these; "images": with one over the test images
    bounded: counts are printed with their upper bound, which says something of errors alone
    """

    path: str
    heading: str
    decimals: int = Field(3, ge=0, le=6)
    group: str = ""
    paired: Literal["draws", "images"] | None = None
    bounded: bool = True

    @field_validator("paired", mode="before")
    @classmethod
    def draws_are_meant(cls, paired: object) -> object:
        """True is "draws", as in older files."""
        return {True: "draws", False: None}.get(paired, paired) if isinstance(paired, bool) else paired

    @model_validator(mode="after")
    def images_can_be_paired(self) -> Self:
        if self.paired == "images" and self.path not in PAIRED_PATHS:
            raise ValueError(
                f"paired: images must be on one of {', '.join(PAIRED_PATHS)}. Received: {self.path}"
            )
        return self


class ClassGroups(Strict):
    """The few-shot protocol's two groups. common: none given are all that are not rare."""

    common: tuple[str, ...] = ()
    rare: tuple[str, ...] = Field(min_length=1)


class SplitShares(Strict):
    """Shares for data without splits of its own. test: of all images; val: of the rest

    by: as `dataset.splits.split.split_dataset` has it; given, it takes the place of splits that the data has
    folds: number of those of cross-validation, in place of `test`; for rows of its kinds
    """

    test: float = Field(0.3, gt=0, lt=1)
    val: float = Field(0.1, gt=0, lt=1)
    seed: int = 0
    by: By | None = None
    folds: int = Field(5, ge=2)


class TableRow(Strict):
    """A line of the table.

    kind: how it is measured, a file of `kinds/`
    of: row whose bundle it measures, "row" or "other-table/row"
    stages: rows whose bundles it measures one behind the other, named likewise
    method: that the row trains instead of the table's, with its own settings alone
    settings: of the method where the row trains (on top of the table's), of the kind for the others
    base: settings that base training has instead, so that rows can share one base
    against: row that the differences on the same draws are taken from
    section: rows of one section are printed as a table of their own, with the columns that they fill
    paper: the paper's figure by column path
    target: the product that a row of its kinds is about; "{target}" in title and section stands for it
    template: the row of the file that such a row was made from, once for each target
    papers: the paper's figures by product
    reach: row whose final result on the validation images is to be reached, see `lines.with_reached`
    same_as: "other-table/row": the row is that one, with the same settings and data; measured there alone
    """

    name: str = Field(pattern=SLUG)
    kind: str
    title: str = ""
    method: str | None = None
    of: str | None = None
    stages: tuple[str, ...] = ()
    section: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    base: dict[str, Any] = Field(default_factory=dict)
    against: str | None = None
    paper: dict[str, float] = Field(default_factory=dict)
    target: str | None = None
    template: str | None = None
    papers: dict[str, dict[str, float]] = Field(default_factory=dict)
    reach: str | None = None
    same_as: str | None = Field(None, pattern=f"{SLUG[:-1]}/{SLUG[1:]}")

    @field_validator("kind")
    @classmethod
    def kind_is_known(cls, name: str) -> str:
        return find_kind(name).name

    @property
    def traits(self) -> RowKind:
        """The row's kind, with its needs and its way of measuring."""
        return find_kind(self.kind)

    @property
    def label(self) -> str:
        return self.title or self.name


class PaperRow(Strict):
    """A line that only the paper has. figures: by column path"""

    title: str
    section: str = ""
    figures: dict[str, float]


class PictureChoice(Strict):
    """Pictures drawn beside a few-shot table. images: test images, each with every row's detections

    metric_space: row whose metric space is drawn
    """

    images: int = Field(6, ge=1)
    metric_space: str | None = None


class Goal(Strict):
    """A bound that the mean over seeds of one figure must reach: a number, or the same figure of another row.

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
    """A YAML file of experiments/. dataset: folder below --data; synthetic: arguments of `synthesise`.

    data: folder that holds the dataset where neither --data nor BLEMISH_DATA says it

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
    data: str | None = None
    dataset: str | None = None
    synthetic: dict[str, Any] | None = None
    collection: dict[str, Any] | None = None
    products: dict[str, dict[str, Any]] = Field(default_factory=dict)
    targets: tuple[str, ...] = ()
    by_target: tuple[str, ...] = ()
    classes: ClassGroups | None = None
    rare_images: int | None = Field(None, ge=1)
    split: SplitShares = SplitShares()
    also: tuple[str | dict[str, Any], ...] = ()
    draws: str | None = None
    method: str = "severity"
    settings: dict[str, Any] = Field(default_factory=dict)
    rows: tuple[TableRow, ...] = Field(min_length=1)
    paper_rows: tuple[PaperRow, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    pictures: PictureChoice | None = None
    curves: tuple[LineChart, ...] = ()
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

    def row(self, name: str) -> TableRow:
        return next(row for row in self.rows if row.name == name)

    @model_validator(mode="after")
    def names_are_known(self) -> Self:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names):
            raise ValueError(f"row names must differ; received {', '.join(names)}")
        for goal in self.goals:
            for name in (goal.row, goal.above, goal.not_below, goal.against, goal.relative_to):
                refuse_unknown("row of a goal", name, names)
        for row in self.rows:
            refuse_unknown("row that is compared against", row.against, names)
            refuse_unknown("row that is to be reached", row.reach, names)
        if self.pictures:
            refuse_unknown("row of a picture", self.pictures.metric_space, names)
        paths = [column.path for column in self.columns]
        of_papers = [figures for row in self.rows for figures in (row.paper, *row.papers.values())]
        of_papers += [row.figures for row in self.paper_rows]
        used = [goal.column for goal in self.goals] + [path for figures in of_papers for path in figures]
        for path in [*used, *self.by_target]:
            refuse_unknown("column", path, paths)
        settings = {row.name: {**self.settings, **row.settings} for row in self.rows}
        check_line_charts(self.curves, settings, paths)
        return self

    @model_validator(mode="after")
    def rows_have_what_they_measure(self) -> Self:
        trained: list[str] = []
        staged: list[str] = []
        for row in self.rows:
            if bool(row.stages) != row.traits.takes_stages:
                raise ValueError(f"row {row.name}: 'stages' belong to the kind chain, which has one or more")
            for name in (name for name in row.stages if "/" not in name):
                refuse_unknown(f"stage above {row.name}", name, staged)
            staged += [row.name] if row.traits.is_stage else []
            if (row.of is not None) != (row.traits.source == "bundle"):
                raise ValueError(
                    f"row {row.name}: 'of' belongs to kinds that measure the bundle of another row"
                )
            if row.of is not None and "/" not in row.of:
                refuse_unknown(f"trained row above {row.name}", row.of, trained)
            trained += [row.name] if row.kind == TRAIN else []
            if row.method is not None and row.kind != TRAIN:
                raise ValueError(f"row {row.name}: a method of its own belongs to the kind train")
            if row.same_as is not None and row.traits.external:
                raise ValueError(f"row {row.name}: 'same_as' does not belong to a row of another tool")
        return self

    @model_validator(mode="after")
    def data_suit_the_rows(self) -> Self:
        kinds = [row.traits for row in self.rows]
        if self.classes is None and any(kind.source == "draw" for kind in kinds):
            raise ValueError("a table with few-shot rows has classes")
        if bool(self.targets) != any(kind.source == "product" for kind in kinds):
            raise ValueError("targets belong to a table with rows of one product, such as the kind product")
        if self.targets and self.split.by is not None:
            raise ValueError("split.by belongs to a table of one dataset: products bring splits of their own")
        sources = [source for source in (self.dataset, self.synthetic, self.collection) if source is not None]
        if len(sources) != any(kind.needs_data for kind in kinds):
            raise ValueError(
                "a table whose rows need data has one of dataset, synthetic and collection; others have none"
            )
        return self
