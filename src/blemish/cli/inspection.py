"""The command `inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.cli.options import Quiet, Scale, Then, Threads
from blemish.errors import BlemishError
from blemish.threads import set_threads


def inspect(  # noqa: PLR0913, PLR0917 - an option each
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            help="Images, folders of images, videos, quoted globs (** for any folders), lists (.txt, a path "
            "a line), or - for paths from standard input.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for inspections.jsonl and overlays.")],
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also draw each image with its defects.")
    ] = False,
    every: Annotated[
        int, typer.Option("--every", min=1, metavar="N", help="Of videos, every Nth frame.")
    ] = 1,
    line_scan: Annotated[
        bool,
        typer.Option(
            "--line-scan", help="The images are strips of one width: judge them as one long picture."
        ),
    ] = False,
    frame_rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--frame-rows", min=1, metavar="N", help="With --line-scan: judge frames of N rows as images."
        ),
    ] = None,
    most_rows: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--most-rows",
            min=1,
            metavar="N",
            help="With --line-scan: a longer defect is cut; 8192 by default.",
        ),
    ] = None,
    then: Then = None,
    mm_per_px: Scale = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda")] = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Inspect images with BUNDLE, or a chain of bundles; writes one line an image to inspections.jsonl."""
    from blemish.workflows.inspect import inspect_images, web_of
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    web = web_of(paths, line_scan=line_scan, frame_rows=frame_rows, most_rows=most_rows)
    written = inspect_images(
        (bundle, *(then or ())),
        paths,
        out,
        overlay=overlay,
        every=every,
        web=web,
        mm_per_px=checked_scale(mm_per_px),
        device=device,
        quiet=quiet,
    )
    print(written.file)
    if written.failures:
        images = "1 image" if written.failures == 1 else f"{written.failures} images"
        raise BlemishError(f"{images} could not be judged; {written.file} says why, as 'error'.")
