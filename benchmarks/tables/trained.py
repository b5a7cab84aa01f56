"""What rows that train share: the method's settings, a training whose time outlives a stop, test figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from benchmarks.tables.experiment import Row, expanded
from benchmarks.tables.place import Table
from blemish.bundle.manifest import Manifest, first_fault
from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.operating_point import OperatingPoint
from blemish.evaluation.records import Evaluation
from blemish.evaluation.run import evaluate_samples, split_to_evaluate
from blemish.files import write_atomically
from blemish.inspector.chain import Judge
from blemish.inspector.inspector import Inspector
from blemish.methods import find_method
from blemish.methods.contract import Method
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

CLOCK = "seconds"  # file in the run folder
Model = TypeVar("Model", bound=BaseModel)


def method_settings(
    table: Table, row: Row, also: Mapping[str, Any] | None = None, *, expand: bool = False
) -> Any:
    """The method's settings of a trained row: the table's, then the row's own, then `also`.

    The table's are not those of a row with a method of its own.
    """
    shared = table.experiment.settings if row.method is None else {}
    values = {**shared, **row.settings, **(also or {})}
    settings_type = method_of(table, row).settings_type
    return validated(settings_type, expanded(values) if expand else values, table, row)


def method_of(table: Table, row: Row) -> Method:
    return find_method(row.method or table.experiment.method)


def validated(model: type[Model], values: Mapping[str, Any], table: Table, row: Row) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, model.model_fields)
        raise BlemishError(f"table {table.name}, row {row.name}: settings: {fault}") from error


def test_metrics(
    inspector: Inspector, dataset: Dataset, manifest: Manifest, seed: int, reporter: Reporter
) -> dict[str, Any]:
    """What `evaluate` would write to metrics.json for the test images."""
    return dict(test_evaluation(inspector, dataset, [manifest], seed, reporter).metrics)


def test_evaluation(
    judge: Judge, dataset: Dataset, manifests: Sequence[Manifest], seed: int, reporter: Reporter
) -> Evaluation:
    """An inspector or a chain on the test images; the operating point is that of its first stage."""
    chosen = split_to_evaluate(dataset, "test")
    evaluator = evaluate_samples(judge, chosen, reporter, title="inspecting the test images")
    return evaluator.result(
        method="+".join(manifest.method for manifest in manifests),
        split="test",
        seed=seed,
        operating_point=OperatingPoint.from_json(manifests[0].operating_point),
        pixel_threshold=judge.inference.pixel_threshold,
    )


def trained_bundle(table: Table, row: Row, seed: int) -> tuple[Bundle, float]:
    """`timed_training` of a row on the table's dataset."""
    request = Request(
        method_of(table, row),
        table.dataset,
        method_settings(table, row, expand=True),
        table.run_folder(row, seed),
        seed=seed,
        resume=True,
        origin=table.data_name,
    )
    return timed_training(request, table.reporter)


def timed_training(request: Request, reporter: Reporter) -> tuple[Bundle, float]:
    """Train, or go on with an interrupted training; the bundle and its seconds.

    With those of earlier, interrupted attempts; the time of one that was killed outright is lost.
    """
    clock = request.run / CLOCK
    start = perf_counter() - seconds_in(clock)
    try:
        bundle = train(request, reporter)
    finally:
        seconds = perf_counter() - start
        if request.run.is_dir():
            write_atomically(clock, f"{seconds:.1f}\n")
    return bundle, seconds


def seconds_in(clock: Path) -> float:
    try:
        return float(clock.read_text())
    except (OSError, ValueError):
        return 0.0


def bundle_path(table: Table, row: Row, seed: int) -> Path:
    return table.run_folder(row, seed) / "bundle"


def bundle_of(table: Table, row: Row, seed: int) -> Bundle:
    """The bundle that a trained row left. Raises BlemishError when it was trained with other settings."""
    bundle = load_bundle(bundle_path(table, row, seed), method=method_of(table, row).name)
    wanted = method_settings(table, row, expand=True)
    if type(wanted).model_validate(bundle.manifest.settings) != wanted:
        raise BlemishError(
            f"{bundle.path} was trained with other settings than row {row.name} of table {table.name} has. "
            "Use another --out, or remove the run folder and the row's JSON."
        )
    return bundle
