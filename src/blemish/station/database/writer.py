"""The one thread that writes: changes wait in a queue and are committed in groups.

A change runs in a savepoint of its own, so that one that fails takes no other with it; whoever asked for it
waits until the group is on the disk.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.station.database.engine import Database, reason_of

Result = TypeVar("Result")
Change = Callable[[Session], Any]
MAX_GROUP = 256
MAX_WAITING = 10_000
SECONDS = 60.0


class DatabaseBusyError(BlemishError):
    """The writer has more to do than it takes, or did not answer in time; nothing is known to be written."""


class Writer:
    """Runs changes one after another on the writing connection."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.waiting: queue.Queue[tuple[Change, Future[Any]] | None] = queue.Queue(MAX_WAITING)
        self.thread = threading.Thread(target=self.run, name="writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self.thread.start()

    def close(self) -> None:
        """Write what waits, then end."""
        self.waiting.put(None)
        self.thread.join()

    def write(self, change: Callable[[Session], Result], *, seconds: float = SECONDS) -> Result:
        """Run a change and wait until it is on the disk; what it raises is raised here.

        Raises DatabaseBusyError where too many wait, or the time is over.
        """
        done: Future[Any] = Future()
        try:
            self.waiting.put((change, done), timeout=seconds)
            return done.result(timeout=seconds)
        except (queue.Full, TimeoutError) as error:
            raise DatabaseBusyError(
                "The database does not keep up. Try again; where it stays so, check the disk."
            ) from error

    def run(self) -> None:
        """Take groups from the queue until it ends."""
        while (first := self.waiting.get()) is not None:
            group, last = [first], False
            while len(group) < MAX_GROUP and not last:
                try:
                    entry = self.waiting.get_nowait()
                except queue.Empty:
                    break
                if entry is None:
                    last = True
                else:
                    group.append(entry)
            self.commit(group)
            if last:
                return

    def commit(self, group: list[tuple[Change, Future[Any]]]) -> None:
        """Run the changes of a group in one transaction and tell each who asked for it how it went."""
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with Session(self.database.writer, expire_on_commit=False) as session, session.begin():
                for change, done in group:
                    try:
                        with session.begin_nested():
                            result = change(session)
                        outcomes.append((done, result, None))
                    except Exception as error:
                        outcomes.append((done, None, error))
        except Exception as error:
            fault = error
            if isinstance(error, DBAPIError):
                fault = DatabaseBusyError(f"The database cannot be written: {reason_of(error)}.")
            outcomes = [(done, None, fault) for _, done in group]
        for done, result, fault_of_one in outcomes:
            if fault_of_one is None:
                done.set_result(result)
            else:
                done.set_exception(fault_of_one)
