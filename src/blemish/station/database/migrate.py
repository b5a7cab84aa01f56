"""Bringing a database up to date by Alembic; a newer one is refused, not changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from blemish.errors import BlemishError
from blemish.station.database.engine import reason_of

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).with_name("migrations")


def migrate(url: URL, *, revision: str = "head") -> None:
    """Create the tables, or bring them to a revision, in one transaction.

    Raises BlemishError where the database cannot be opened, and where a newer blemish has made it.
    """
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            current = current_revision(connection)
            if current == revisions()[-1]:
                return
            refuse_newer(current, url)
            from alembic import command  # a third of a second, at the first start alone

            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except DBAPIError as error:
        raise BlemishError(
            f"The database {shown(url)} cannot be opened: {reason_of(error)}. Check its address and rights."
        ) from error
    finally:
        engine.dispose()


def current_revision(connection: Connection) -> str | None:
    """Revision of a database; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def refuse_newer(current: str | None, url: URL) -> None:
    """Raise BlemishError where the database is at a revision that this version does not know."""
    if current is not None and current not in revisions():
        raise BlemishError(
            f"The database {shown(url)} was made by a newer blemish (revision {current}). Update blemish, or "
            "restore a backup of this version."
        )


def revisions() -> list[str]:
    """Revisions that this version knows, the oldest first, by the names of their files."""
    return sorted(file.stem.partition("_")[0] for file in (SCRIPTS / "versions").glob("[0-9]*.py"))


def alembic_config() -> Config:
    """Settings of Alembic, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def shown(url: URL) -> str:
    """Address of a database for people: without its password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()
