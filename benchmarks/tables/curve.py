"""A line chart beside a table as experiments/NAME.yaml describes it, checked against its rows and columns.

Nothing here reads results or draws; see `reproduce.curve_charts`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from blemish.bundle.manifest import Strict
from blemish.errors import nearest_name


class Curve(Strict):
    """One chart: each line is the mean over seeds with its 95 % interval, by a setting or while training.

    file: its name in the table's folder; lines: names of rows by what the line is called
    setting: each row of a line is one point; x is the number that it has as this setting, y its `column`
    look: a line is one row, through its looks at the validation images; x is epochs, y this measure
    levels: names of rows without a place on x, by name, each drawn as a line across the others' places; only
        with `setting`
    limits: what y can be at all; intervals are cut there
    Of rows about a product there is one chart a product, whose name is added to `file`; "{target}" in `title`
    stands for it.
    """

    file: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\.svg$")
    title: str
    x_name: str
    y_name: str
    lines: dict[str, tuple[str, ...]] = Field(min_length=1, max_length=7)  # as many as there are colours
    setting: str | None = None
    column: str | None = None
    look: Literal["recall", "auroc", "accuracy", "log_likelihood"] | None = None
    levels: dict[str, str] = Field(default_factory=dict)
    limits: tuple[float, float] | None = None

    @property
    def row_names(self) -> list[str]:
        return [*(name for names in self.lines.values() for name in names), *self.levels.values()]

    @model_validator(mode="after")
    def x_goes_with_y(self) -> Self:
        if (self.setting is None) != (self.column is None) or (self.setting is None) == (self.look is None):
            raise ValueError(f"curve {self.file} must have setting and column, or look")
        if self.levels and (self.look or self.levels.keys() & self.lines.keys()):
            raise ValueError(f"curve {self.file}: levels go with setting, under names that no line has")
        for line, names in self.lines.items():
            if not names or (self.look and len(names) > 1):
                rule = "must be one row" if self.look else "must have rows"
                raise ValueError(f"curve {self.file}: line '{line}' {rule}. Received: {list(names)}")
        if self.limits and self.limits[0] >= self.limits[1]:
            raise ValueError(f"curve {self.file}: limits must ascend. Received: {list(self.limits)}")
        return self


def check_curves(
    curves: Sequence[Curve], settings: Mapping[str, Mapping[str, Any]], columns: Collection[str]
) -> None:
    """Raise ValueError for what a curve names that the table has not.

    settings: by row, as the file has them; columns: their paths
    """
    files = [curve.file for curve in curves]
    if len(set(files)) < len(files):
        raise ValueError(f"files of curves must differ. Received: {', '.join(files)}")
    for curve in curves:
        for row in curve.row_names:
            refuse_unknown(f"row of curve {curve.file}", row, settings)
        if curve.column is not None:
            plain = [path for path in columns if not path.endswith("*")]
            refuse_unknown(f"column of curve {curve.file}", curve.column, plain)
        for line, names in curve.lines.items() if curve.setting else ():
            check_places(curve, line, [settings[name].get(curve.setting or "") for name in names])


def check_places(curve: Curve, line: str, places: Sequence[Any]) -> None:
    """Whether each row of the line has a place of its own on the x-axis."""
    are_numbers = all(isinstance(place, int | float) and not isinstance(place, bool) for place in places)
    if not are_numbers or len(set(places)) < len(places):
        raise ValueError(
            f"curve {curve.file}: rows of line '{line}' must each have another number as setting "
            f"'{curve.setting}'. Received: {', '.join(str(place) for place in places)}"
        )


def refuse_unknown(what: str, name: str, there: Collection[str]) -> None:
    if name not in there:
        raise ValueError(f"unknown {what}: '{name}'.{nearest_name(name, there)} There is: {', '.join(there)}")
