"""The commands `station run` and `station line`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.cli.console import say
from blemish.cli.station_admin import audit, backup, restore
from blemish.cli.stopping import App
from blemish.errors import WrongUseError

app = App(
    name="station",
    help="Run lines that inspect parts, with a record of every decision.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
StationDir = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of the station; made if it is not there.")
]


@app.command()
def run(station: StationDir) -> None:
    """Run the station in DIR: a process for each of its lines, started again if it ends. Ctrl-C stops it."""
    from blemish.station.supervisor import supervise

    supervise(station, server=None, say=say)
    say("The station has stopped.")


@app.command()
def line(
    station: StationDir,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the line: letters, digits, '.', '_', '-'.")
    ],
    bundle: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--bundle", help="Bundle to inspect with; it is copied into the station."),
    ] = None,
    watch: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--watch", metavar="FOLDER", help="Take each image that comes into FOLDER."),
    ] = None,
    listed: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--list", metavar="FILE", help="Take the images that FILE names, one path a line."),
    ] = None,
    video: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--video", metavar="FILE", help="Take the frames of a video."),
    ] = None,
    renamed: Annotated[
        bool,
        typer.Option(
            "--renamed", help="With --watch: files are renamed into FOLDER when whole; take them at once."
        ),
    ] = False,
    deadline_ms: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--deadline-ms", min=1, help="An answer that comes later is an ERROR."),
    ] = None,
) -> None:
    """Add a line to the station in DIR, or change one; a running station follows within a second."""
    from blemish.station.add_line import add_line
    from blemish.station.line.settings import FolderSource, ListSource, VideoSource

    sources = [
        make(path=path.absolute())
        for make, path in ((FolderSource, watch), (ListSource, listed), (VideoSource, video))
        if path is not None
    ]
    if len(sources) > 1 or (renamed and watch is None):
        raise WrongUseError(
            "A line takes --watch FOLDER, with or without --renamed, or --list, or --video. Give one."
        )
    source = sources[0] if sources else None
    if isinstance(source, FolderSource):
        source = source.model_copy(update={"renamed": renamed})
    settings = add_line(station, name, bundle=bundle, source=source, deadline_ms=deadline_ms)
    running = settings.bundle.name if settings.bundle else "no bundle yet"
    say(f"line {name}: {running}, settings {settings.revision}")


app.command()(backup)
app.command()(restore)
app.command()(audit)
