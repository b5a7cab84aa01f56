"""Rows that another table has too: measured once, in that table, and shown in both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.tables.experiment import OF_DRAW, STAGES, Row
from benchmarks.tables.place import Table
from benchmarks.tables.results import Job, Result, read_results
from benchmarks.tables.rows import settings_of
from blemish.errors import BlemishError


def at_home(table: Table, job: Job) -> tuple[Table, Job]:
    """The table that a job is measured in, and the job as that table has it."""
    home, row = table.shown(job.row)
    return home, replace(job, row=row)


def results_of(table: Table) -> list[Result]:
    """What is stored of the table's own rows, and of other tables' under the names that they have here.

    Raises BlemishError for a file that is no result.
    """
    measured_elsewhere = {row.name for row in shared(table)}
    found = [one for one in read_results(table.folder) if one.row not in measured_elsewhere]
    for row in shared(table):
        home, other = table.shown(row)
        found += [
            one.model_copy(update={"table": table.name, "row": row.name})
            for one in read_results(home.folder)
            if one.row == other.name
        ]
    return found


def shared(table: Table) -> list[Row]:
    return [row for row in table.experiment.rows if row.same_as is not None]


def refuse_unlike(table: Table) -> None:
    """Raise BlemishError where a row is not what the other table's row is: its settings, data or draws."""
    for row in shared(table):
        home, other = table.shown(row)
        here, there = depended_on(table, row), depended_on(home, other)
        for key in [*here, *(key for key in there if key not in here)]:
            if here.get(key) != there.get(key):
                raise BlemishError(
                    f"table {table.name}, row {row.name}: same_as must name a row of the same {key}. "
                    f"Received: {row.same_as}, which has {there.get(key)}, not {here.get(key)}. "
                    "Leave same_as out to measure the row here."
                )


def depended_on(table: Table, row: Row) -> dict[str, Any]:
    """All that a row's figures depend on beside seed and machine."""
    home, trained = table.trained(row)
    experiment = home.experiment
    about: dict[str, Any] = {"data": home.source, "split": experiment.split}
    if row.kind in OF_DRAW:
        about |= {"classes": experiment.classes, "rare_images": experiment.rare_images}
        about["draws"] = experiment.draws or table.name
    if trained.kind in (*STAGES, "types", "enrolled"):
        about["method"] = trained.method or experiment.method
    return about | settings_of(table, row)
