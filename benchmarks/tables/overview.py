"""RESULTS.md: every table of every paper on one page, from the stored rows alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables.experiment import table_names
from benchmarks.tables.fill import results_of, write_table
from benchmarks.tables.goals import goal_text
from benchmarks.tables.lines import lines_of, with_reached
from benchmarks.tables.markdown import grid, table_markdown
from benchmarks.tables.results import Result
from benchmarks.tables.table import Table, open_table
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.methods import find_method, method_names
from blemish.progress import Reporter

LINK = re.compile(r"(!?\[[^\]]*\]\()(?![a-z]+:|/|#)")  # up to where a relative link begins
MET, NOT_MET, NOT_MEASURED = "met", "**not met**", "not measured"


@dataclass(frozen=True)
class Filled:
    """A table and its stored rows."""

    table: Table
    results: Sequence[Result]

    @property
    def goals(self) -> list[str]:
        """A line for each goal, which ends with what became of it."""
        experiment = self.table.experiment
        lines = lines_of(experiment, with_reached(experiment, self.results))
        return [goal_text(goal, experiment, lines) for goal in experiment.goals]


def write_overview(results: Path, out: Path) -> Path:
    """Write the page, and every table.md with it. results: folder that `reproduce` filled

    Raises BlemishError where the folder holds no table.
    """
    if not results.is_dir():
        raise BlemishError(
            f"{results} must be a folder that `blemish reproduce` filled. Received: none there."
        )
    reporter = Reporter(quiet=True)
    tables = [open_table(name, results, data=None, reporter=reporter) for name in table_names()]
    filled = [Filled(table, results_of(table)) for table in tables]
    if not any(page.results for page in filled):
        raise BlemishError(
            f"{results} must hold measured rows. Received: none. Run `blemish reproduce` first."
        )
    for page in filled:
        if page.results:
            write_table(page.table)
    place = os.path.relpath(results.resolve(), out.resolve().parent)
    write_atomically(out, overview_markdown(filled, place))
    return out


def overview_markdown(filled: Sequence[Filled], place: str) -> str:
    """The whole page. place: of the results' folder, seen from the page"""
    measured = [page for page in filled if page.results]
    parts = [
        "# Results",
        "Made by `blemish results` from what `blemish reproduce` stored. In italics: the papers' figures.",
        *goals_at_a_glance(measured),
    ]
    for name in method_names():
        own = [page for page in measured if page.table.experiment.method == name]
        if own:
            parts += [f"## {find_method(name).title}", *(demoted(page, place) for page in own)]
    waiting = [
        f"- {page.table.experiment.title} (`{page.table.name}`)" for page in filled if not page.results
    ]
    parts += ["## Not measured yet", "\n".join(waiting)] if waiting else []
    return "\n\n".join(parts) + "\n"


def goals_at_a_glance(measured: Iterable[Filled]) -> list[str]:
    """How many goals are met, and every goal with its outcome."""
    outcomes = [(page.table.name, *outcome(goal)) for page in measured for goal in page.goals]
    counts = ", ".join(
        f"{sum(ending == wanted for *_, ending in outcomes)} {wanted.strip('*')}"
        for wanted in (MET, NOT_MET, NOT_MEASURED)
    )
    table = [["goal", "table", "outcome"], *([goal, name, ending] for name, goal, ending in outcomes)]
    return ["## Goals", f"Of {len(outcomes)} goals: {counts}.", grid(table)]


def outcome(goal: str) -> tuple[str, str]:
    """A goal's line without its ending, and the ending."""
    for ending in (NOT_MET, NOT_MEASURED, MET):
        if goal.endswith(ending):
            return goal.removesuffix(ending).rstrip(" ,:").replace("|", "\\|"), ending
    raise ValueError(goal)


def demoted(filled: Filled, place: str) -> str:
    """The table's own page two levels further down, with links that hold from here."""
    page = table_markdown(filled.table.name, filled.table.experiment, filled.results)
    deeper = re.sub(r"^#", "###", page, flags=re.MULTILINE)
    return LINK.sub(rf"\g<1>{place}/{filled.table.name}/", deeper).rstrip()
