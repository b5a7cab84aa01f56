"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Optional

import typer


def beginning(values: Iterable[str]) -> Callable[[str], list[str]]:
    """Completion of a word that is one of the values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed draws and trains the same.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only results and errors.")]
Scale = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--mm-per-px", metavar="X", help="Scale of the images, for sizes in mm."),
]
Threads = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--threads",
        min=1,
        metavar="N",
        help="Most threads of a computation; else OMP_NUM_THREADS, else a thread a core.",
    ),
]
Then = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        "--then",
        metavar="BUNDLE",
        help="Asked after the one before, as a chain: gate, segmenter, detector; may be repeated.",
    ),
]
