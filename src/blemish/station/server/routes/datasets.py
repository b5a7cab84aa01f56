"""Data sets: chosen, frozen from labels by lot with a sealed test split, and given as COCO."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask

from blemish.station.coco_folder import write_coco
from blemish.station.database.audit import name_of_row, row_digest, row_values
from blemish.station.database.base import utc_now
from blemish.station.database.datasets import (
    SPLITS,
    Choice,
    dataset_named,
    fingerprint_of,
    labelled_images,
    sealed_groups,
    shared_out,
    split_sizes,
)
from blemish.station.database.labels import DatasetItemRow, DatasetRow
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Body, LongName, Moment, Name, Page, RowId
from blemish.station.server.identity import Who, role
from blemish.station.server.routes.annotations import name_of
from blemish.station.server.state import Reading, TheStation

router = APIRouter(tags=["datasets"])
Share = Annotated[float, Field(gt=0, lt=1)]


class ChoiceBody(Body):
    """Images that a data set takes of those that people have labelled; what is not given takes all."""

    line_ids: Annotated[tuple[RowId, ...], Field(max_length=100)] = ()
    lots: Annotated[tuple[LongName, ...], Field(max_length=1000)] = ()
    since: Moment | None = None
    until: Moment | None = None


class NewDataset(Body):
    name: Name
    choice: ChoiceBody = ChoiceBody()


class FreezeBody(Body):
    val_share: Share = 0.2
    test_share: Share = 0.2
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0

    @model_validator(mode="after")
    def leaves_some_to_train(self) -> FreezeBody:
        if self.val_share + self.test_share >= 0.9:
            raise ValueError("val_share and test_share must leave a tenth to train")
        return self


class Dataset(Answer):
    """A data set. num_images: of each split, empty until it is frozen; fingerprint: of all it holds"""

    id: int
    name: str
    choice: dict[str, Any]
    fingerprint: str | None
    frozen_at: Moment | None
    by: str
    created_at: Moment
    num_images: dict[str, int]


class Frozen(Dataset):
    """A data set that was just frozen. left_out: images reviewed as NG without an annotation"""

    left_out: int


@router.get("/datasets", openapi_extra=role("viewer"))
def datasets(reading: Reading) -> Page[Dataset]:
    """All data sets, the newest first."""
    rows = reading.scalars(select(DatasetRow).order_by(DatasetRow.id.desc())).all()
    return Page(items=[described(reading, row) for row in rows])


@router.get("/datasets/{dataset_id}", openapi_extra=role("viewer"))
def dataset(dataset_id: RowId, reading: Reading) -> Dataset:
    """One data set."""
    return described(reading, dataset_row(reading, dataset_id))


@router.post("/datasets", status_code=201, openapi_extra=role("engineer"))
def add_dataset(body: NewDataset, station: TheStation, who: Who) -> Dataset:
    """Choose images for a data set; they are taken when it is frozen."""

    def change(session: Session) -> Dataset:
        if dataset_named(session, body.name) is not None:
            raise ApiError(409, f"There is a data set '{body.name}' already. Choose another name.")
        choice = body.choice.model_dump(mode="json")
        row = DatasetRow(name=body.name, choice=choice, by=who.user_id, created_at=utc_now())
        station.add(session, who.actor, "dataset.add", row)
        return described(session, row)

    return station.write(change)


@router.post("/datasets/{dataset_id}/freeze", openapi_extra=role("engineer"))
def freeze(dataset_id: RowId, body: FreezeBody, station: TheStation, who: Who) -> Frozen:
    """Freeze a data set: whole lots go to train, val or test; a lot that was test once is test again.

    409 where it is frozen already, or there are fewer than three lots of labelled images.
    """
    shares = {"val": body.val_share, "test": body.test_share}
    shares["train"] = 1 - sum(shares.values())

    def change(session: Session) -> Frozen:
        row = dataset_row(session, dataset_id)
        if row.frozen_at is not None:
            raise ApiError(409, f"'{row.name}' is frozen. Make another data set for newer labels.")
        found, left_out = labelled_images(session, choice_of(row))
        sizes = Counter(each.group for each in found)
        splits = shared_out(sizes, shares, body.seed, sealed_groups(session))
        empty = [name for name in SPLITS if name not in splits.values()]
        if empty:
            raise ApiError(
                409,
                f"A data set needs labelled images of three lots or more. Received: {len(found)} "
                f"images of {len(sizes)} lots, none for {', '.join(empty)}. Label parts of further lots.",
            )
        items = [
            DatasetItemRow(
                dataset_id=dataset_id,
                image_id=each.image_id,
                annotation_version=each.version,
                split=splits[each.group],
                group=each.group,
            )
            for each in found
        ]
        session.add_all(items)
        row.fingerprint, row.frozen_at = fingerprint_of(items), utc_now()
        session.flush()
        after = {**row_values(row), "num_images": split_sizes(session, dataset_id), "seed": body.seed}
        after["rows"] = {name_of_row(item): row_digest(item) for item in items}
        station.note(session, who.actor, "dataset.freeze", f"dataset/{dataset_id}", after=after)
        return Frozen(**described(session, row).model_dump(), left_out=left_out)

    return station.write(change)


@router.get("/datasets/{dataset_id}/coco", openapi_extra=role("engineer"), response_class=FileResponse)
def coco(
    dataset_id: RowId,
    reading: Reading,
    station: TheStation,
    who: Who,
    with_test: Annotated[bool, Query(description="Also the sealed test split; this is noted.")] = False,
) -> FileResponse:
    """COCO folder of a frozen data set as a ZIP, without its test split."""
    row = frozen_row(reading, dataset_id)
    if with_test:
        station.write(
            lambda session: station.note(session, who.actor, "dataset.test", f"dataset/{dataset_id}")
        )
    station.folder.jobs.mkdir(exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".coco-", dir=station.folder.jobs))
    try:
        splits = SPLITS if with_test else SPLITS[:2]
        write_coco(reading, station.folder, dataset_id, draft / "coco", splits=splits)
        archive = draft / "coco.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            for path in sorted((draft / "coco").rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(draft / "coco"))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return FileResponse(
        archive,
        media_type="application/zip",
        filename=f"dataset-{row.id}.zip",
        background=BackgroundTask(shutil.rmtree, draft, ignore_errors=True),
    )


def dataset_row(session: Session, dataset_id: int) -> DatasetRow:
    """Row of a data set. Raises ApiError 404 where there is none."""
    row = session.get(DatasetRow, dataset_id)
    if row is None:
        raise not_found("data set", dataset_id)
    return row


def frozen_row(session: Session, dataset_id: int) -> DatasetRow:
    """Row of a frozen data set. Raises ApiError 409 for one that is not."""
    row = dataset_row(session, dataset_id)
    if row.frozen_at is None:
        raise ApiError(409, f"'{row.name}' must be frozen first.")
    return row


def choice_of(row: DatasetRow) -> Choice:
    """Choice of a data set as its questions take it."""
    body = ChoiceBody.model_validate(row.choice)
    return Choice(body.line_ids, body.lots, body.since, body.until)


def described(session: Session, row: DatasetRow) -> Dataset:
    """Data set as the API gives it."""
    return Dataset(
        id=row.id,
        name=row.name,
        choice=row.choice,
        fingerprint=row.fingerprint,
        frozen_at=row.frozen_at,
        by=name_of(session, row.by),
        created_at=row.created_at,
        num_images=split_sizes(session, row.id),
    )
