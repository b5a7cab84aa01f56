"""Annotations of an image: versions of the whole, in rows that only grow."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from blemish.station.database.labels import AnnotationRow, AnnotationSetRow


def version_of(session: Session, image_id: str) -> int:
    """Version of an image's annotations; 0 where nobody has annotated it."""
    newest = select(func.max(AnnotationSetRow.version)).where(AnnotationSetRow.image_id == image_id)
    return session.scalar(newest) or 0


def annotations_at(session: Session, image_id: str, version: int) -> Sequence[AnnotationRow]:
    """Annotations of an image as they were in a version."""
    later = aliased(AnnotationRow)
    superseded = exists().where(later.supersedes == AnnotationRow.id, later.version <= version)
    query = (
        select(AnnotationRow)
        .where(AnnotationRow.image_id == image_id, AnnotationRow.version <= version)
        .where(~AnnotationRow.removed, ~superseded)
    )
    return session.scalars(query.order_by(AnnotationRow.id)).all()


def versions(session: Session, image_id: str) -> Sequence[AnnotationSetRow]:
    """Versions of an image's annotations, the newest first."""
    query = select(AnnotationSetRow).where(AnnotationSetRow.image_id == image_id)
    return session.scalars(query.order_by(AnnotationSetRow.version.desc())).all()
