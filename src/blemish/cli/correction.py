"""The commands that correct a bundle by images that it judged wrongly: `accept` and `reject`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.cli.console import say
from blemish.cli.options import BundleFolder, Device, Quiet, Threads
from blemish.threads import set_threads

Out = Annotated[Path, typer.Option("--out", help="The corrected bundle.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who corrects, for the bundle's record.")]
On = Annotated[str, typer.Option("--on", metavar="DATE", help="When, for the bundle's record.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take the last one back instead: BUNDLE as it was.")]


def accept(  # noqa: PLR0913, PLR0917 - an option each
    bundle: BundleFolder,
    out: Out,
    images: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(metavar="[IMAGE]...", help="Good images that raised an alarm: files or folders."),
    ] = None,
    undo: Undo = False,
    by: By = "",
    on: On = "",
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Teach BUNDLE that images are good, in seconds: what is like them raises no alarm again.

    For bundles of method memory, exported ones as well. Prints what becomes of the validation images.
    """
    from blemish.workflows.correct import CorrectRequest, correct

    set_threads(threads)
    request = CorrectRequest(
        "accept", bundle, tuple(images or ()), out, undo=undo, by=by, on=on, device=device
    )
    say(correct(request, quiet=quiet).path)


def reject(  # noqa: PLR0913, PLR0917 - an option each
    bundle: BundleFolder,
    out: Out,
    images: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(metavar="[IMAGE]...", help="Defective images that passed: files or folders."),
    ] = None,
    boxes: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--boxes",
            metavar="DATA",
            help="Dataset that marks the defects in these images, see `blemish data`.",
        ),
    ] = None,
    undo: Undo = False,
    by: By = "",
    on: On = "",
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Teach BUNDLE that images are defective, in seconds: what is like their defects alarms.

    For bundles of method memory, exported ones as well. Without --boxes the places that are least like good
    ones count as the defects. Prints what becomes of the validation images.
    """
    from blemish.workflows.correct import CorrectRequest, correct

    set_threads(threads)
    request = CorrectRequest(
        "reject", bundle, tuple(images or ()), out, boxes=boxes, undo=undo, by=by, on=on, device=device
    )
    say(correct(request, quiet=quiet).path)
