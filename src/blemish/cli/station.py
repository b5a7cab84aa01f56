"""The commands `station run`, `station demo` and `station line`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.cli.console import say
from blemish.cli.options import Quiet
from blemish.cli.station_admin import audit, backup, restore
from blemish.cli.stopping import App
from blemish.errors import WrongUseError
from blemish.optional_dependencies import require_package

app = App(
    name="station",
    help="Run lines that inspect parts, with a record of every decision.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
StationDir = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of the station; made if it is not there.")
]

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the page.")]


@app.command()
def run(
    station: StationDir,
    host: Annotated[
        str, typer.Option("--host", help="Address that the server listens on; others than loopback need TLS.")
    ] = "127.0.0.1",
    port: Port = 8765,
    database: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--database", metavar="ADDRESS", help="PostgreSQL in place of SQLite in DIR."),
    ] = None,
    proxy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--behind-proxy", metavar="ADDRESS", help="Proxy with TLS in front, which is believed."),
    ] = None,
    certificate: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--certificate", metavar="FILE", help="Certificate for TLS, PEM; with --key."),
    ] = None,
    key: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--key", metavar="FILE", help="Private key of the certificate, PEM."),
    ] = None,
    lines_only: Annotated[
        bool, typer.Option("--lines-only", help="Run the lines without the server and its page.")
    ] = False,
) -> None:
    """Run the station in DIR: its server, and a process for each line; started again if one ends."""
    from blemish.station.server.__main__ import ServerOptions, refuse_open_address
    from blemish.station.supervisor import SERVER, server_command, supervise

    options = ServerOptions(station.absolute(), host, port, database, proxy, certificate, key)
    if not lines_only:
        require_package("fastapi", "blemish station run, but for --lines-only,")
        refuse_open_address(options)
    supervise(station, beside={} if lines_only else {SERVER: server_command(options)}, say=say)
    say("The station has stopped.")


@app.command()
def demo(
    station: StationDir,
    port: Port = 8765,
    every: Annotated[
        float, typer.Option("--every", min=0.2, metavar="SECONDS", help="Time between two parts.")
    ] = 3.0,
    quiet: Quiet = False,
) -> None:
    """Run a station on a drawn line: trains a bundle once, in minutes, then parts come by themselves."""
    require_package("fastapi", "blemish station demo")
    require_package("torch", "blemish station demo")
    from blemish.station.demo import parts_command, prepare_demo
    from blemish.station.server.__main__ import ServerOptions
    from blemish.station.supervisor import SERVER, server_command, supervise

    prepare_demo(station, quiet=quiet)
    server = server_command(ServerOptions(station.absolute(), port=port))
    supervise(station, beside={SERVER: server, "parts": parts_command(station, every)}, say=say)
    say(f"The station has stopped. The same command, or `blemish station run {station}`, goes on with it.")


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
