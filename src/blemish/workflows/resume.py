"""Arguments of a training: as the user says, and with `--resume` those that the run in OUT began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blemish.dataset.opening import open_dataset
from blemish.errors import BlemishError, WrongUseError, refused_as_wrong_use
from blemish.methods import find_method
from blemish.methods.contract import Method
from blemish.methods.describe import in_yaml
from blemish.progress import Reporter
from blemish.threads import thread_count, usable_cores
from blemish.training.record import RUN_FILE, RunRecord, read_record
from blemish.workflows.recommend import recommend

AUTO = "auto"  # the method that `recommend` names


@dataclass(frozen=True)
class Asked:
    """Arguments of a training; None where one is not given.

    method: a name, or "auto"; data: path of the dataset, as given
    """

    method: str | None
    data: Path | None
    seed: int | None = None
    initial_bundle: Path | None = None
    threads: int | None = None
    skip_broken: bool = False


@dataclass(frozen=True)
class Resolved:
    """Arguments of a training, complete.

    origin: the dataset's path as it was given
    threads: None for those of the machine
    settings: of the run that is resumed, or that a recommendation calls for, by name; else none
    source: what these settings are of, for messages
    skip_broken: the run that is resumed left broken files out
    """

    method: Method
    data: Path
    origin: str
    seed: int = 0
    initial_bundle: Path | None = None
    threads: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    skip_broken: bool = False


def resolve(asked: Asked, run: Path, reporter: Reporter, *, resume: bool) -> Resolved:
    """Complete the arguments of a training from the run in a folder, where it is to be resumed.

    Raises WrongUseError where one is missing, BlemishError for a run that does not tell it.
    """
    record = read_record(run) if resume else None
    # Another method's run is refused later, unless it was stopped before its first checkpoint.
    if record and asked.method in (None, AUTO, record.method):
        return of_run(record, asked, run, reporter)
    if asked.method is None or asked.data is None:
        raise WrongUseError(missing(asked, run, record, resume=resume))
    name, settings = asked.method, dict[str, Any]()
    if name == AUTO:
        found = recommend(asked.data, open_dataset(asked.data, skip_broken=asked.skip_broken))
        name, settings = found.method, dict(found.settings)
        given = "".join(f", {key}={in_yaml(value)}" for key, value in settings.items())
        reporter.line(f"auto: {name}{given}, {found.reason}.")
    with refused_as_wrong_use():
        method = find_method(name)
    return Resolved(
        method,
        asked.data,
        str(asked.data),
        asked.seed or 0,
        asked.initial_bundle,
        asked.threads,
        settings,
        "the recommendation",
    )


def missing(asked: Asked, run: Path, other: RunRecord | None, *, resume: bool) -> str:
    """Message on a method or data that are not given, and that no run tells. other: run of another method"""
    lacking = " and no ".join(
        name for name, value in (("METHOD", asked.method), ("--data", asked.data)) if value is None
    )
    remedy = "Only with --resume may they be left out, for those of the run in --out."
    if other:
        remedy = f"{run / RUN_FILE} is of {other.method}. Leave METHOD out to go on with it, or give --data."
    elif resume:
        remedy = f"There is no {run / RUN_FILE} that tells them. Give both, or correct --out."
    return f"train must have METHOD and --data. Received: no {lacking}. {remedy}"


def of_run(record: RunRecord, asked: Asked, run: Path, reporter: Reporter) -> Resolved:
    """Arguments as given, and those of the run in place of those that are not."""
    file = run / RUN_FILE
    try:
        method = find_method(record.method)
    except BlemishError as error:
        raise BlemishError(f"{file}: {error} Choose another --out.") from error
    data = asked.data or (Path(record.data_path) if record.data_path else None)
    if data is None:
        raise BlemishError(f"{file} is of an older version and does not tell the data. Give --data, too.")
    start = asked.initial_bundle or (Path(record.start_path) if record.start_path else None)
    if start is None and record.start:
        raise BlemishError(
            f"{file} is of an older version and does not tell where the bundle is that the run started from, "
            f"{record.start}. Give --from, too."
        )
    return Resolved(
        method,
        data,
        str(asked.data or record.data),
        record.seed if asked.seed is None else asked.seed,
        start,
        asked.threads or threads_of(record, reporter),
        record.upgraded_settings(method.settings_type, run),
        f"the run in {run}",
        bool(record.skipped),
    )


def threads_of(record: RunRecord, reporter: Reporter) -> int | None:
    """Number of threads of the run, where this machine has so many cores; else None."""
    if record.threads is None or record.threads > usable_cores():
        return None
    if record.threads != thread_count():
        reporter.line(f"The run goes on with its {record.threads} threads.")
    return record.threads
