"""`blemish data …`: synthetic sets, checks, splits, conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Make, check, split and convert datasets.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="Dataset: a folder, or a dataset.yaml.")]
Out = Annotated[Path, typer.Argument(metavar="OUT")]
