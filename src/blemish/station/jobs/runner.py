"""The runner: one job at a time, leased, looked after, found again after a restart, tried three times."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.station.database.audit import Actor, record
from blemish.station.database.base import utc_now
from blemish.station.database.people import UserRow
from blemish.station.database.work import JobRow
from blemish.station.jobs.arguments import ARGUMENTS
from blemish.station.jobs.folder import prepared_commands
from blemish.station.jobs.process import JobProcess, exit_code, log_of, progress_of, start
from blemish.station.jobs.results import result_of
from blemish.station.server.state import Station

log = logging.getLogger("blemish.station")
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
MAX_ATTEMPTS = 3
LEASE = timedelta(seconds=15)


class Runner:
    """Looks after the jobs of a station. `tend` is called again and again by one thread."""

    def __init__(self, station: Station, *, lease: timedelta = LEASE) -> None:
        self.station, self.lease = station, lease
        self.name = f"server-{secrets.token_hex(6)}"
        self.lock = threading.Lock()

    def tend(self) -> None:
        """Look after the running job, or begin the next one."""
        with self.lock:
            mine = self.claimed()
            if mine is not None:
                self.look_after(mine)

    def claimed(self) -> JobRow | None:
        """Job that is this server's: the running one, whose lease is renewed, else the next in the queue."""

        def change(session: Session) -> JobRow | None:
            now = utc_now()
            free = or_(JobRow.owner == self.name, JobRow.lease_until.is_(None), JobRow.lease_until < now)
            running = select(JobRow).where(JobRow.state == RUNNING).order_by(JobRow.id).limit(1)
            row = session.scalars(running).one_or_none()
            if row is None:
                queued = select(JobRow).where(JobRow.state == QUEUED).order_by(JobRow.id).limit(1)
                row = session.scalars(queued).one_or_none()
            elif session.scalars(running.where(free)).one_or_none() is None:
                return None
            if row is not None:
                row.owner, row.lease_until, row.state = self.name, now + self.lease, RUNNING
                row.started_at = row.started_at or now
            return row

        return self.station.write(change)

    def look_after(self, job: JobRow) -> None:
        """Go one step on with a job: start it, note its progress, or keep its result."""
        folder = self.station.folder.root / job.folder
        process = JobProcess(job.pid, job.pid_started or "") if job.pid is not None else None
        alive = process is not None and process.lives()
        if job.cancel_asked:
            if process is not None:
                process.end()
            self.finish(job, CANCELLED, {}, "It was cancelled.")
        elif alive:
            self.note_progress(job)
        elif process is not None and (code := exit_code(folder)) is not None:
            self.ended(job, code)
        elif job.attempt >= MAX_ATTEMPTS:
            self.finish(job, FAILED, {}, f"It was cut off {MAX_ATTEMPTS} times. {self.last_line(job)}")
        else:
            if process is not None:
                process.end()  # what is left of its group
            self.begin(job)

    def begin(self, job: JobRow) -> None:
        """Start the process of a job, for the first time or again."""
        folder = self.station.folder.root / job.folder
        try:
            with self.station.database.reading() as session:
                arguments = ARGUMENTS.validate_python(job.args)
                commands = prepared_commands(session, self.station.folder, folder, arguments)
            process = start(folder, commands)
        except (BlemishError, OSError) as error:
            self.finish(job, FAILED, {}, str(error))
            return
        self.change(job, pid=process.pid, pid_started=process.started, attempt=job.attempt + 1)

    def note_progress(self, job: JobRow) -> None:
        """Have the newest progress in the job's row."""
        found = progress_of(self.station.folder.root / job.folder)
        title = found.get("title") or found.get("line")
        if found.get("steps", 1) > 1 and title:
            title = f"{found['step']} of {found['steps']}: {title}"
        message = str(title)[:400] if title else None
        new = {"progress": found.get("done"), "total": found.get("total"), "message": message}
        if any(getattr(job, key) != value for key, value in new.items()):
            self.change(job, **new)

    def ended(self, job: JobRow, code: int) -> None:
        """Keep the result of a job whose commands have ended."""
        if code:
            self.finish(job, FAILED, {"exit_code": code}, self.last_line(job))
            return
        try:
            save = result_of(self.station.folder, self.station.audit_key, job, self.actor(job))
            self.station.write(lambda session: self.close(session, job, DONE, save(session), None))
        except BlemishError as error:
            self.finish(job, FAILED, {}, str(error))

    def finish(self, job: JobRow, state: str, result: dict[str, Any], message: str | None) -> None:
        """Note how a job has ended."""
        self.station.write(lambda session: self.close(session, job, state, result, message))

    def close(
        self, session: Session, job: JobRow, state: str, result: dict[str, Any], message: str | None
    ) -> None:
        """Note how a job has ended, in its row and in the audit trail."""
        row = session.get(JobRow, job.id)
        assert row is not None, "jobs are never deleted"
        row.state, row.ended_at, row.owner, row.lease_until = state, utc_now(), None, None
        row.pid = row.pid_started = None
        row.result, row.message = result or None, message[:400] if message else None
        after = {"state": state, "result": {} if "metrics" in result else result}
        name = f"job/{job.id}"
        record(session, self.station.audit_key, self.actor(job), f"job.{state}", name, after=after)

    def change(self, job: JobRow, **values: Any) -> None:
        """Set columns of a job's row."""

        def change(session: Session) -> None:
            row = session.get(JobRow, job.id)
            assert row is not None, "jobs are never deleted"
            for key, value in values.items():
                setattr(row, key, value)

        self.station.write(change)

    def actor(self, job: JobRow) -> Actor:
        """Whose job it is, for the audit trail."""
        with self.station.database.reading() as session:
            user = session.get(UserRow, job.by) if job.by is not None else None
        return Actor(f"{user.name if user else 'station'} (job {job.id})", "", job.by)

    def last_line(self, job: JobRow) -> str:
        """Last line of a job's log, which says why it failed."""
        text, _ = log_of(self.station.folder.root / job.folder, -4000)
        lines: Sequence[str] = text.decode(errors="replace").strip().splitlines()
        line = lines[-1] if lines else "It left no message."
        root = str(self.station.folder.root)
        line = line.replace(f"{root}/{job.folder}/", "").replace(f"{root}/", "")
        return line.removeprefix("blemish: ")
