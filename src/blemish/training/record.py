"""RUN/run.json: what a run was started with, so that `--resume` goes on with the same unasked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from blemish.bundle.faults import first_fault
from blemish.bundle.migrations import legacy_defaults, rename_settings
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.methods.contract import MethodSettings
from blemish.training.time_plan import StepCount, steps_by_stage
from blemish.untrusted import MAX_TEXT_BYTES, read_json

RUN_FILE = "run.json"


class RunRecord(BaseModel):
    """What a run was started with; settings that are paths are absolute.

    The settings hold the steps that were planned.

    data, data_path: path of the dataset as it was given, and absolute; None in older runs
    start, start_path: id and absolute path of the bundle that it started from
    skipped: broken files that were left out, each with the reason
    threads: None on a GPU, where sums do not depend on them; unset in runs of version 0.1
    steps_planned, steps_taken: by stage, once the run is trained
    """

    model_config = ConfigDict(frozen=True)

    method: str
    seed: int
    data_fingerprint: str
    settings: dict[str, Any]
    data: str | None = None
    data_path: str | None = None
    start: str | None = None
    start_path: str | None = None
    threads: int | None = None
    skipped: dict[str, str] = {}
    steps_planned: dict[str, int] = {}
    steps_taken: dict[str, int] = {}

    def upgraded_settings(self, settings_type: type[MethodSettings], run: Path) -> dict[str, Any]:
        """Settings by today's names, with what was done in place of those that the run does not know.

        Raises BlemishError that names the run's file where they are none of the method's.
        """
        file = run / RUN_FILE
        known = legacy_defaults(self.method, settings_type)
        settings = {**known, **rename_settings(self.method, self.settings, source=str(file))}
        try:
            settings_type.model_validate(settings)
        except ValidationError as error:
            fault = first_fault(error, settings_type.model_fields)
            raise BlemishError(f"{file}: settings of {self.method}: {fault} Choose another --out.") from error
        return settings


def read_record(run: Path) -> RunRecord | None:
    """Record of the run in a folder; None where it holds none.

    Raises BlemishError for a file that `write_record` did not write.
    """
    file = run / RUN_FILE
    if not file.is_file():
        return None
    try:
        return RunRecord.model_validate(read_json(file, max_bytes=MAX_TEXT_BYTES))
    except ValidationError as error:
        fault = first_fault(error, RunRecord.model_fields)
        raise BlemishError(f"{file} describes no run: {fault} Choose another --out.") from error


def note_steps(run: Path, counts: Mapping[str, StepCount]) -> None:
    """Add the steps of a run's stages to its record."""
    record = read_record(run)
    assert record is not None
    write_record(run, record.model_copy(update=steps_by_stage(counts)))


def write_record(run: Path, record: RunRecord) -> None:
    """Write a record; keys that an older one does not know stay unset."""
    text = json.dumps(record.model_dump(mode="json", exclude_unset=True), indent=1, ensure_ascii=False)
    write_atomically(run / RUN_FILE, text + "\n")
