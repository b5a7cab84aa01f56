"""Opening the database: one connection that writes, others that can only read.

SQLite's releases before 3.51.3 can corrupt a file that two connections write at once, so the writer is alone,
and checkpoints of the write-ahead log are its own. PostgreSQL is opened the same way.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import StaticPool

from blemish.errors import BlemishError
from blemish.optional_dependencies import require_package

# Locks of a network file system do not hold SQLite's promises. From the mount table, which statfs lacks here.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"}
)
MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True)
class Database:
    """An open database. writer: the engine of the one writing connection; reader: can only read"""

    url: URL
    writer: Engine
    reader: Engine

    @property
    def dialect(self) -> str:
        """Name of the engine: sqlite or postgresql."""
        return self.url.get_backend_name()

    def reading(self) -> Session:
        """Session that can only read; use it as a context."""
        return sessionmaker(self.reader, expire_on_commit=False)()

    def close(self) -> None:
        """Close every connection."""
        self.reader.dispose()
        self.writer.dispose()


def database_url(folder: Path, given: str | None) -> URL:
    """Address of a station's database. given: `postgresql+pg8000://…`; None takes DIR/station.db

    Raises BlemishError for another kind of database, and for SQLite on a network file system.
    """
    if given is None:
        refuse_network_file_system(folder)
        return URL.create("sqlite", database=str(folder / "station.db"))
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise BlemishError(
            "--database must be an address such as postgresql+pg8000://user@host/name. Received: text that "
            "is none. Correct it."
        ) from error
    if url.drivername in ("postgresql", "postgresql+pg8000"):
        require_package("pg8000", "--database postgresql")
        return url.set(drivername="postgresql+pg8000")
    raise BlemishError(
        f"--database must be PostgreSQL by pg8000. Received: '{url.drivername}'. Use "
        "postgresql+pg8000://user@host/name, or leave it out for SQLite in the station's folder."
    )


def refuse_network_file_system(folder: Path, mounts: Path = MOUNTS) -> None:
    """Raise BlemishError where a folder lies on a network file system. mounts: the kernel's table of them"""
    kind = file_system(folder, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise BlemishError(
            f"{folder} lies on a network file system ({kind}), where SQLite can lose records. Choose a local "
            "disk, or give --database postgresql+pg8000://…"
        )


def file_system(folder: Path, mounts: Path) -> str:
    """Kind of the file system of a folder, "" where the computer has no table of mounts."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = Path(os.path.realpath(folder))
    found, kind = Path(), ""
    for line in lines:
        fields = line.split(" ")
        point = Path(fields[1].replace("\\040", " "))
        if real.is_relative_to(point) and len(point.parts) >= len(found.parts):
            found, kind = point, fields[2]
    return kind


def open_database(url: URL) -> Database:
    """Open a database that `migrate` has brought up to date."""
    if url.get_backend_name() == "sqlite":
        writer = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
        reader = create_engine(url, connect_args={"check_same_thread": False}, pool_size=8, max_overflow=8)
        event.listen(writer, "connect", sqlite_settings(WRITER_PRAGMAS))
        event.listen(reader, "connect", sqlite_settings(READER_PRAGMAS))
        event.listen(writer, "begin", begin_with("BEGIN IMMEDIATE"))
        event.listen(reader, "begin", begin_with("BEGIN"))
        return Database(url, writer, reader)
    writer = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
    reader = create_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True)
    event.listen(reader, "begin", begin_with("SET TRANSACTION READ ONLY"))
    return Database(url, writer, reader)


WRITER_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "wal_autocheckpoint=1000",
)
READER_PRAGMAS = ("query_only=ON", "foreign_keys=ON", "busy_timeout=10000", "wal_autocheckpoint=0")


def sqlite_settings(pragmas: tuple[str, ...]) -> Callable[[sqlite3.Connection, Any], None]:
    """Listener that sets a new connection up; transactions are begun by `begin_with`, not by the driver."""

    def connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    return connected


def begin_with(statement: str) -> Callable[[Connection], None]:
    """Listener that begins each transaction by a statement."""

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return begun


def integrity_faults(database: Database) -> list[str]:
    """Faults that the engine finds in its own file; PostgreSQL checks by itself and gives none."""
    if database.dialect != "sqlite":
        return []
    with database.reader.connect() as connection:
        rows = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
    return [] if rows == ["ok"] else rows


def reason_of(error: DBAPIError) -> str:
    """First line of what an engine says of an error."""
    return str(error.orig).strip().splitlines()[0][:300] if error.orig is not None else "unknown"
