"""Retention: where the disk fills up, images go, oldest first; rows never do, nor what people have named.

From 85 % on those of the drawn share of OK parts, from 95 % on any that nobody needs; never while 50 GB are
free. An image is needed where a person has annotated it or reviewed its part, where a data set, a class or
the audit names it, and until `keep_until`. Its row stays, and says that the pixels are kept no longer.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from blemish.station.database.audit import STATION, record
from blemish.station.database.base import utc_now
from blemish.station.database.labels import AnnotationSetRow, DatasetItemRow, DefectClassRow, ReviewRow
from blemish.station.database.parts import ImageRow, InspectionRow
from blemish.station.database.writer import Writer
from blemish.station.layout import StationFolder

log = logging.getLogger("blemish.station")
FULL, VERY_FULL = 0.85, 0.95
ENOUGH_BYTES = 50e9  # a large disk is not full at 85 %
SAMPLE = "sample"  # kept because it was drawn among the OK parts
BATCH = 200  # images of a transaction


def used_share(folder: Path) -> float:
    """Share of a folder's disk that is taken, in [0, 1], as `df` has it; 0 while there is room enough."""
    found = shutil.disk_usage(folder)
    return 0.0 if found.free >= ENOUGH_BYTES else found.used / (found.used + found.free)


def make_room(
    writer: Writer, station: StationFolder, key: bytes, *, used: Callable[[Path], float] = used_share
) -> int:
    """Remove images while the disk is too full and there are some to remove; returns their number.

    key: of the audit trail, which names them; used: gives the share of the folder's disk that is taken
    """
    removed = 0
    while (share := used(station.root)) >= FULL:
        batch = writer.write(partial(given_up, key=key, share=share))
        for image, file in batch.items():
            (station.images / file).unlink(missing_ok=True)
            station.tile_file(image).unlink(missing_ok=True)
        removed += len(batch)
        if len(batch) < BATCH:
            break
    if removed:
        log.warning("the disk is too full: %d images are kept no longer", removed)
    return removed


def given_up(session: Session, *, key: bytes, share: float) -> dict[str, str]:
    """Note that the oldest images which nobody needs are not kept; returns their files by their ids."""
    rows = unneeded(session, utc_now(), only_samples=share < VERY_FULL)
    found = {row.id: row.file or "" for row in rows}
    for row in rows:
        row.file, row.tiles = None, "none"
    if found:
        why = f"the disk is {share:.0%} full"
        record(session, key, STATION, "image.remove", "image", after={"images": list(found)}, why=why)
    return found


def unneeded(session: Session, now: datetime, *, only_samples: bool) -> Sequence[ImageRow]:
    """Oldest images that are kept and that nobody needs, a batch of them."""
    parts = select(InspectionRow.id).where(InspectionRow.image_id == ImageRow.id)
    named = (
        select(AnnotationSetRow.id).where(AnnotationSetRow.image_id == ImageRow.id),
        select(DatasetItemRow.id).where(DatasetItemRow.image_id == ImageRow.id),
        select(DefectClassRow.id).where(
            or_(DefectClassRow.example_id == ImageRow.id, DefectClassRow.counter_example_id == ImageRow.id)
        ),
        parts.where(InspectionRow.audit),
        parts.join(ReviewRow, ReviewRow.inspection_id == InspectionRow.id),
    )
    oldest = select(func.min(InspectionRow.id)).where(InspectionRow.image_id == ImageRow.id)
    query = select(ImageRow).where(
        ImageRow.file.is_not(None),
        or_(ImageRow.keep_until.is_(None), ImageRow.keep_until <= now),
        *(~each.exists() for each in named),
    )
    if only_samples:
        query = query.where(ImageRow.kept_because == SAMPLE)
    return session.scalars(query.order_by(oldest.scalar_subquery()).limit(BATCH)).all()
