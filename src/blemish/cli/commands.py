"""The commands of `blemish`. Every heavy import stands inside the command that needs it, so that --help is
quick.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal, Optional

import typer
from typer.core import TyperGroup

from blemish.cli import data
from blemish.cli.decide_command import decide
from blemish.cli.options import Quiet, Scale, Seed, Split, Threads
from blemish.cli.outcome import Debug, StoppedError
from blemish.errors import BlemishError
from blemish.extras import refuse_without
from blemish.threads import set_threads


class Commands(TyperGroup):
    """Says what a Ctrl-C leaves behind, where typer would exit without a word."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            raise StoppedError(
                "stopped. What was finished is kept; `train --resume` goes on from the last checkpoint, "
                "where there is one."
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

package = find_spec("blemish.methods")  # looked at, not imported, as it brings numpy
folders = package.submodule_search_locations if package else None
METHODS = ", ".join(
    sorted(module.name for module in iter_modules(folders or []) if module.ispkg and module.name != "common")
)

Then = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        "--then",
        metavar="BUNDLE",
        help="Asked after the one before, as a chain: gate, outliner, namer; may be repeated.",
    ),
]


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
    refuse_without("torch", "blemish demo")
    from blemish.cli.demo import run_demo

    print(run_demo(out, quiet=quiet))


@app.command()
def train(  # noqa: PLR0913, PLR0917 - an option each
    method: Annotated[str, typer.Argument(metavar="METHOD", help=f"One of {METHODS}.")],
    data: Annotated[Path, typer.Option("--data", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Run folder; the bundle is written to RUN/bundle.")],
    config: Annotated[Optional[Path], typer.Option("--config", help="YAML file of settings.")] = None,  # noqa: UP045
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method; may be repeated."),
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    start: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", metavar="BUNDLE", help="Go on from this bundle, with its settings."),
    ] = None,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--target", metavar="NAME", help="Product to learn; as --set target=NAME."),
    ] = None,
    shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--shots", min=1, metavar="K", help="Images to learn from; as --set shots=K."),
    ] = None,
    mm_per_px: Scale = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train METHOD on the dataset's train and val splits."""
    refuse_without("torch", "blemish train")
    from blemish.cli.scales import checked_scale
    from blemish.cli.work import train_bundle

    set_threads(threads)
    short = short_settings(method, target=target, shots=shots, mm_per_px=checked_scale(mm_per_px))
    bundle = train_bundle(
        method,
        data,
        out,
        config=config,
        assignments=[*(settings or []), *short],
        seed=seed,
        resume=resume,
        quiet=quiet,
        start=start,
    )
    print(bundle)


def short_settings(method: str, **values: str | float | None) -> list[str]:
    """Options that stand for settings, as KEY=VALUE. Raises WrongUseError for a method that has none such."""
    import json

    from blemish.cli.outcome import WrongUseError, refused_as_wrong_use
    from blemish.methods import find_method

    given = {name: value for name, value in values.items() if value is not None}
    with refused_as_wrong_use():
        known = find_method(method).settings_type.model_fields if given else given
    for name in given:
        if name not in known:
            raise WrongUseError(
                f"--{name} must be given to a method that has the setting. Received: {method}. Leave it out."
            )
    return [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items()]


@app.command()
def evaluate(  # noqa: PLR0913, PLR0917 - an option each
    data: Annotated[Path, typer.Option("--data", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for metrics.json and report.html.")],
    bundle: Annotated[Optional[Path], typer.Argument(metavar="[BUNDLE]", show_default=False)] = None,  # noqa: UP045
    predictions: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Instead of a bundle, any tool's answers: COCO results (.json), inspections (.jsonl), "
            "image,score (.csv), or a folder of maps (.png, .npy) named like the images.",
        ),
    ] = None,
    split: Annotated[Split, typer.Option("--split")] = "test",
    threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--threshold",
            min=0,
            max=1,
            help="Of predictions: the score from which an image is NG and a box or pixel a defect. "
            "Otherwise chosen where val images are predicted, too, else 0.5.",
        ),
    ] = None,
    rule: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--rule", help="Of predictions: how to choose on val images, such as f1, escape<=0.01."),
    ] = None,
    missing: Annotated[
        Optional[Literal["none-found"]],  # noqa: UP045
        typer.Option("--missing", help="Take images without predictions as those with nothing found."),
    ] = None,
    then: Then = None,
    mm_per_px: Scale = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda")] = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Measure BUNDLE, a chain of them, or any tool's predictions; writes metrics.json and report.html."""
    from blemish.cli.evaluating import evaluate_bundles
    from blemish.cli.predictions import evaluate_file, refuse_mixed
    from blemish.cli.scales import checked_scale

    set_threads(threads)
    scale = checked_scale(mm_per_px)
    options = {"--threshold": threshold, "--rule": rule, "--missing": missing}
    refuse_mixed(
        bundle,
        predictions,
        only_with_predictions=options,
        only_with_bundle={"--mm-per-px": mm_per_px, "--then": then},
    )
    if bundle is not None:
        bundles = (bundle, *(then or ()))
        print(evaluate_bundles(bundles, data, out, split=split, device=device, quiet=quiet, mm_per_px=scale))
    elif predictions is not None:
        from blemish.evaluation.predictions import Judgement

        judgement = Judgement(threshold, rule, none_found=missing is not None)
        print(evaluate_file(predictions, data, out, split=split, judgement=judgement, quiet=quiet))


app.command()(decide)


@app.command()
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
    from blemish.cli.line_scan import web_of
    from blemish.cli.scales import checked_scale
    from blemish.cli.work import inspect_images

    set_threads(threads)
    web = web_of(paths, line_scan=line_scan, frame_rows=frame_rows, most_rows=most_rows)
    written, failures = inspect_images(
        (bundle, *(then or ())),
        paths,
        out,
        overlay=overlay,
        device=device,
        quiet=quiet,
        mm_per_px=checked_scale(mm_per_px),
        every=every,
        web=web,
    )
    print(written)
    if failures:
        images = "1 image" if failures == 1 else f"{failures} images"
        raise BlemishError(f"{images} could not be judged; {written} says why, as 'error'.")


@app.command(name="add-class")
def add_class(  # noqa: PLR0913, PLR0917 - an option each
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    name: Annotated[str, typer.Option("--name", help="Of the new class.")],
    examples: Annotated[
        Path,
        typer.Option(
            "--examples", metavar="DATA", help="1 to 10 boxed examples: all boxes, or those called NAME."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The new bundle; its report goes to OUT-report.")],
    check: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--check", metavar="DATA", help="Images of the older classes, measured before and after."
        ),
    ] = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Train shortly instead, on --check's training images as well.")
    ] = False,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the short training; may be repeated."),
    ] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda")] = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Add a defect class to BUNDLE from a few boxed examples, without training, in seconds."""
    from blemish.cli.add_class import Order
    from blemish.cli.add_class import add_class as written

    set_threads(threads)
    order = Order(
        bundle, name, examples, out, check, fine_tune, assignments=settings or [], seed=seed, device=device
    )
    print(written(order, quiet=quiet))


@app.command()
def export(  # noqa: PLR0913, PLR0917 - an option each
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    to: Annotated[Literal["onnx", "openvino"], typer.Option("--to", help="What it will be run by.")],
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option("--precision", help="fp16: half the size; int8: faster, calibrated on --data."),
    ] = "fp32",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", help="The new bundle; otherwise BUNDLE-onnx, BUNDLE-openvino-int8, …"),
    ] = None,
    tile: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--tile", min=1, metavar="N", help="Cut images to N and fix it: fastest; no smaller ones."
        ),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--data", help="Dataset that both sides are compared on; for int8 needed."),
    ] = None,
    calibration: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--calibration", min=1, metavar="N", help="Of int8: inputs of each graph; else 100."),
    ] = None,
    max_drop: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--max-drop", min=0, max=1, help="Of int8: what it may cost on validation images; else 0.01."
        ),
    ] = None,
    seed: Seed = 0,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Write BUNDLE so that it runs without torch, once it has given the same answers; with a certificate."""
    refuse_without("torch", "blemish export")
    from blemish.cli.export import Order
    from blemish.cli.export import export as written

    set_threads(threads)
    order = Order(
        bundle,
        to,
        precision,
        out,
        tile,
        data,
        calibration=calibration,
        max_drop=max_drop,
        seed=seed,
    )
    print(written(order, quiet=quiet))


@app.command()
def embed(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for embeddings.csv, .npz and .png.")],
    split: Annotated[Split, typer.Option("--split")] = "test",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda")] = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Show which classes overlap in BUNDLE's metric space: a table, a picture, and a sentence a pair."""
    from blemish.cli.embed import embed_regions

    set_threads(threads)
    picture, sentences = embed_regions(bundle, data, out, split=split, device=device, quiet=quiet)
    print("\n".join((str(picture), *sentences)))


@app.command()
def reproduce(  # noqa: PLR0913, PLR0917 - an option each
    name: Annotated[str, typer.Argument(metavar="NAME", help="A file of experiments/, without .yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that the rows are kept in.")],
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--data", help="The datasets' folder, or a dataset of your own."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1)] = 3,
    common: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--common", metavar="A,B", help="Instead of the table's."),
    ] = None,
    rare: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--rare", metavar="C,D", help="Instead of the table's."),
    ] = None,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--target", metavar="A,B", help="Instead of the table's products."),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Fill a table of a paper row by row, ours beside theirs; rows that are there are kept."""
    refuse_without("torch", "blemish reproduce")
    from blemish.reproduce.table import fill_table

    set_threads(threads)
    groups = {"common": common, "rare": rare, "target": target}
    print(fill_table(name, out, data=data, seeds=seeds, quiet=quiet, **groups))


@app.command()
def results(
    folder: Annotated[
        Path, typer.Option("--from", metavar="FOLDER", help="What `reproduce` was given as --out.")
    ] = Path("experiments/results"),
    out: Annotated[Path, typer.Option("--out", help="The page to write.")] = Path("experiments/RESULTS.md"),
) -> None:
    """Write every table that `reproduce` filled, and what became of its goals, on one page."""
    from blemish.reproduce.overview import write_overview

    print(write_overview(folder, out))
