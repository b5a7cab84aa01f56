"""The command `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.cli.console import say
from blemish.cli.options import Quiet
from blemish.errors import BlemishError


def replay(
    record: Annotated[
        Path, typer.Argument(metavar="RECORD", help="An inspections.jsonl, or the folder that holds it.")
    ],
    images: Annotated[
        Path, typer.Option("--images", metavar="FOLDER", help="Folder of the images; their names may differ.")
    ],
    bundle: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option("--bundle", help="The recorded bundle, if it has moved; once per bundle of a chain."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Inspect the images of RECORD again with the same bundle, and print every field that differs.

    Images are found by their SHA-256. Exit code 0: all answers are the same; 1: some differ, or an image,
    bundle or decision is not as recorded.
    """
    from blemish.workflows.replay import replay as replayed

    outcome = replayed(record, images, bundles=bundle or (), quiet=quiet)
    if not outcome.lines:
        raise BlemishError(f"{record} must hold inspections. Received: an empty file. Choose another record.")
    for line in (*outcome.notes, *outcome.findings):
        say(line)
    say(f"{outcome.same} of {outcome.lines} answers are as recorded")
    if outcome.same < outcome.lines:
        raise BlemishError(
            f"{outcome.lines - outcome.same} of {outcome.lines} lines of {record} do not replay; see above."
        )
