"""Rows of other tools: measured in their own environments by benchmarks/peers, here only read and printed.

The package depends on none of these tools; what they predicted is measured by the same code as a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from benchmarks.tables.results import Result, RowJob
from benchmarks.tables.row_kind import RowKind
from benchmarks.tables.schema import SLUG, TableRow
from benchmarks.tables.table import Table
from blemish.bundle.manifest import Strict


class ExternalSettings(Strict):
    """Settings of a row of another tool.

    peer: name of its folder in benchmarks/peers
    minutes: of training, its start and imports included; cores: threads that it may use
    clock: that counts them, of the wall or, where other work runs beside, of the processor
    weights: path of a file that training starts from, "none" for random weights, "efficientnet-lite0" for
        those that are installed with the package
    shots: boxes of each class in the support draw, for rows of the few-shot protocol
    options: the tool's own, handed on as they are
    """

    peer: str = Field(pattern=SLUG)
    minutes: float = Field(gt=0)
    clock: Literal["wall", "processor"] = "wall"
    cores: int = Field(1, ge=1)
    weights: str = "none"
    shots: int | None = Field(None, ge=1)
    options: Mapping[str, bool | int | float | str] = Field(default_factory=dict)


class External(RowKind):
    """Another tool on the whole dataset."""

    name = "external"
    settings_type = ExternalSettings
    external = True

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        return {"clock": "wall", **stored.settings}


class ExternalFewShot(External):
    """Another tool with the boxes of a support draw."""

    name = "external-few-shot"
    source = "draw"


class ExternalProduct(External):
    """Another tool on one product."""

    name = "external-product"
    source = "product"


def filling_line(table: Table, jobs: Sequence[RowJob]) -> str:
    """The command that fills rows which are not measured here, for the user."""
    names = ", ".join(job.name for job in jobs)
    rows = ",".join(dict.fromkeys(job.row.template or job.row.name for job in jobs))
    seeds = 1 + max(job.seed or 0 for job in jobs)
    return (
        f"{table.name}: {names} are other tools', run in environments of their own: "
        f"`make peers TABLE={table.name} ROWS={rows} SEEDS={seeds}`"
    )
