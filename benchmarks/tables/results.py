"""The store of measured rows, as JSON on disk: figures with their seed, settings, data, hardware and commit.

One file per row and seed (or device), so that several processes and machines can fill one table side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.tables.schema import TableRow
from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Strict
from blemish.bundle.migrations import comparable_settings
from blemish.errors import BlemishError
from blemish.files import write_atomically

try:
    import fcntl
except ImportError:  # not POSIX: the user sees to it that two processes do not fill one row
    fcntl = None  # type: ignore[assignment]

SCHEMA = 1
RUNS = "runs"  # run folders with checkpoints and bundles, beside the JSON files; not kept in git


@dataclass(frozen=True)
class RowJob:
    """A file to fill: a row, for the seed or the device that its figures depend on, if any."""

    row: TableRow
    seed: int | None = None
    device: str | None = None

    @property
    def name(self) -> str:
        return job_name(self.row.name, self.seed, self.device)


class Result(Strict):
    """A file of a table.

    figures: what columns point into; settings: with environment variables as they were written, so that
    machines with other paths agree; seconds: wall clock of the whole job; dataset: its name, or what it was
    made from
    """

    schema_version: int = SCHEMA
    table: str
    row: str
    kind: str
    seed: int | None
    device: str | None
    figures: dict[str, Any]
    seconds: float
    settings: dict[str, Any]
    dataset: str | dict[str, Any] | None
    data_fingerprint: str | None
    command: str
    provenance: dict[str, Any]

    @property
    def job_name(self) -> str:
        return job_name(self.row, self.seed, self.device)


def job_name(row: str, seed: int | None, device: str | None) -> str:
    parts = [row, *([f"seed{seed}"] if seed is not None else []), *([device] if device else [])]
    return "-".join(parts)


def read_results(folder: Path) -> list[Result]:
    """Every result of a table's folder, by file name. Raises BlemishError for a file that is none."""
    return [read_result(file) for file in sorted(folder.glob("*.json"))]


def read_result(file: Path) -> Result:
    try:
        return Result.model_validate_json(file.read_bytes())
    except ValidationError as error:
        fault = first_fault(error, Result.model_fields)
        raise BlemishError(f"{file} is no result of a row: {fault} Remove it to measure again.") from error


def write_result(folder: Path, result: Result) -> Path:
    """Write the result to FOLDER/<job>.json, whole or not at all."""
    file = folder / f"{result.job_name}.json"
    write_atomically(file, result.model_dump_json(indent=1) + "\n")
    return file


def refuse_other(
    stored: Result,
    file: Path,
    settings: Mapping[str, Any],
    *,
    now: Mapping[str, Any],
    dataset: str | Mapping[str, Any] | None,
    digest: str | None,
) -> None:
    """Raise BlemishError when a stored row was measured with other settings or on other data than now.

    settings: those that are stored, under the names of today; now: those of the table's file
    digest: fingerprint of the data; None leaves it unchecked
    """
    there = {**comparable_settings(settings), "dataset": stored.dataset}
    here = {**comparable_settings(now), "dataset": dataset}
    if digest is not None:
        there["data fingerprint"], here["data fingerprint"] = stored.data_fingerprint, digest
    if key := first_difference(here, there):
        raise BlemishError(
            f"{file}: the row was measured with {key}={there.get(key)}. Received: {key}={here.get(key)}. "
            f"Use another --out, or remove {file.name} and its folder in {RUNS} to measure again."
        )


def first_difference(here: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """Key of the first value that the two do not share; None where they are equal."""
    return next((key for key in {**here, **there} if here.get(key) != there.get(key)), None)


def claimed(folder: Path, job: RowJob) -> AbstractContextManager[bool]:
    """True where the job is this process's to fill, False while another fills it. Ends with the process."""
    return locked(folder / RUNS, job.name, wait=False)


@contextmanager
def locked(folder: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock FOLDER/.NAME.lock; False where another process holds it and this one does not wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
