"""The command `blemish`. Every heavy import stands inside the command that needs it, so that --help is
quick.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer
from typer.core import TyperGroup

from blemish.cli import data
from blemish.errors import BlemishError


class Commands(TyperGroup):
    """Says what a Ctrl-C leaves behind, where typer would exit without a word."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            raise BlemishError(
                "stopped. What was finished is kept; `train --resume` goes on from the last checkpoint."
            ) from error


app = typer.Typer(
    name="blemish",
    cls=Commands,
    help="Find, outline, grade and name surface defects from few examples, and prove how well it is done.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")

Split = Literal["train", "val", "test", "all"]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only results and errors.")]


class Debug:
    """Whether an error shows its trace; set once by the command line."""

    on = False


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
) -> None:
    Debug.on = debug


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything the demo makes.")] = Path("demo"),
    quiet: Quiet = False,
) -> None:
    """Make a synthetic set, train on it, evaluate, inspect; ends with the path of an HTML report."""
    from blemish.cli.demo import run_demo

    print(run_demo(out, quiet=quiet))


@app.command()
def train(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="severity")],
    data: Annotated[Path, typer.Option("--data", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder; the bundle is written to RUN/bundle.")],
    config: Annotated[Optional[Path], typer.Option("--config", help="YAML file of settings.")] = None,  # noqa: UP045
    settings: Annotated[Optional[list[str]], typer.Option("--set", metavar="KEY=VALUE")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train METHOD on the dataset's train and val splits."""
    from blemish.cli.work import train_bundle

    bundle = train_bundle(
        method, data, out, config=config, assignments=settings or [], seed=seed, resume=resume, quiet=quiet
    )
    print(bundle)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    data: Annotated[Path, typer.Option("--data", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for metrics.json and report.html.")],
    split: Annotated[Split, typer.Option("--split")] = "test",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda")] = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure BUNDLE on a split of a dataset; writes metrics.json and report.html."""
    from blemish.cli.work import evaluate_bundle

    print(evaluate_bundle(bundle, data, out, split=split, device=device, quiet=quiet))


@app.command()
def inspect(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Images, or folders of images.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for inspections.jsonl and overlays.")],
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also draw each image with its defects.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda")] = "auto",
    quiet: Quiet = False,
) -> None:
    """Inspect images with BUNDLE; writes one line an image to inspections.jsonl."""
    from blemish.cli.work import inspect_images

    written, failures = inspect_images(bundle, paths, out, overlay=overlay, device=device, quiet=quiet)
    print(written)
    if failures:
        raise BlemishError(f"{failures} images could not be judged; their lines in {written} say why.")


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A file of experiments/, without .yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that the rows are kept in.")],
    data: Annotated[Optional[Path], typer.Option("--data", help="Where the table's dataset is.")] = None,  # noqa: UP045
    seeds: Annotated[int, typer.Option("--seeds", min=1)] = 3,
    quiet: Quiet = False,
) -> None:
    """Fill a table of a paper row by row, ours beside theirs; rows that are there are kept."""
    from blemish.reproduce.table import fill_table

    print(fill_table(name, out, data=data, seeds=seeds, quiet=quiet))


def run() -> None:
    """Entry point. Exit codes: 0 fine, 1 the work failed, 2 wrong use."""
    try:
        app()
    except BlemishError as error:
        if Debug.on:
            raise
        fail(str(error))
    except OSError as error:
        if Debug.on:
            raise
        fail(
            f"{error.filename or 'a file'}: {error.strerror or error}. Check its folder and its permissions."
        )


def fail(message: str) -> None:
    print(f"blemish: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
