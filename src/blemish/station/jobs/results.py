"""What a job leaves: a bundle of its own, figures, or a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.station.bundle_rows import bundle_row, register
from blemish.station.bundles import add_bundle
from blemish.station.comparison import Pair, compared
from blemish.station.database.annotations import annotations_at
from blemish.station.database.audit import Actor, record, row_values
from blemish.station.database.base import utc_now
from blemish.station.database.datasets import items_of
from blemish.station.database.work import ComparisonRow, JobRow
from blemish.station.jobs.arguments import (
    ARGUMENTS,
    BUNDLE,
    RUN,
    CompareArguments,
    EvaluateArguments,
    TrainArguments,
    bundles_in,
    dataset_in,
)
from blemish.station.layout import StationFolder
from blemish.untrusted import read_json

Save = Callable[[Session], dict[str, Any]]


def result_of(station: StationFolder, key: bytes, job: JobRow, actor: Actor) -> Save:
    """Change of the database that keeps what a job has left, and gives its result; files are read before.

    Raises BlemishError for files that do not read.
    """
    arguments, folder = ARGUMENTS.validate_python(job.args), station.root / job.folder
    if isinstance(arguments, EvaluateArguments):
        metrics = read_json(folder / "evaluation" / "metrics.json")
        return lambda session: {"metrics": metrics}
    if isinstance(arguments, CompareArguments):
        verdicts = {name: inspections_of(folder / name / "inspections.jsonl") for name in ("a", "b")}
        return lambda session: save_comparison(session, key, job, arguments, verdicts, actor)
    source = folder / RUN / "bundle" if isinstance(arguments, TrainArguments) else folder / BUNDLE
    path = add_bundle(station, source)
    parents = bundles_in(arguments)

    def save(session: Session) -> dict[str, Any]:
        row, new = bundle_row(
            session,
            station,
            path,
            job_id=job.id,
            dataset_id=dataset_in(arguments),
            parent_id=parents[0] if parents else None,
        )
        if new:
            register(session, key, actor, row, station)
        return {"bundle_id": row.id}

    return save


def inspections_of(file: Path) -> dict[str, dict[str, Any]]:
    """Inspections of a file by the SHA-256 of their images. Raises BlemishError for other content."""
    found = {}
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            doc = json.loads(line)
            found[doc["image_sha256"]] = doc
    except (OSError, ValueError, KeyError) as error:
        raise BlemishError(f"{file.name} of the job cannot be read: {error}. Run it again.") from error
    return found


def save_comparison(
    session: Session,
    key: bytes,
    job: JobRow,
    arguments: CompareArguments,
    verdicts: dict[str, dict[str, dict[str, Any]]],
    actor: Actor,
) -> dict[str, Any]:
    """Add the comparison of two bundles on a split of a data set."""
    pairs = []
    for item in items_of(session, arguments.dataset_id, (arguments.split,)):
        a, b = (verdicts[name].get(item.image_id) for name in ("a", "b"))
        if a is None or b is None:
            raise BlemishError(f"Image {item.image_id[:12]} was not judged by both bundles. Compare again.")
        defective = bool(annotations_at(session, item.image_id, item.annotation_version))
        pairs.append(Pair(item.image_id, defective, a["verdict"], b["verdict"], a["score"], b["score"]))
    row = ComparisonRow(
        a=arguments.a,
        b=arguments.b,
        dataset_id=arguments.dataset_id,
        doc={"split": arguments.split, **compared(pairs)},
        job_id=job.id,
        at=utc_now(),
    )
    session.add(row)
    session.flush()
    record(session, key, actor, "comparison", f"comparison/{row.id}", after=row_values(row))
    return {"comparison_id": row.id}
