"""Tables of the record: parts, images, inspections, defects, answers and events of lines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from blemish.station.database.base import Base, BigId, Json, Numbered


class PartRow(Numbered):
    """A part. serial: "#" and the sequence number where the line gave none; lot: "" without one"""

    __tablename__ = "part"
    __table_args__ = (UniqueConstraint("line_id", "serial", "lot"), Index("ix_part_lot", "lot"))

    line_id: Mapped[int] = mapped_column(BigId, ForeignKey("line.id"))
    serial: Mapped[str] = mapped_column(String(200))
    lot: Mapped[str] = mapped_column(String(200))
    first_at: Mapped[datetime]


class ImageRow(Base):
    """An image. id: SHA-256 of the file; file: below the station's images, None where it is not kept

    height, width, channels, dtype: None where it could not be decoded; tiles: none or ready
    """

    __tablename__ = "image"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    pixels_sha256: Mapped[str | None] = mapped_column(String(64))
    height: Mapped[int | None]
    width: Mapped[int | None]
    channels: Mapped[int | None]
    dtype: Mapped[str | None] = mapped_column(String(16))
    bytes: Mapped[int] = mapped_column(BigId)
    file: Mapped[str | None] = mapped_column(String(120))
    tiles: Mapped[str] = mapped_column(String(8), default="none")
    keep_until: Mapped[datetime | None]
    kept_because: Mapped[str | None] = mapped_column(String(40))


class InspectionRow(Numbered):
    """An inspection, append-only, as the journal has it. doc: the `Inspection` as written

    shadow: by the challenger, which judges the same parts under the same seq and never answers
    audit: an OK part that goes to a blind review; runtime: blemish, runtime, threads, processor; ms: times
    """

    __tablename__ = "inspection"
    __table_args__ = (
        UniqueConstraint("line_id", "seq", "shadow"),
        Index("ix_inspection_verdict", "verdict", "id"),
        Index("ix_inspection_line", "line_id", "id"),
        Index("ix_inspection_bundle", "bundle_id", "id"),
        Index("ix_inspection_at", "at"),
        Index("ix_inspection_audit", "audit", "id"),
    )

    line_id: Mapped[int] = mapped_column(BigId, ForeignKey("line.id"))
    seq: Mapped[int] = mapped_column(BigId)
    number: Mapped[int] = mapped_column(BigId)
    part_id: Mapped[int] = mapped_column(BigId, ForeignKey("part.id"), index=True)
    image_id: Mapped[str | None] = mapped_column(String(64), ForeignKey("image.id"), index=True)
    at: Mapped[datetime]
    verdict: Mapped[str] = mapped_column(String(8))
    score: Mapped[float | None]
    grade: Mapped[str | None] = mapped_column(String(40))
    # No foreign key: what the line said counts, even of a bundle that this database does not know.
    bundle_id: Mapped[str] = mapped_column(String(80))
    decision_revision: Mapped[int | None]
    runtime: Mapped[dict[str, Any]]
    ms: Mapped[dict[str, Any]]
    doc: Mapped[dict[str, Any]] = mapped_column(Json)
    shadow: Mapped[bool]
    audit: Mapped[bool]


class DefectRow(Numbered):
    """A defect of an inspection, append-only; pixels of the image as decoded. n: place in `doc`, from 0"""

    __tablename__ = "defect"
    __table_args__ = (
        UniqueConstraint("inspection_id", "n"),
        Index("ix_defect_class", "class_name", "inspection_id"),
    )

    inspection_id: Mapped[int] = mapped_column(BigId, ForeignKey("inspection.id"))
    n: Mapped[int]
    class_name: Mapped[str] = mapped_column(String(200))
    confidence: Mapped[float]
    x0: Mapped[float]
    y0: Mapped[float]
    x1: Mapped[float]
    y1: Mapped[float]
    area: Mapped[float]
    length: Mapped[float]
    width: Mapped[float]
    severity: Mapped[float | None]
    mm: Mapped[dict[str, Any] | None]


class AnswerRow(Numbered):
    """That the line took an answer, append-only. via: who took it; ms: from trigger to answer"""

    __tablename__ = "answer"
    __table_args__ = (UniqueConstraint("line_id", "seq"),)

    line_id: Mapped[int] = mapped_column(BigId, ForeignKey("line.id"))
    seq: Mapped[int] = mapped_column(BigId)
    number: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime]
    via: Mapped[str] = mapped_column(String(80))
    ms: Mapped[float]


class LineEventRow(Numbered):
    """A missed trigger or a change of state, append-only. kind: missed or state; text: reason or why

    value: name of the source, or the state
    """

    __tablename__ = "line_event"
    __table_args__ = (UniqueConstraint("line_id", "number"),)

    line_id: Mapped[int] = mapped_column(BigId, ForeignKey("line.id"))
    number: Mapped[int] = mapped_column(BigId)
    kind: Mapped[str] = mapped_column(String(8))
    at: Mapped[datetime]
    value: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(String(2000))
