"""A line chart beside a table as experiments/NAME.yaml describes it, checked against its rows and columns.

Nothing here reads results or draws; see `charts`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from blemish.bundle.manifest import Strict
from blemish.errors import nearest_name


class LineChart(Strict):
    """Lines of means over seeds with their 95 % intervals, by a setting or while training.

    file: its name in the table's folder; lines: names of rows by what the line is called
    setting: each row of a line is one point; x is the number that it has as this setting, y its `column`
    look: a line is one row, through its results on the validation images; x is epochs, y this measure
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


def check_line_charts(
    charts: Sequence[LineChart], settings: Mapping[str, Mapping[str, Any]], columns: Collection[str]
) -> None:
    """Raise ValueError for what a chart names that the table has not.

    settings: by row, as the file has them; columns: their paths
    """
    files = [chart.file for chart in charts]
    if len(set(files)) < len(files):
        raise ValueError(f"files of curves must differ. Received: {', '.join(files)}")
    for chart in charts:
        for row in chart.row_names:
            refuse_unknown(f"row of curve {chart.file}", row, settings)
        if chart.column is not None:
            plain = [path for path in columns if not path.endswith("*")]
            refuse_unknown(f"column of curve {chart.file}", chart.column, plain)
        for line, names in chart.lines.items() if chart.setting else ():
            places = [settings[name].get(chart.setting or "") for name in names]
            are_numbers = all(
                isinstance(place, int | float) and not isinstance(place, bool) for place in places
            )
            if not are_numbers or len(set(places)) < len(places):
                raise ValueError(
                    f"curve {chart.file}: rows of line '{line}' must each have another number as setting "
                    f"'{chart.setting}'. Received: {', '.join(str(place) for place in places)}"
                )


def refuse_unknown(what: str, name: str | None, there: Collection[str]) -> None:
    """Raise ValueError for a name that is given and not there, with the nearest. what: it is to name"""
    if name is not None and name not in there:
        raise ValueError(f"unknown {what}: '{name}'.{nearest_name(name, there)} There is: {', '.join(there)}")
