"""Tables of what people say: classes, reviews, annotations, and data sets frozen from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from blemish.station.database.base import BigId, Numbered


class DefectClassRow(Numbered):
    """A class of the catalogue. example_id, counter_example_id: images that show it, and that do not

    limit: when it counts, in numbers, such as {"measure": "length", "unit": "mm", "ng": 2.0}
    """

    __tablename__ = "defect_class"

    name: Mapped[str] = mapped_column(String(80), unique=True)
    colour: Mapped[str] = mapped_column(String(7))
    definition: Mapped[str] = mapped_column(String(4000))
    limit: Mapped[dict[str, Any] | None]
    example_id: Mapped[str | None] = mapped_column(String(64), ForeignKey("image.id"))
    counter_example_id: Mapped[str | None] = mapped_column(String(64), ForeignKey("image.id"))
    retired_at: Mapped[datetime | None]


class ReviewRow(Numbered):
    """A person's verdict on an inspection, append-only. supersedes: the review that it takes the place of"""

    __tablename__ = "review"

    inspection_id: Mapped[int] = mapped_column(BigId, ForeignKey("inspection.id"), index=True)
    by: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"))
    at: Mapped[datetime]
    verdict: Mapped[str] = mapped_column(String(8))
    reason_code: Mapped[str | None] = mapped_column(String(40))
    comment: Mapped[str | None] = mapped_column(String(4000))
    seconds: Mapped[float | None]
    blind: Mapped[bool]
    supersedes: Mapped[int | None] = mapped_column(BigId, ForeignKey("review.id"), unique=True)


class ReviewLeaseRow(Numbered):
    """That a part was given to a reviewer, and until when nobody else gets it."""

    __tablename__ = "review_lease"

    inspection_id: Mapped[int] = mapped_column(BigId, ForeignKey("inspection.id"), unique=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"), index=True)
    until: Mapped[datetime]


class AnnotationSetRow(Numbered):
    """A version of an image's annotations as a whole, append-only; one without any says "no defect"."""

    __tablename__ = "annotation_set"
    __table_args__ = (UniqueConstraint("image_id", "version"),)

    image_id: Mapped[str] = mapped_column(String(64), ForeignKey("image.id"))
    version: Mapped[int]
    by: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"))
    at: Mapped[datetime]


class AnnotationRow(Numbered):
    """An annotation from a version on, append-only. supersedes: the row that it takes the place of

    kind: box, turned_box, polygon, mask or whole_image; mask: packed runs, see `station.annotations`
    removed: from this version on there is none in its place
    """

    __tablename__ = "annotation"

    image_id: Mapped[str] = mapped_column(String(64), ForeignKey("image.id"), index=True)
    version: Mapped[int]
    supersedes: Mapped[int | None] = mapped_column(BigId, ForeignKey("annotation.id"), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    class_id: Mapped[int] = mapped_column(BigId, ForeignKey("defect_class.id"))
    geometry: Mapped[dict[str, Any]]
    mask: Mapped[bytes | None] = mapped_column(LargeBinary)
    source: Mapped[str] = mapped_column(String(8))
    by: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"))
    at: Mapped[datetime]
    removed: Mapped[bool]


class DatasetRow(Numbered):
    """A named choice of images. fingerprint, frozen_at: None until it is frozen, after which it stays

    choice: what images it takes, as the request had it
    """

    __tablename__ = "dataset"

    name: Mapped[str] = mapped_column(String(80), unique=True)
    choice: Mapped[dict[str, Any]]
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    frozen_at: Mapped[datetime | None]
    by: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"))
    created_at: Mapped[datetime]


class DatasetItemRow(Numbered):
    """An image of a frozen data set, append-only. group: its lot, which stays in one split

    annotation_version: 0 for a part that was reviewed as OK and never annotated
    """

    __tablename__ = "dataset_item"
    __table_args__ = (UniqueConstraint("dataset_id", "image_id"),)

    dataset_id: Mapped[int] = mapped_column(BigId, ForeignKey("dataset.id"))
    image_id: Mapped[str] = mapped_column(String(64), ForeignKey("image.id"))
    annotation_version: Mapped[int]
    split: Mapped[str] = mapped_column(String(8))
    group: Mapped[str] = mapped_column(String(200))
