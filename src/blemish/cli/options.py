"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Optional

import typer

package = find_spec("blemish.methods")  # located, not imported, as it brings numpy
folders = package.submodule_search_locations if package else None
METHODS = sorted(
    module.name for module in iter_modules(folders or []) if module.ispkg and module.name != "common"
)


def beginning(values: Iterable[str]) -> Callable[[str], list[str]]:
    """Completion of a word that is one of the values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]


BundleFolder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Folder of a bundle, such as run/bundle.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random draw.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results and errors only, no progress.")]
SkipBroken = Annotated[
    bool,
    typer.Option(
        "--skip-broken",
        help="Leave out images and labels that are broken, with a warning instead of an error.",
    ),
]
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
        help="Maximum number of threads; default OMP_NUM_THREADS, else one per core.",
    ),
]
Then = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        "--then",
        metavar="BUNDLE",
        help="Next bundle of a chain, in the order gate, segmenter, detector; may be repeated.",
    ),
]
TimeLimit = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="Longest that the networks may take for an image; beyond, it is an ERROR. Default 60, and 10 "
        "more for each megapixel.",
    ),
]
NoInputCheck = Annotated[
    bool,
    typer.Option(
        "--no-input-check", help="Also call an image OK that is unlike the training images, not REVIEW."
    ),
]
MemoryLimit = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--memory-limit",
        metavar="GIB",
        help="Most memory that the graphs of an exported bundle may take. Default 4.",
    ),
]
