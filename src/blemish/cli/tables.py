"""Access to the papers' tables: the package `benchmarks.tables`, which a checkout has and the wheel has not.

It is imported by name, when a command asks for it, so that nothing in `blemish` depends on it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import blemish
from blemish.errors import BlemishError
from blemish.optional_dependencies import require_package

TABLES = "benchmarks.tables"
ORDER = "order"  # in place of a table's name: those of experiments/order.yaml, one after the other


def fill_table(name: str, out: Path, **options: Any) -> Path:
    """Fill OUT/NAME row by row; see `benchmarks.tables.fill.fill_table` for the options.

    name: "order" stands for the tables of order.yaml, with the seeds and rows that it says
    Raises BlemishError outside a checkout, and MissingExtraError without torch.
    """
    place_on_path("blemish reproduce")
    require_package("torch", "blemish reproduce")
    module = import_module(f"{TABLES}.fill")
    if name == ORDER:
        given = [f"--{option}" for option in ("common", "rare", "target") if options.get(option) is not None]
        if given:
            raise BlemishError(
                f"{given[0]} must be given for a single table. Received: {ORDER}. Leave it out, or name a "
                "table."
            )
        return Path(module.fill_order(out, data=options["data"], quiet=options["quiet"]))
    return Path(module.fill_table(name, out, **options))


def write_overview(results: Path, out: Path) -> Path:
    """Write the page of every filled table. Raises BlemishError outside a checkout."""
    place_on_path("blemish results")
    return Path(import_module(f"{TABLES}.overview").write_overview(results, out))


def place_on_path(command: str) -> None:
    """Put the root of the checkout that this package lies in on the module search path.

    command: that asks for it, for the message
    Raises BlemishError where the package is installed without a checkout.
    """
    package = Path(blemish.__file__).resolve().parent
    checkout = package.parents[1]
    if not (checkout / "benchmarks" / "tables").is_dir():
        raise BlemishError(
            f"{command} must be run in a checkout of the sources, which holds the papers' tables in "
            f"benchmarks/tables. Received: the package in {package}. Clone the repository and "
            "run `make setup` there."
        )
    if str(checkout) not in sys.path:
        sys.path.append(str(checkout))
