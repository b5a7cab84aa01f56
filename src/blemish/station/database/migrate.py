"""Bringing a database up to date by Alembic; a newer one is refused, not changed."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from blemish.errors import BlemishError
from blemish.station.database.engine import reason_of

SCRIPTS = Path(__file__).with_name("migrations")


def migrate(url: URL, *, revision: str = "head") -> None:
    """Create the tables, or bring them to a revision, in one transaction.

    Raises BlemishError where the database cannot be opened, and where a newer blemish has made it.
    """
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            refuse_newer(connection, url)
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except DBAPIError as error:
        raise BlemishError(
            f"The database {shown(url)} cannot be opened: {reason_of(error)}. Check its address and rights."
        ) from error
    finally:
        engine.dispose()


def refuse_newer(connection: Connection, url: URL) -> None:
    """Raise BlemishError where the database is at a revision that this version does not know."""
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in revisions():
        raise BlemishError(
            f"The database {shown(url)} was made by a newer blemish (revision {current}). Update blemish, or "
            "restore a backup of this version."
        )


def revisions() -> list[str]:
    """Revisions that this version knows, the oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def alembic_config() -> Config:
    """Settings of Alembic, without a file."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def shown(url: URL) -> str:
    """Address of a database for people: without its password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()
