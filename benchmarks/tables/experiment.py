"""Reading a table's file: where it lies, its environment variables, and its rows for each product.

A row about one product is written once in the file; here it becomes a row for each target, and so do the
goals on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml
from pydantic import ValidationError

from benchmarks.tables.schema import Experiment, Goal, TableRow
from blemish.bundle.faults import first_fault
from blemish.errors import BlemishError, nearest_name

FOLDER = "experiments"
ORDER = "order"  # file beside the tables that says which to fill first
CHECKOUT = Path(__file__).parents[2]
PLACE = "{target}"  # in a title or section


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
    return sorted({file.stem for folder in folders() for file in folder.glob("*.yaml")} - {ORDER})


def folders() -> list[Path]:
    """Where tables are looked for, in this order."""
    return [Path.cwd() / FOLDER, CHECKOUT / FOLDER]


def expanded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with ${VARIABLE} in texts replaced by the environment's value.

    Raises BlemishError for a variable that is not set.
    """
    return {
        key: expanded_text(key, value) if isinstance(value, str) else value for key, value in settings.items()
    }


def expanded_text(key: str, text: str) -> str:
    try:
        return Template(text).substitute(os.environ)
    except KeyError as error:
        raise BlemishError(
            f"{key}: '{text}' needs the environment variable {error.args[0]}, which is not set. Set it to "
            "the folder of the file, or write the file's path into the table."
        ) from error
    except ValueError as error:
        raise BlemishError(f"{key}: '{text}' must name variables as ${{NAME}}. Received: {error}.") from error


def for_targets(experiment: Experiment, targets: Sequence[str]) -> Experiment:
    """The experiment with a row of its own for each target. Raises BlemishError where there are no such rows.

    Goals that name another target than these are left out.
    """
    several = {row.name for row in experiment.rows if row.traits.source == "product"}
    if not several:
        raise BlemishError(
            f"--target must be given for a table of products. Received: {', '.join(targets)}. Leave it out."
        )
    rows = tuple(made for row in experiment.rows for made in rows_for(row, targets))
    goals = tuple(made for goal in experiment.goals for made in goals_for(goal, targets, several))
    changed = {"rows": rows, "goals": goals, "targets": tuple(targets)}
    return experiment.model_copy(update=changed)


def rows_for(row: TableRow, targets: Sequence[str]) -> list[TableRow]:
    """The row itself, or where it is about a product one for each target."""
    if row.traits.source != "product":
        return [row]
    return [
        row.model_copy(
            update={
                "name": row_name(row.name, target),
                "title": row.label.replace(PLACE, target),
                "section": row.section.replace(PLACE, target),
                "template": row.name,
                "target": target,
                "paper": {**row.paper, **row.papers.get(target, {})},
                "reach": row.reach and row_name(row.reach, target),
                "against": row.against and row_name(row.against, target),
                "same_as": row.same_as and row_name(row.same_as, target),
            }
        )
        for target in targets
    ]


def goals_for(goal: Goal, targets: Sequence[str], templates: set[str]) -> list[Goal]:
    """The goal itself, or where it is on a row of products one for each target that it is about."""
    if goal.row not in templates:
        return [goal]
    named: Mapping[str, str | None] = {
        key: getattr(goal, key) for key in ("row", "above", "not_below", "against", "relative_to")
    }
    return [
        goal.model_copy(
            update={key: row_name(name, target) if name in templates else name for key, name in named.items()}
        )
        for target in targets
        if goal.target in (None, target)
    ]


def row_name(row: str | None, target: str) -> str:
    """The name of a row for one target, with letters, digits and hyphens alone, as files are called by it."""
    return f"{row}-{re.sub(r'[^a-z0-9]+', '-', target.lower()).strip('-')}"


def column_title(row: TableRow) -> str:
    """The text that all rows of one template have in common, as the head of a column of targets."""
    target = row.target or ""
    shared = [text for text in (row.title, row.section) if text and target not in text]
    return shared[0] if shared else row.template or row.name
