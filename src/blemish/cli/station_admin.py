"""The commands `station backup`, `station restore` and `station audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.cli.console import say
from blemish.errors import BlemishError
from blemish.optional_dependencies import require_package

StationFolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the station.")]


def backup(
    station: StationFolderArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the backup; new or empty.")],
    no_images: Annotated[bool, typer.Option("--no-images", help="Leave the images out.")] = False,
) -> None:
    """Back up the station in DIR, which may run meanwhile: database, journals, bundles, images."""
    require_package("sqlalchemy", "blemish station backup")
    from blemish.station.database.backup import back_up
    from blemish.station.layout import StationFolder

    count = back_up(StationFolder(station.absolute()), out, with_images=not no_images)
    say(f"{count} files backed up to {out}")


def restore(
    saved: Annotated[Path, typer.Argument(metavar="BACKUP", help="Folder that `station backup` wrote.")],
    station: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new station; new or empty.")],
) -> None:
    """Make a station in DIR of a backup, every file of which is checked first."""
    require_package("sqlalchemy", "blemish station restore")
    from blemish.station.database.backup import restore as make

    say(f"{make(saved, station)} files restored to {station}")


def audit(
    station: StationFolderArgument,
    database: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--database", help="Address of PostgreSQL, where the station uses it."),
    ] = None,
    head: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--head", metavar="COUNT:HASH", help="Head noted earlier, which must still be there."),
    ] = None,
) -> None:
    """Verify who did what, and the record against the journals; print the head, to be noted elsewhere."""
    require_package("sqlalchemy", "blemish station audit")
    from blemish.station.audit_check import check_station

    outcome = check_station(station.absolute(), database=database, head=head)
    for fault in outcome.faults:
        say(fault)
    if outcome.faults:
        raise BlemishError(f"{station}: the record was changed in {len(outcome.faults)} places, see above.")
    say(f"whole: {outcome.count} entries", f"head: {outcome.count}:{outcome.head}")
