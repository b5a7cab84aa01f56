"""Trainings that several rows and tables start from: done once, with seed 0, and kept beside the tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.tables.place import Table
from benchmarks.tables.results import RUNS, alone
from benchmarks.tables.trained import CLOCK, seconds_in, timed_training
from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.samples import Dataset
from blemish.methods import find_method
from blemish.training.request import Request

BASE_SEED = 0
BASES = "bases"  # folder beside the tables, as these share them


@dataclass(frozen=True)
class Trained:
    """A bundle and the seconds behind it. base_seconds: of the base it started from, 0 without one"""

    bundle: Bundle
    seconds: float
    base_seconds: float = 0.0


def shared_base(table: Table, name: str, settings: Any, dataset: Dataset, *, row: str) -> Trained:
    """The base of that name, trained on first use; another process that wants it waits.

    row: name of the row that asks for it, for the user
    """
    run = table.out / BASES / RUNS / name
    method = find_method(table.experiment.method)
    with alone(run.parent, name):
        if not (run / "bundle").is_dir():
            table.reporter.line(f"{name}: the base of {row}")
            origin = table.experiment.dataset or "synthetic"
            request = Request(method, dataset, settings, run, seed=BASE_SEED, resume=True, origin=origin)
            timed_training(request, table.reporter)
    return Trained(load_bundle(run / "bundle", method=method.name), seconds_in(run / CLOCK))


def base_name(settings: Mapping[str, Any], fingerprint: str, *, ignored: Collection[str]) -> str:
    """The folder of a base: the same for the same base training on the same data.

    ignored: settings that base training does not follow, or that say the same as others
    """
    followed = {key: value for key, value in settings.items() if key not in ignored}
    text = json.dumps({"settings": followed, "data": fingerprint}, sort_keys=True)
    return f"base-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
