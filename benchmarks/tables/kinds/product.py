"""Rows about one product: what other products taught is adapted to it, and measured on its test images.

Source: MeDetection, section "Simulation details": the target is taken out, the rest is meta-trained on, then
the target is fine-tuned. Meta-training does not see the target, so it is done once, with seed 0, and every
seed and row that asks for the same starts from it.
"""

from __future__ import annotations

from typing import Any

from benchmarks.tables.lines import ADAPTATION
from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from benchmarks.tables.training import (
    MethodKind,
    TrainedBundle,
    base_name,
    method_settings,
    shared_base,
    test_metrics,
    trained_row,
)
from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.product_sets.products import of_product, without_product
from blemish.inspector.loading import inspector_of

# Settings that meta-training does not follow, or that say the same as others.
NOT_OF_START = (
    "preset", "target", "others", "shots", "steps", "learning_rate", "batch", "check_every", "patience",
    "references", "bank", "threshold", "cam_share", "device", "checkpoint_every", "ng_rule", "review_rule",
    "mm_per_px",
)  # fmt: skip


class ProductKind(MethodKind):
    """Adapt to one product what the others taught, and measure on its test images."""

    name = "product"
    source = "product"
    is_stage = True

    def also(self, table: Table, row: TableRow) -> dict[str, Any]:
        return {"target": row.target}

    def measure(self, table: Table, job: RowJob) -> Figures:
        row, seed = job.row, job.seed or 0
        assert row.target is not None
        settings = method_settings(table, row, self.also(table, row), expand=True)
        start = start_of(table, row) if settings.maml else None
        product = of_product(table.dataset, row.target)
        trained = trained_row(table, row, settings, seed, product=product, start=start)
        bundle, seconds = trained.bundle, trained.seconds
        inspector = inspector_of(bundle, device=settings.device)
        return {
            **test_metrics(inspector, product, bundle.manifest, seed, table.reporter),
            ADAPTATION: bundle.manifest.curves.get("adaptation"),
            "seconds_training": seconds,
            "minutes_training": seconds / 60,
            "seconds_base": trained.base_seconds,
        }


def start_of(table: Table, row: TableRow) -> TrainedBundle:
    """The start that the row adapts, meta-trained on first use.

    It learns from the products that the row's settings name, or from all but the target.
    """
    also = {**row.base, "target": None, "others": ()}
    wanted = method_settings(table, row, also)
    assert row.target is not None
    others = without_product(table.dataset, row.target)
    if named := method_settings(table, row, {"target": row.target}).others:
        others = others.where(lambda sample: sample.product in named)
    name = base_name(
        table.experiment.method, wanted.model_dump(mode="json"), fingerprint(others), ignored=NOT_OF_START
    )
    return shared_base(table, name, method_settings(table, row, also, expand=True), others, row=row.name)
