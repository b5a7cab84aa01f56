"""Rows that train a method and measure it on the test images, and its bundle without the stage of types."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures
from benchmarks.tables.schema import TRAIN
from benchmarks.tables.table import Table
from benchmarks.tables.training import (
    BundleKind,
    MethodKind,
    bundle_of,
    method_settings,
    test_figures,
    trained_row,
)
from blemish.errors import BlemishError
from blemish.inspector.loading import inspector_of
from blemish.methods.severity.inference import SeverityInference


class Train(MethodKind):
    """Train, or go on with an interrupted training, then measure on the test images."""

    name = TRAIN
    is_stage = True

    def measure(self, table: Table, job: RowJob) -> Figures:
        seed, settings = job.seed or 0, method_settings(table, job.row, expand=True)
        trained = trained_row(table, job.row, settings, seed)
        bundle = trained.bundle
        inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
        figures = test_figures(table, inspector, bundle.manifest, seed)
        times = {"seconds_training": trained.seconds, "cpu_seconds_training": trained.cpu_seconds}
        return {**figures, **times}


class TypesOff(BundleKind):
    """The severity bundle of row `of` without stage 4. Figures that need a type are not given then."""

    name = "types-off"

    def measure(self, table: Table, job: RowJob) -> Figures:
        home, trained = table.trained(job.row)
        bundle = bundle_of(home, trained, job.seed or 0)
        inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
        if not isinstance(inspector.inference, SeverityInference):
            raise BlemishError(
                f"{bundle.path}: kind types-off needs a bundle of method 'severity'. "
                f"Received: '{bundle.manifest.method}'. Remove the row."
            )
        without = replace(inspector, inference=inspector.inference.without_types())
        return test_figures(home, without, bundle.manifest, job.seed or 0)
