"""`reproduce order`: the tables of experiments/order.yaml in turn, for a machine that is lent for a while."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from benchmarks.tables.experiment import ORDER, folders
from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Strict
from blemish.errors import BlemishError


class Step(Strict):
    """A table to fill. rows: those alone; seeds: number of seeds or support draws; why: for the reader"""

    table: str
    rows: tuple[str, ...] = ()
    seeds: int = Field(3, ge=1)
    why: str = ""


class Order(Strict):
    """Tables in the order in which they are worth the most. title: for the reader"""

    title: str
    steps: tuple[Step, ...] = Field(min_length=1)


def read_order() -> tuple[Path, Order]:
    """The file and what it says: in ./experiments, else in the checkout that this package is of.

    Raises BlemishError where there is none, or for a fault in it.
    """
    file = next((place for folder in folders() if (place := folder / f"{ORDER}.yaml").is_file()), None)
    if file is None:
        raise BlemishError(f"{folders()[0]} must hold {ORDER}.yaml. Received: none. Name a table instead.")
    try:
        return file, Order.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise BlemishError(f"{file} cannot be read: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        raise BlemishError(f"{file}: {first_fault(error, Order.model_fields)}") from error


def fill_in_order(fill: Callable[[Step], object]) -> None:
    """Fill each step's table. One that fails does not keep the next from its turn.

    Raises BlemishError when all else is done, with the first fault.
    """
    file, order = read_order()
    faults: dict[str, str] = {}
    for step in order.steps:
        try:
            fill(step)
        except BlemishError as error:
            faults.setdefault(step.table, str(error))
    if faults:
        first = next(iter(faults.values()))
        raise BlemishError(f"{file}: not all was filled in {', '.join(faults)}. The first fault: {first}")
