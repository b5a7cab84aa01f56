"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

Split = Literal["train", "val", "test", "all"]
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
