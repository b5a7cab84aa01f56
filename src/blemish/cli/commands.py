"""The commands of `blemish`. Heavy imports stand inside the command that needs them: --help stays quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.api import Split
from blemish.cli import data, methods, station
from blemish.cli.console import say
from blemish.cli.correction import accept, reject
from blemish.cli.decision import decide
from blemish.cli.evaluation import evaluate
from blemish.cli.inspection import inspect
from blemish.cli.options import BundleFolder, Device, Quiet, SkipBroken, Threads
from blemish.cli.outcome import Debug, command_line
from blemish.cli.replay import replay
from blemish.cli.stopping import App
from blemish.cli.training import add_class, export, remove_class, rename_class, train
from blemish.optional_dependencies import require_package
from blemish.threads import set_threads

app = App(
    name="blemish",
    help="Find, outline, grade and name surface defects from few examples, and prove how well it works.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(methods.app, name="methods")
app.add_typer(station.app, name="station")


def show_version(requested: bool) -> None:
    if requested:
        import blemish

        say(f"blemish {blemish.__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=show_version),
    ] = False,
) -> None:
    Debug.on = debug


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for everything the demo makes.")] = Path("demo"),
    quiet: Quiet = False,
) -> None:
    """Make a synthetic set, train, evaluate and inspect; print the path of an HTML report."""
    require_package("torch", "blemish demo")
    from blemish.workflows.demo import run_demo

    say(run_demo(out, command=command_line(), quiet=quiet))


app.command()(train)
app.command()(evaluate)
app.command()(decide)
app.command()(inspect)
app.command()(replay)
app.command()(accept)
app.command()(reject)
app.command(name="add-class")(add_class)
app.command(name="remove-class")(remove_class)
app.command(name="rename-class")(rename_class)
app.command()(export)


@app.command()
def recommend(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Dataset: a folder, or a dataset.yaml.")],
    skip_broken: SkipBroken = False,
) -> None:
    """Name the method that suits DATA, why, and the commands to run; `train auto` takes it."""
    from blemish.dataset.opening import open_dataset
    from blemish.workflows.recommend import recommend as choose

    say(*choose(data, open_dataset(data, skip_broken=skip_broken)).lines)


@app.command()
def embed(
    bundle: BundleFolder,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for embeddings.csv, .npz and .png.")],
    split: Annotated[Split, typer.Option("--split", help="Split to show.")] = "test",
    skip_broken: SkipBroken = False,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Show which classes overlap in BUNDLE's metric space: a table, a plot, and a sentence per pair."""
    from blemish.workflows.embed import embed_regions

    set_threads(threads)
    plot, sentences = embed_regions(
        bundle, data, out, split=split, device=device, skip_broken=skip_broken, quiet=quiet
    )
    say(plot, *sentences)


@app.command()
def reproduce(  # noqa: PLR0913, PLR0917 - an option each
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A file of experiments/, without .yaml; order: the tables that order.yaml names, in turn.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the rows, such as experiments/results.")],
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--data", help="Folder of the datasets, or a dataset of your own."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds.")] = 3,
    common: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--common", metavar="A,B", help="Common classes, instead of the table's."),
    ] = None,
    rare: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--rare", metavar="C,D", help="Rare classes, instead of the table's."),
    ] = None,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--target", metavar="A,B", help="Products, instead of the table's."),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Fill a paper's table row by row, our figures beside the paper's; rows already there are kept."""
    from blemish.cli.tables import fill_table

    set_threads(threads)
    say(fill_table(name, out, data=data, seeds=seeds, quiet=quiet, common=common, rare=rare, target=target))


@app.command()
def results(
    folder: Annotated[
        Path, typer.Option("--from", metavar="FOLDER", help="Folder that `reproduce` filled.")
    ] = Path("experiments/results"),
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("experiments/RESULTS.md"),
) -> None:
    """Write every table that `reproduce` filled, and whether its goals were met, on one page."""
    from blemish.cli.tables import write_overview

    say(write_overview(folder, out))
