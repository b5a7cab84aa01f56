"""The command `inspect`, and the options of a line scan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from blemish.cli.console import say
from blemish.cli.options import (
    BundleFolder,
    Device,
    MemoryLimit,
    NoInputCheck,
    Quiet,
    Scale,
    Then,
    Threads,
    TimeLimit,
)
from blemish.errors import BlemishError, WrongUseError
from blemish.threads import set_threads

if TYPE_CHECKING:
    from blemish.inspector.line_scan import Web


def inspect(  # noqa: PLR0913, PLR0917 - an option each
    bundle: BundleFolder,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="Images, videos, folders of them, quoted globs (** for any folders), lists (.txt, one path "
            "per line), or - for paths from standard input. Or a live source: rtsp://…, http://… (Motion "
            "JPEG) or camera:0.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for inspections.jsonl, pictures and tables.")],
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also save each image with its defects marked and named.")
    ] = False,
    sheet: Annotated[
        bool,
        typer.Option("--sheet", help="Also save small pictures of the images on one sheet, NG first."),
    ] = False,
    csv: Annotated[
        bool,
        typer.Option("--csv", help="Also save tables for spreadsheets: inspections.csv and defects.csv."),
    ] = False,
    every: Annotated[
        int, typer.Option("--every", min=1, metavar="N", help="Use every Nth frame of a video or a stream.")
    ] = 1,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Inspect what is in the folder PATH, and then each image that comes."),
    ] = False,
    duration: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--duration",
            metavar="TIME",
            help="End a live source or --watch after this time, such as 90s, 10m or 8h; else Ctrl-C ends it.",
        ),
    ] = None,
    max_images: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--max-images", min=1, metavar="N", help="End a live source or --watch after N inspected images."
        ),
    ] = None,
    line_scan: Annotated[
        bool,
        typer.Option(
            "--line-scan", help="Judge the images as strips of one long image; all have the same width."
        ),
    ] = False,
    frame_rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--frame-rows",
            min=1,
            metavar="N",
            help="With --line-scan: judge every N rows as an image of its own.",
        ),
    ] = None,
    max_rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--max-rows",
            min=1,
            metavar="N",
            help="With --line-scan: cut defects longer than N rows; default 8192.",
        ),
    ] = None,
    most_rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--most-rows", min=1, hidden=True),  # the older name of --max-rows
    ] = None,
    then: Then = None,
    mm_per_px: Scale = None,
    time_limit: TimeLimit = None,
    memory_limit: MemoryLimit = None,
    no_input_check: NoInputCheck = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep the answers in --out of a run that did not end, and inspect the other images.",
        ),
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Inspect images with BUNDLE, or a chain of bundles; write one line per image to inspections.jsonl."""
    from blemish.durations import parse_duration
    from blemish.inspector.limits import limits_of
    from blemish.inspector.live.options import LiveOptions
    from blemish.workflows.inspect import inspect_images
    from blemish.workflows.scale import checked_scale

    seconds = None if duration is None else parse_duration(duration, "--duration")
    set_threads(threads)
    if max_rows is not None and most_rows is not None:
        raise WrongUseError(
            "--most-rows is the older name of --max-rows. Received: both. Leave --most-rows out."
        )
    web = web_of(paths, line_scan=line_scan, frame_rows=frame_rows, max_rows=max_rows or most_rows)
    recorded = inspect_images(
        (bundle, *(then or ())),
        paths,
        out,
        overlay=overlay,
        sheet=sheet,
        csv=csv,
        every=every,
        web=web,
        mm_per_px=checked_scale(mm_per_px),
        device=device,
        limits=limits_of(time_limit, memory_limit),
        input_check=not no_input_check,
        live=LiveOptions(watch, seconds, max_images),
        resume=resume,
        quiet=quiet,
    )
    say(recorded.file)
    say(recorded.counts.line(), error=True)
    if recorded.counts.losses is not None:
        say(recorded.counts.losses.sentence, error=True)
    lack = recorded.counts.lack(recorded.file) if recorded.counts.not_judged else ""
    if lack or recorded.output_lack:
        raise BlemishError(f"{lack} {recorded.output_lack}".strip())


def web_of(paths: list[str], *, line_scan: bool, frame_rows: int | None, max_rows: int | None) -> Web | None:
    """The web that the options of a line scan ask for; None without a line scan.

    Raises WrongUseError for options that have no effect together.
    """
    values = {"--frame-rows": frame_rows, "--max-rows": max_rows}
    used = [name for name, value in values.items() if value is not None]
    if used and not line_scan:
        raise WrongUseError(f"{used[0]} is for a line scan. Add --line-scan, or leave {used[0]} out.")
    if len(used) == 2:
        raise WrongUseError(
            "--frame-rows and --max-rows exclude each other, as frames cut every defect. Received: both. "
            "Leave one out."
        )
    if not line_scan:
        return None
    from blemish.inspector.line_scan.web import DEFAULT_MAX_ROWS, Web
    from blemish.inspector.sources import STDIN

    name = "stdin" if paths[0] == STDIN else str(Path(paths[0]))
    return Web(name, frame_rows, max_rows or DEFAULT_MAX_ROWS)
