"""Training a row: settings, a training whose time outlives a stop, bases that rows share, test figures.

A base is a training that several rows and tables start from: done once, with seed 0, and kept beside the
tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, ClassVar

from benchmarks.tables.by_image import by_image
from benchmarks.tables.experiment import expanded
from benchmarks.tables.results import RUNS, Result, locked
from benchmarks.tables.row_kind import RowKind, validated
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from blemish.bundle.manifest import Manifest
from blemish.bundle.migrations import (
    BEFORE_AUTO,
    LEGACY,
    RENAMED,
    comparable_settings,
    legacy_defaults,
    upgrade_settings,
)
from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.operating_point import OperatingPoint
from blemish.evaluation.records import Evaluation
from blemish.evaluation.run import evaluate_samples, split_to_evaluate
from blemish.files import write_atomically
from blemish.inspector.chain import Judge, unlimited
from blemish.inspector.inspector import BundleInspector
from blemish.methods import find_method
from blemish.methods.contract import Method
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

CLOCK, CPU_CLOCK = "seconds", "cpu_seconds"  # files in the run folder
BASE_SEED = 0
# Settings added since version 0.1, each with the value by which training is as it was.
SINCE_0_1: Mapping[str, Any] = {
    "bits": None, "rare_below": 20, "fine_tune_boxes": None, "kept_side": 224, "kept_box": 16,
    "linear_strength": 1.0, "image_score_images": 30, "image_score_steps": 150,
    "log_scale": False, "centred": False, "background_init": "random", "prototype_offsets": False,
    "linear_head": False,
    **LEGACY["tlsdd"], **LEGACY["medetection"],
}  # fmt: skip
BASES = "bases"  # folder beside the tables, as these share them
OF = "of."  # in front of a row's stored settings that are of the row whose bundle it measures
BASE = "base."  # in front of a row's stored settings that its base has instead


class MethodKind(RowKind):
    """Base of the kinds that train the table's method, or that start from a training of it."""

    of_method: ClassVar[bool] = True

    def settings(self, table: Table, row: TableRow) -> dict[str, Any]:
        """Every setting of the method, and those that the row's base has instead."""
        own = method_settings(table, row, self.also(table, row)).model_dump(mode="json")
        return {**own, **{f"{BASE}{key}": value for key, value in row.base.items()}}

    def also(self, table: Table, row: TableRow) -> dict[str, Any]:
        """Settings of the method that the table says elsewhere."""
        return {}

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        method = method_of(table, row)
        base = below(stored.settings, BASE)
        own = {key: value for key, value in stored.settings.items() if not key.startswith(BASE)}
        unnamed = (
            upgrade_settings(method.name, {}).keys() - base.keys()
        )  # a base says only what it has instead
        named = {
            key: value for key, value in upgrade_settings(method.name, base).items() if key not in unnamed
        }
        return {
            **legacy_defaults(method.name, method.settings_type),
            **upgrade_settings(method.name, own),
            **{f"{BASE}{key}": value for key, value in named.items()},
        }


class BundleKind(RowKind):
    """Base of the kinds that measure the bundle of row `of`, whose settings are theirs too, behind "of."."""

    source = "bundle"

    def settings(self, table: Table, row: TableRow) -> dict[str, Any]:
        home, trained = table.trained(row)
        of = trained.traits.settings(home, trained)
        return super().settings(table, row) | {f"{OF}{key}": value for key, value in of.items()}

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        home, trained = table.trained(row)
        of = stored.model_copy(update={"settings": below(stored.settings, OF)})
        own = {key: value for key, value in stored.settings.items() if not key.startswith(OF)}
        now = trained.traits.upgraded(home, trained, of)
        return own | {f"{OF}{key}": value for key, value in now.items()}

    def measured_bundles(self, table: Table, row: TableRow) -> list[tuple[Table, TableRow]]:
        return [table.trained(row)]


def below(settings: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings whose keys begin with the prefix, without it."""
    return {key.removeprefix(prefix): settings[key] for key in settings if key.startswith(prefix)}


def method_settings(
    table: Table, row: TableRow, also: Mapping[str, Any] | None = None, *, expand: bool = False
) -> Any:
    """The method's settings of a trained row: the table's, then the row's own, then `also`.

    The table's are not those of a row with a method of its own. REVIEW, which no table rests on, begins as in
    the stored rows where none of them says.
    """
    shared = table.experiment.settings if row.method is None else {}
    values = {"review_rule": BEFORE_AUTO["review_rule"], **shared, **row.settings, **(also or {})}
    settings_type = method_of(table, row).settings_type
    return validated(settings_type, expanded(values) if expand else values, table, row)


def method_of(table: Table, row: TableRow) -> Method:
    return find_method(row.method or table.experiment.method)


def test_metrics(
    inspector: BundleInspector, dataset: Dataset, manifest: Manifest, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """Figures of metrics.json for the test images, as `evaluate` writes them."""
    return dict(test_evaluation(inspector, dataset, [manifest], seed, reporter).metrics)


def test_figures(table: Table, inspector: BundleInspector, manifest: Manifest, seed: int) -> dict[str, Any]:
    """Figures of metrics.json for the table's test images, and what is stored of each of them."""
    evaluation = test_evaluation(inspector, table.dataset, [manifest], seed, table.reporter)
    return {**evaluation.metrics, **by_image(evaluation, table.dataset, table.experiment.split.by)}


def test_evaluation(
    judge: Judge, dataset: Dataset, manifests: Sequence[Manifest], seed: int, reporter: Reporter
) -> Evaluation:
    """An inspector or a chain on the test images; the operating point is that of its first stage.

    As in the papers, everything found counts, whatever the image's score.
    """
    chosen = split_to_evaluate(dataset, "test")
    evaluator = evaluate_samples(unlimited(judge), chosen, reporter, title="inspecting the test images")
    return evaluator.result(
        method="+".join(manifest.method for manifest in manifests),
        split="test",
        seed=seed,
        operating_point=OperatingPoint.from_json(manifests[0].operating_point),
        pixel_threshold=judge.inference.pixel_threshold,
    )


def trained_row(
    table: Table,
    row: TableRow,
    settings: Any,
    seed: int,
    *,
    product: Dataset | None = None,
    start: TrainedBundle | None = None,
) -> TrainedBundle:
    """Train a row in its run folder, or go on with an interrupted training.

    product: that it learns instead of the whole dataset; start: that it goes on from
    """
    request = Request(
        method_of(table, row),
        product or table.dataset,
        settings,
        table.run_folder(row, seed),
        seed=seed,
        resume=True,
        origin=row.target or table.data_name,
        initial_bundle=start.bundle if start else None,
    )
    bundle = timed_training(request, table.reporter)
    return trained_in(request.run, bundle, base_seconds=start.seconds if start else 0.0)


def timed_training(request: Request, reporter: Reporter) -> Bundle:
    """A trained bundle; its run folder keeps the seconds, those of earlier, interrupted attempts included.

    The time of an attempt that was killed outright is lost.
    """
    clocks = {CLOCK: perf_counter, CPU_CLOCK: process_time}
    starts = {name: now() - seconds_in(request.run / name) for name, now in clocks.items()}
    try:
        return train(request, reporter)
    finally:
        if request.run.is_dir():
            for name, now in clocks.items():
                write_atomically(request.run / name, f"{now() - starts[name]:.1f}\n")


def trained_in(run: Path, bundle: Bundle, *, base_seconds: float = 0.0) -> TrainedBundle:
    """The bundle of a run folder with the seconds that are kept there."""
    return TrainedBundle(bundle, seconds_in(run / CLOCK), base_seconds, seconds_in(run / CPU_CLOCK))


def seconds_in(clock: Path) -> float:
    try:
        return float(clock.read_text())
    except (OSError, ValueError):
        return 0.0


def bundle_of(table: Table, row: TableRow, seed: int) -> Bundle:
    """The bundle that a trained row left. Raises BlemishError when it was trained with other settings."""
    method = method_of(table, row)
    bundle = load_bundle(table.bundle_path(row, seed), method=method.name)
    wanted = method.resolved_settings(method_settings(table, row, expand=True), note=lambda line: None)
    own = type(wanted).model_validate(bundle.manifest.settings)
    trained_with, asked_for = (
        comparable_settings(settings.model_dump(mode="json")) for settings in (own, wanted)
    )
    if trained_with != asked_for:
        raise BlemishError(
            f"{bundle.path} was trained with other settings than row {row.name} of table {table.name} has. "
            "Use another --out, or remove the run folder and the row's JSON."
        )
    return bundle


@dataclass(frozen=True)
class TrainedBundle:
    """A bundle and the seconds behind it.

    base_seconds: of the base it started from, 0 without one; cpu_seconds: of the processor, all threads, 0
        where that was not kept
    """

    bundle: Bundle
    seconds: float
    base_seconds: float = 0.0
    cpu_seconds: float = 0.0


def shared_base(table: Table, name: str, settings: Any, dataset: Dataset, *, row: str) -> TrainedBundle:
    """The base of that name, trained on first use; another process that wants it waits.

    row: name of the row that asks for it, for the user
    """
    run = table.out / BASES / RUNS / name
    method = find_method(table.experiment.method)
    with locked(run.parent, name):
        if not (run / "bundle").is_dir():
            table.reporter.line(f"{name}: the base of {row}")
            origin = table.experiment.dataset or "synthetic"
            request = Request(method, dataset, settings, run, seed=BASE_SEED, resume=True, origin=origin)
            timed_training(request, table.reporter)
    return trained_in(run, load_bundle(run / "bundle", method=method.name))


def base_name(method: str, settings: Mapping[str, Any], fingerprint: str, *, ignored: Collection[str]) -> str:
    """The folder of a base: the same for the same base training on the same data.

    ignored: settings that base training does not follow, or that say the same as others
    """
    # By the names that settings had in version 0.1, so that its bases are found and not trained again.
    older = {name: key for key, name in RENAMED.get(method, {}).items()}
    unchanged = {key for key, value in SINCE_0_1.items() if settings.get(key) == value}
    left = {key: value for key, value in settings.items() if key not in ignored and key not in unchanged}
    followed = {older.get(key, key): value for key, value in left.items()}
    text = json.dumps({"settings": followed, "data": fingerprint}, sort_keys=True)
    return f"base-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
