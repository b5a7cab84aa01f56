"""Tables of jobs and of the comparisons that they make."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from blemish.station.database.base import BigId, Numbered


class JobRow(Numbered):
    """A job. state: queued, running, done, failed or cancelled; folder: relative to the station's

    owner, lease_until: the server that looks after it; pid, pid_started: of its process, so that a server
    that starts again finds it; progress, total: of what `message` names
    """

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_state", "state", "id"),)

    kind: Mapped[str] = mapped_column(String(16))
    args: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10))
    cancel_asked: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None]
    pid: Mapped[int | None]
    pid_started: Mapped[str | None] = mapped_column(String(40))
    progress: Mapped[int | None] = mapped_column(BigId)
    total: Mapped[int | None] = mapped_column(BigId)
    message: Mapped[str | None] = mapped_column(String(400))
    folder: Mapped[str] = mapped_column(String(200))
    result: Mapped[dict[str, Any] | None]
    by: Mapped[int | None] = mapped_column(BigId, ForeignKey("site_user.id"))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class ComparisonRow(Numbered):
    """Two bundles on the same images, append-only. a: the one that runs; b: the challenger

    dataset_id, or line_id with from_seq and to_seq of a shadow; doc: paired table, flips, McNemar
    """

    __tablename__ = "comparison"

    a: Mapped[str] = mapped_column(String(80), ForeignKey("bundle.id"))
    b: Mapped[str] = mapped_column(String(80), ForeignKey("bundle.id"))
    dataset_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("dataset.id"))
    line_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("line.id"))
    from_seq: Mapped[int | None] = mapped_column(BigId)
    to_seq: Mapped[int | None] = mapped_column(BigId)
    doc: Mapped[dict[str, Any]]
    job_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("job.id"))
    at: Mapped[datetime]
