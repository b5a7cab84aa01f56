"""Data sets frozen from labels: which images are known, and how they are shared out by lot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from blemish.station.database.annotations import version_of
from blemish.station.database.labels import AnnotationSetRow, DatasetItemRow, DatasetRow
from blemish.station.database.parts import ImageRow, InspectionRow, PartRow
from blemish.station.database.records import current_review

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Choice:
    """What images a data set takes; None and () take all. lots: by their names"""

    line_ids: Sequence[int] = ()
    lots: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Labelled:
    """An image that people have labelled. version: of its annotations, 0 for one that a review calls OK"""

    image_id: str
    group: str
    version: int


def labelled_images(session: Session, choice: Choice) -> tuple[list[Labelled], int]:
    """Images that are annotated, or reviewed as OK, and kept; and the number that is reviewed as NG alone.

    The group of an image is its line and lot; without a lot, its line and part.
    """
    query = (
        select(InspectionRow, PartRow)
        .join(PartRow, PartRow.id == InspectionRow.part_id)
        .join(ImageRow, ImageRow.id == InspectionRow.image_id)
        .where(ImageRow.file.is_not(None), ~InspectionRow.shadow)
        .order_by(InspectionRow.id)
    )
    if choice.line_ids:
        query = query.where(InspectionRow.line_id.in_(choice.line_ids))
    if choice.lots:
        query = query.where(PartRow.lot.in_(choice.lots))
    if choice.since is not None:
        query = query.where(InspectionRow.at >= choice.since)
    if choice.until is not None:
        query = query.where(InspectionRow.at < choice.until)
    found: dict[str, Labelled] = {}
    without_place = 0
    for inspection, part in session.execute(query):
        assert inspection.image_id is not None, "it was joined by it"
        if inspection.image_id in found:
            continue
        version = version_of(session, inspection.image_id)
        review = None if version else current_review(session, inspection.id)
        if not version and (review is None or review.verdict != "OK"):
            without_place += review is not None
            continue
        group = f"{part.line_id}/{part.lot}" if part.lot else f"{part.line_id}//{part.serial}"
        found[inspection.image_id] = Labelled(inspection.image_id, group, version)
    return list(found.values()), without_place


def sealed_groups(session: Session) -> set[str]:
    """Groups that are in the test split of an earlier data set, and stay there in every later one."""
    return set(session.scalars(select(DatasetItemRow.group).where(DatasetItemRow.split == "test").distinct()))


def shared_out(
    sizes: Mapping[str, int], shares: Mapping[str, float], seed: int, sealed: set[str]
) -> dict[str, str]:
    """Split of each group, whole, so that the numbers of images come near the shares.

    sizes: images of each group; shares: of each split, which sum to 1; sealed: groups that are test
    The order of groups is drawn by a hash of seed and name, so that the same lots fall the same way again.
    """
    total = sum(sizes.values())
    filled = dict.fromkeys(SPLITS, 0)
    splits = {}
    for group in (each for each in sizes if each in sealed):
        splits[group] = "test"
        filled["test"] += sizes[group]
    order = sorted((each for each in sizes if each not in sealed), key=lambda each: drawn(seed, each))
    for group in order:
        # The split that is furthest from its share gets the group; every split gets one as soon as can be.
        split = max(SPLITS, key=lambda name: (filled[name] == 0, shares[name] * total - filled[name]))
        splits[group] = split
        filled[split] += sizes[group]
    return splits


def drawn(seed: int, group: str) -> str:
    """Place of a group in the order, the same for the same seed."""
    return hashlib.sha256(f"{seed}/{group}".encode(errors="replace")).hexdigest()


def fingerprint_of(items: Sequence[DatasetItemRow]) -> str:
    """SHA-256 of a data set: of every image, its annotations' version and its split."""
    lines = sorted(f"{item.image_id} {item.annotation_version} {item.split}" for item in items)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def items_of(session: Session, dataset_id: int, splits: Sequence[str] = SPLITS) -> Sequence[DatasetItemRow]:
    """Items of a frozen data set, in their order."""
    query = select(DatasetItemRow).where(
        DatasetItemRow.dataset_id == dataset_id, DatasetItemRow.split.in_(splits)
    )
    return session.scalars(query.order_by(DatasetItemRow.id)).all()


def split_sizes(session: Session, dataset_id: int) -> dict[str, int]:
    """Number of images of each split."""
    query = select(DatasetItemRow.split, func.count()).where(DatasetItemRow.dataset_id == dataset_id)
    return {row[0]: row[1] for row in session.execute(query.group_by(DatasetItemRow.split))}


def last_label(session: Session, dataset_id: int) -> datetime | None:
    """Time of the newest annotation of any image of a data set."""
    query = (
        select(func.max(AnnotationSetRow.at))
        .join(DatasetItemRow, DatasetItemRow.image_id == AnnotationSetRow.image_id)
        .where(DatasetItemRow.dataset_id == dataset_id)
    )
    return session.scalar(query)


def dataset_named(session: Session, name: str) -> DatasetRow | None:
    """Data set of that name."""
    return session.scalars(select(DatasetRow).where(DatasetRow.name == name)).one_or_none()
