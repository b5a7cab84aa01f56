"""How each kind of row gets its figures: those of metrics.json, plus what the kind itself measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from benchmarks.tables.cascade_speed import CascadeSpeedSettings
from benchmarks.tables.chains import chain_row, stage_rows
from benchmarks.tables.detector_speed import DetectorSpeedSettings
from benchmarks.tables.experiment import EXTERNAL, FEW_SHOT, GRAY, OF_DEVICE, PEERS, Row, Strict
from benchmarks.tables.external import ExternalSettings
from benchmarks.tables.few_shot import few_shot_row, few_shot_settings
from benchmarks.tables.gray.rows import GraySettings, gray_row
from benchmarks.tables.map_speed import MapSpeedSettings
from benchmarks.tables.pair_speed import PairSpeedSettings
from benchmarks.tables.peers.rows import peer_row
from benchmarks.tables.peers.settings import PEER_SETTINGS
from benchmarks.tables.place import Table
from benchmarks.tables.products import product_row, product_settings
from benchmarks.tables.results import Job
from benchmarks.tables.runtime_speed import RuntimeSpeedSettings
from benchmarks.tables.speed import SpeedSettings, measure_apart
from benchmarks.tables.stability import StabilitySettings, stability
from benchmarks.tables.trained import (
    bundle_of,
    method_of,
    method_settings,
    test_metrics,
    trained_bundle,
    validated,
)
from benchmarks.tables.types.rows import feature_row_settings, type_features_row, types_row
from blemish.bundle.migrations import legacy_defaults
from blemish.bundle.store import Bundle
from blemish.errors import BlemishError
from blemish.evaluation.run import split_to_evaluate
from blemish.inspector.loading import inspector_of
from blemish.methods.severity.inference import SeverityInference

Figures = dict[str, Any]


SPEEDS: Mapping[str, type[Strict]] = {
    "speed": SpeedSettings,
    "detector-speed": DetectorSpeedSettings,
    "pair-speed": PairSpeedSettings,
    "cascade-speed": CascadeSpeedSettings,
    "runtime-speed": RuntimeSpeedSettings,
    "map-speed": MapSpeedSettings,
}


class NoSettings(Strict):
    """A kind that is told nothing."""


def measure(table: Table, job: Job) -> Figures:
    """The figures of one row. Raises BlemishError for settings, data or a bundle that cannot be used."""
    row = job.row
    if row.kind in GRAY:
        return gray_row(table, row)
    if row.kind in OF_DEVICE:
        return measure_apart(row.kind, SPEEDS[row.kind].model_validate(row.settings), job.device or "cpu")
    assert job.seed is not None
    measure_row = KINDS.get(row.kind)
    if measure_row is not None:
        return measure_row(table, row, job.seed)
    home, trained = table.trained(row)
    bundle = bundle_of(home, trained, job.seed)
    if row.kind == "types-off":
        return types_off_row(home, bundle, job.seed)
    inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
    chosen = split_to_evaluate(home.dataset, "test")
    settings = StabilitySettings.model_validate(row.settings)
    return {"stability": stability(inspector, chosen, settings, seed=job.seed, reporter=table.reporter)}


def settings_of(table: Table, row: Row) -> dict[str, Any]:
    """Every setting that the row's figures depend on, environment variables as they are written.

    A row that measures another row's bundle has that row's settings too, under "of.".
    Raises BlemishError for an unknown key or a value out of range, naming table and row.
    """
    if row.kind in ("train", "types"):
        return dict(method_settings(table, row).model_dump(mode="json"))
    several: Mapping[str, Callable[[Table, Row], dict[str, Any]]] = {
        **dict.fromkeys(FEW_SHOT, few_shot_settings),
        "product": product_settings,
        "chain": chain_settings,
        "type-features": feature_row_settings,
    }
    if row.kind in several:
        return several[row.kind](table, row)
    kinds: Mapping[str, type[BaseModel]] = {
        **dict.fromkeys(GRAY, GraySettings),
        "types-off": NoSettings,
        "stability": StabilitySettings,
        **dict.fromkeys(EXTERNAL, ExternalSettings),
        **SPEEDS,
        **PEER_SETTINGS,
    }
    own = validated(kinds[row.kind], row.settings, table, row).model_dump(mode="json")
    if row.kind in (*PEERS, "external-product"):
        return {**own, "target": row.target}
    if row.of is None:
        return own
    return own | {f"of.{key}": value for key, value in settings_of(*table.trained(row)).items()}


def default_settings(table: Table, row: Row) -> dict[str, Any]:
    """What a trained row's settings were where it does not know them, as it is older."""
    if row.kind in ("train", "types", "product", *FEW_SHOT):
        method = method_of(table, row)
        return legacy_defaults(method.name, method.settings_type)
    if row.kind == "chain":
        return of_stages(table, row, default_settings)
    if row.of is None:
        return {}
    return {f"of.{key}": value for key, value in default_settings(*table.trained(row)).items()}


def chain_settings(table: Table, row: Row) -> dict[str, Any]:
    """The stages in their order, and every setting behind each."""
    validated(NoSettings, row.settings, table, row)
    return {"stages": list(row.stages), **of_stages(table, row, settings_of)}


def of_stages(table: Table, row: Row, settings: Callable[[Table, Row], dict[str, Any]]) -> dict[str, Any]:
    """Settings of every stage of a chain, each behind its table and row."""
    return {
        f"{home.name}/{stage.name}.{key}": value
        for home, stage in stage_rows(table, row)
        for key, value in settings(home, stage).items()
    }


def train_row(table: Table, row: Row, seed: int) -> Figures:
    """Train, or go on with an interrupted training, then measure on the test images."""
    bundle, seconds = trained_bundle(table, row, seed)
    inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
    figures = test_metrics(inspector, table.dataset, bundle.manifest, seed, table.reporter)
    return {**figures, "seconds_training": seconds}


KINDS: Mapping[str, Callable[[Table, Row, int], Figures]] = {
    "train": train_row,
    "types": types_row,
    "type-features": type_features_row,
    "product": product_row,
    "chain": chain_row,
    **dict.fromkeys(FEW_SHOT, few_shot_row),
    **dict.fromkeys(PEERS, peer_row),
}


def types_off_row(table: Table, bundle: Bundle, seed: int) -> Figures:
    """The bundle without stage 4. Figures that need a type are not given then."""
    inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
    if not isinstance(inspector.inference, SeverityInference):
        raise BlemishError(
            f"{bundle.path}: kind types-off needs a bundle of method 'severity'. "
            f"Received: '{bundle.manifest.method}'. Remove the row."
        )
    without = replace(inspector, inference=inspector.inference.without_types())
    return test_metrics(without, table.dataset, bundle.manifest, seed, table.reporter)
