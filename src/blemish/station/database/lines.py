"""Tables of lines, the bundles that they run, and how far their journals were read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from blemish.station.database.base import Base, BigId, Numbered


class LineRow(Numbered):
    """A line. state: running, held or stopped; revision: of line.json, which is written from this row

    source, link, keep, deadline_ms, audit_share, review_is_ng: as `LineSettings` has them
    """

    __tablename__ = "line"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    source: Mapped[dict[str, Any] | None]
    link: Mapped[dict[str, Any] | None]
    deadline_ms: Mapped[int | None]
    keep: Mapped[dict[str, Any]]
    audit_share: Mapped[float]
    review_is_ng: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]


class BundleRow(Base):
    """A bundle. id: as `Bundle.id`; path: its folder, relative to the station's; bytes: of all its files"""

    __tablename__ = "bundle"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    method: Mapped[str] = mapped_column(String(40))
    path: Mapped[str] = mapped_column(String(200))
    manifest: Mapped[dict[str, Any]]
    certificate: Mapped[dict[str, Any] | None]
    parent_id: Mapped[str | None] = mapped_column(String(80), ForeignKey("bundle.id"))
    job_id: Mapped[int | None] = mapped_column(BigId)
    dataset_id: Mapped[int | None] = mapped_column(BigId)
    bytes: Mapped[int] = mapped_column(BigId)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class DecisionRow(Numbered):
    """A revision of a bundle's decision, append-only. digest: SHA-256 of the YAML"""

    __tablename__ = "decision"
    __table_args__ = (UniqueConstraint("bundle_id", "revision"),)

    bundle_id: Mapped[str] = mapped_column(String(80), ForeignKey("bundle.id"))
    revision: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    yaml: Mapped[str] = mapped_column(Text)
    by: Mapped[int | None] = mapped_column(BigId, ForeignKey("site_user.id"))
    why: Mapped[str] = mapped_column(String(2000))
    at: Mapped[datetime]


class PromotionRow(Numbered):
    """What a line runs from a moment on, append-only; the newest of a kind holds.

    kind: promote, rollback or shadow; bundle_id: None ends a shadow
    """

    __tablename__ = "promotion"
    __table_args__ = (Index("ix_promotion_line_kind", "line_id", "kind", "id"),)

    line_id: Mapped[int] = mapped_column(BigId, ForeignKey("line.id"))
    bundle_id: Mapped[str | None] = mapped_column(String(80), ForeignKey("bundle.id"))
    decision_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("decision.id"))
    kind: Mapped[str] = mapped_column(String(16))
    by: Mapped[int | None] = mapped_column(BigId, ForeignKey("site_user.id"))
    approved_by: Mapped[int | None] = mapped_column(BigId, ForeignKey("site_user.id"))
    why: Mapped[str] = mapped_column(String(2000))
    comparison_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("comparison.id"))
    at: Mapped[datetime]


class IngestPlaceRow(Base):
    """How far a line's journal was read; moved in the transaction of the rows that it stands for.

    segment, offset: file and byte behind the last record; number, last_hash: of that record
    """

    __tablename__ = "ingest_place"

    line_id: Mapped[int] = mapped_column(BigId, ForeignKey("line.id"), primary_key=True)
    segment: Mapped[int]
    offset: Mapped[int] = mapped_column(BigId)
    number: Mapped[int] = mapped_column(BigId)
    last_hash: Mapped[str] = mapped_column(String(64))
