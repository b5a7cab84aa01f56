"""`reproduce`: fill a table row by row, keep what is there, write the Markdown from the stored rows alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.tables.charts import write_charts
from benchmarks.tables.kinds.external import filling_line
from benchmarks.tables.markdown import table_markdown
from benchmarks.tables.order import Step, fill_in_order
from benchmarks.tables.pictures import draw_pictures
from benchmarks.tables.results import (
    Result,
    RowJob,
    claimed,
    first_difference,
    read_results,
    refuse_other,
    write_result,
)
from benchmarks.tables.row_kind import DEVICES, require_packages
from benchmarks.tables.schema import Experiment, TableRow
from benchmarks.tables.table import Table, open_table
from blemish.errors import BlemishError, nearest_name
from blemish.files import write_atomically
from blemish.progress import Reporter
from blemish.provenance import provenance
from blemish.threads import thread_count

ROWS_VARIABLE = "BLEMISH_ROWS"  # names of rows, with commas: only these are filled


def fill_table(  # noqa: PLR0913 - an option each
    name: str,
    out: Path,
    *,
    data: Path | None,
    seeds: int,
    quiet: bool,
    common: str | None = None,
    rare: str | None = None,
    target: str | None = None,
    rows: Sequence[str] = (),
) -> Path:
    """Fill OUT/NAME row by row and write OUT/NAME/table.md after each; returns its path.

    Rows that are there are kept; an interrupted training goes on. Several processes may fill one table: each
    takes the rows that no other one has in hand.
    common, rare: names with commas, instead of the table's classes; target: instead of its products
    rows: that are filled; none given are those of BLEMISH_ROWS, or all
    Raises BlemishError for an unknown name, a fault in its file, a stored row of other settings or data, and,
    when all else is done, for rows that wait for the bundle of a row that was not trained here.
    """
    groups = {"common": names_in(common), "rare": names_in(rare)}
    reporter, targets = Reporter(quiet=quiet), names_in(target)
    table = open_table(name, out, data=data, reporter=reporter, groups=groups, targets=targets)
    refuse_unusable(table)
    waiting, external, filled = [], [], False
    for wanted in wanted_jobs(table, seeds, rows):
        home, row = table.shown(wanted.row)
        job = replace(wanted, row=row)
        if row.traits.external:
            external += [] if is_stored(home, job) else [wanted]
            continue
        if not is_stored(home, job) and missing(home, job):
            waiting.append((home, job))
            continue
        if measured_now(home, job, seeds):
            filled = True
            write_table(home)
        write_table(table)
    if filled:
        draw_pictures(table)
    file = write_table(table)
    if external:
        reporter.line(filling_line(table, external))
    refuse_waiting(table, waiting)
    return file


def fill_order(out: Path, *, data: Path | None, quiet: bool) -> Path:
    """Fill the tables of order.yaml in their order; returns OUT. See `order.fill_in_order`."""

    def fill_step(step: Step) -> None:
        fill_table(step.table, out, data=data, seeds=step.seeds, quiet=quiet, rows=step.rows)

    fill_in_order(fill_step)
    return out


def measured_now(table: Table, job: RowJob, seeds: int) -> bool:
    """Measure a row; False where it is there, or another process has it in hand."""
    with claimed(table.folder, job) as free:
        if not free or is_stored(table, job):
            return False
        fill(table, job, seeds)
    return True


def is_stored(table: Table, job: RowJob) -> bool:
    return (table.folder / f"{job.name}.json").is_file()


def names_in(text: str | None) -> tuple[str, ...] | None:
    """The names in a list with commas; None where there is no list."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def wanted_jobs(table: Table, seeds: int, rows: Sequence[str] = ()) -> Iterator[RowJob]:
    """Every row for the first seed, then for the next, so that a table cut short has something of each."""
    chosen = chosen_rows(table.experiment, rows)
    for seed in range(seeds):
        for row in table.experiment.rows:
            if row.name not in chosen:
                continue
            if row.traits.seeded:
                yield RowJob(row, seed=seed)
            elif seed == 0 and row.traits.source == "random":
                yield from (
                    RowJob(row, device=device) for device in devices() if device in row.traits.devices(row)
                )
            elif seed == 0:
                yield RowJob(row)


def chosen_rows(experiment: Experiment, rows: Sequence[str]) -> set[str]:
    """Given rows, else those that BLEMISH_ROWS names, themselves or what they were made from, else all."""
    made: dict[str, set[str]] = {}
    for row in experiment.rows:
        made.setdefault(row.name, set()).add(row.name)
        made.setdefault(row.template or row.name, set()).add(row.name)
    names = list(made)
    wanted = rows or names_in(os.environ.get(ROWS_VARIABLE, "")) or ()
    for name in wanted:
        if name not in names:
            raise BlemishError(
                f"{'rows' if rows else ROWS_VARIABLE} must name rows of the table. Received: '{name}'."
                f"{nearest_name(name, names)} There is: {', '.join(names)}."
            )
    return set().union(*(made[name] for name in wanted or names))


def devices() -> list[str]:
    """The CPU always, the GPU where torch sees one."""
    import torch

    return [device for device in DEVICES if device == "cpu" or torch.cuda.is_available()]


def missing(table: Table, job: RowJob) -> list[tuple[Table, TableRow]]:
    """The rows whose bundles a row measures that were not trained here, with their tables."""
    needed = job.row.traits.measured_bundles(table, job.row)
    return [(home, row) for home, row in needed if not home.bundle_path(row, job.seed or 0).is_dir()]


def fill(table: Table, job: RowJob, seeds: int) -> None:
    """Measure one row and write its file."""
    table.reporter.line(f"{table.name}: {job.name}")
    kind = job.row.traits
    require_packages(kind.packages, f"A row of kind {kind.name}")
    settings = kind.settings(table, job.row)  # first, as a fault in them is the user's to know now
    start, made_by = perf_counter(), {**provenance(), "threads": thread_count()}
    figures, command = kind.measure(table, job), command_of(table, seeds)
    seconds = perf_counter() - start
    write_result(table.folder, result_of(table, job, figures, seconds, settings, command, made_by))


def result_of(
    table: Table,
    job: RowJob,
    figures: dict[str, Any],
    seconds: float,
    settings: dict[str, Any],
    command: str,
    made_by: dict[str, Any],
) -> Result:
    """The row's file. made_by: `provenance()` before the work, and the threads"""
    home = table.trained(job.row)[0]
    has_data = job.row.traits.source != "random"
    return Result(
        table=table.name,
        row=job.row.name,
        kind=job.row.kind,
        seed=job.seed,
        device=job.device,
        figures=figures,
        seconds=round(seconds, 1),
        settings=settings,
        dataset=home.source if has_data else None,
        data_fingerprint=home.fingerprint if has_data else None,
        command=command,
        provenance=made_by,
    )


def command_of(table: Table, seeds: int) -> str:
    """The command that fills the table, without the paths of this machine."""
    given = [f" --{group} {','.join(names)}" for group, names in table.groups.items() if names is not None]
    given += [f" --target {','.join(table.targets)}"] if table.targets else []
    return f"blemish reproduce {table.name} --data DATA{''.join(given)} --seeds {seeds} --out OUT"


def write_table(table: Table) -> Path:
    """OUT/NAME/table.md and the charts that it shows, from the stored rows alone."""
    file, results = table.folder / "table.md", results_of(table)
    write_charts(table.folder, table.experiment, results)
    pictures = [picture.name for picture in table.folder.glob("*.png")]
    write_atomically(file, table_markdown(table.name, table.experiment, results, pictures=pictures))
    return file


def results_of(table: Table) -> list[Result]:
    """The stored results of the table's own rows, and of other tables' rows under their names here.

    Raises BlemishError for a file that is no result.
    """
    shared = shared_rows(table)
    found = [
        result for result in read_results(table.folder) if result.row not in {row.name for row in shared}
    ]
    for row in shared:
        home, other = table.shown(row)
        found += [
            result.model_copy(update={"table": table.name, "row": row.name})
            for result in read_results(home.folder)
            if result.row == other.name
        ]
    return found


def shared_rows(table: Table) -> list[TableRow]:
    """Rows that are measured once, in another table, and shown in both."""
    return [row for row in table.experiment.rows if row.same_as is not None]


# What does not fit


def refuse_unusable(table: Table) -> None:
    """`refuse_stale` for the table and for those that it has rows of, and `refuse_unlike`."""
    homes = {home.name: home for home in (table.shown(row)[0] for row in shared_rows(table))}
    for home in (table, *homes.values()):
        refuse_stale(home)
    refuse_unlike(table)


def refuse_stale(table: Table) -> None:
    """Raise BlemishError when a stored row was measured with other settings, or on other data, than now.

    Data that is not at hand is not compared, so that a table can be written again on a machine without it.
    """
    rows = {row.name: row for row in table.experiment.rows}
    for stored in read_results(table.folder):
        row = rows.get(stored.row)
        if row is None:
            continue
        file = table.folder / f"{stored.job_name}.json"
        if row.same_as is not None:
            raise BlemishError(f"{file}: row {row.name} is measured as {row.same_as}. Remove the file.")
        home, kind = table.trained(row)[0], row.traits
        has_data = kind.source != "random"
        refuse_other(
            stored,
            file,
            kind.upgraded(table, row, stored),
            now=kind.settings(table, row),
            dataset=home.source if has_data else None,
            digest=home.fingerprint if has_data and home.has_data else None,
        )


def refuse_unlike(table: Table) -> None:
    """Raise BlemishError where a row is not what the other table's row is: its settings, data or draws."""
    for row in shared_rows(table):
        home, other = table.shown(row)
        here, there = depended_on(table, row), depended_on(home, other)
        if key := first_difference(here, there):
            raise BlemishError(
                f"table {table.name}, row {row.name}: same_as must name a row of the same {key}. "
                f"Received: {row.same_as}, which has {there.get(key)}, not {here.get(key)}. "
                "Leave same_as out to measure the row here."
            )


def depended_on(table: Table, row: TableRow) -> dict[str, Any]:
    """All that a row's figures depend on beside seed and machine."""
    home, trained = table.trained(row)
    experiment, kind = home.experiment, row.traits
    about: dict[str, Any] = {"data": home.source, "split": experiment.split}
    if kind.source == "draw":
        about |= {"classes": experiment.classes, "rare_images": experiment.rare_images}
        about["draws"] = experiment.draws or table.name
    if trained.traits.of_method:
        about["method"] = trained.method or experiment.method
    return about | kind.settings(table, row)


def refuse_waiting(table: Table, waiting: list[tuple[Table, RowJob]]) -> None:
    if not waiting:
        return
    first = waiting[0][1]
    home, trained = missing(*waiting[0])[0]
    stored = home.folder / f"{RowJob(trained, seed=first.seed).name}.json"
    remove = f"remove {stored} and run" if stored.is_file() else "run"
    names = ", ".join(f"{home.name}/{job.name}" if home is not table else job.name for home, job in waiting)
    raise BlemishError(
        f"table {table.name}: {names} must have the bundle of a trained row. "
        f"Received: none in {home.bundle_path(trained, first.seed or 0)}. To train it, {remove} "
        f"`blemish reproduce {home.name} --out {home.out}`."
    )
