"""`blemish data …`: synthetic sets, checks, splits, conversion, scale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from blemish.cli.console import say
from blemish.cli.options import Seed, SkipBroken, beginning
from blemish.cli.stopping import App
from blemish.cli.texts import print_agreement, print_check, print_counts, print_products, print_scale
from blemish.errors import BlemishError, WrongUseError

app = App(
    help="Make, check, split and convert datasets; measure the scale of a camera.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path, typer.Argument(metavar="DATA", help="Dataset: a folder, or a dataset.yaml.")]
TARGETS = ("coco", "coco-rle", "labelme", "masks", "voc", "yolo", "yolo-seg")  # convert.WRITERS, not imported
Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")]


@app.command()
def synth(  # noqa: PLR0913, PLR0917 - an option each
    out: Out,
    surface: Annotated[
        list[str] | None,
        typer.Option(
            "--surface", help="Texture, or `part` for one part in different positions; may be repeated."
        ),
    ] = None,
    images: Annotated[int, typer.Option("--images", min=1, help="Number of images.")] = 100,
    size: Annotated[
        str, typer.Option("--size", metavar="HEIGHTxWIDTH", help="Size of the images, in pixels.")
    ] = "512x512",
    weight: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--weight", metavar="CLASS=NUMBER", help="How often a defect class is drawn; may be repeated."
        ),
    ] = None,
    pairing: Annotated[
        Literal["free", "dagm"], typer.Option("--pairing", help="dagm: one defect class for each texture.")
    ] = "free",
    defect_scale: Annotated[
        float,
        typer.Option("--defect-scale", help="Size of the defects, relative to their usual size."),
    ] = 1.0,
    turn: Annotated[
        float,
        typer.Option("--turn", metavar="DEGREES", help="Largest rotation of a part, in either direction."),
    ] = 180.0,
    seed: Seed = 0,
) -> None:
    """Draw a synthetic set: surfaces with defects of known class, outline and contrast."""
    from blemish.dataset.synthetic import synthesise

    dataset = synthesise(
        out,
        surfaces=surface,
        images=images,
        seed=seed,
        size=parse_size(size),
        class_weights=parse_weights(weight) if weight else None,
        pairing=pairing,
        defect_scale=defect_scale,
        turn=turn,
    )
    print_counts(dataset)


@app.command()
def tasks(
    out: Out,
    data: Annotated[
        Path,
        typer.Option(
            "--from",
            metavar="SETS",
            help="Folder of public sets, each under its name: bc-defects, magnetic-tile, neu-det, "
            "deeppcb, crackforest, dagm-thumbs. Missing sets are left out.",
        ),
    ],
    only: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--only", metavar="A,B", help="Only these products, or all products of these sets."),
    ] = None,
    size: Annotated[
        int,
        typer.Option(
            "--size", min=64, help="Side of the drawn images in pixels; photographs keep their size."
        ),
    ] = 256,
    seed: Seed = 0,
) -> None:
    """Make a collection of products from public sets, each with normal and defective images and splits."""
    from blemish.dataset.product_sets.collect import collect_products
    from blemish.progress import Reporter

    names = tuple(name.strip() for name in only.split(",")) if only else ()
    reporter = Reporter()
    collected = collect_products(out, data, only=names, size=size, seed=seed, on_product=reporter.line)
    print_products(out, collected)


@app.command()
def check(
    data: Folder,
    skip_broken: SkipBroken = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 where there is a warning, too.")
    ] = False,
    json_out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--json", help="Also write the findings to this file."),
    ] = None,
) -> None:
    """Report counts, imbalance, broken files and leaks between splits, and what became of every file.

    Exit code 1: the data cannot be used.
    """
    import json

    from blemish.dataset.account import number
    from blemish.dataset.layouts import load_dataset
    from blemish.dataset.quality.check import check_dataset
    from blemish.dataset.quality.problems import ERROR, WARNING
    from blemish.files import write_atomically
    from blemish.workflows.recommend import first_choice

    dataset = load_dataset(data, skip_broken=True)
    report = check_dataset(
        dataset,
        skipped=WARNING if skip_broken else ERROR,
        skip_broken=skip_broken,
    )
    print_check(report)
    if report.usable and (choice := first_choice(dataset)):
        say(f"method: {choice.method}, {choice.reason}; `blemish recommend {data}` says more")
    if json_out:
        write_atomically(json_out, json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n")
    if not report.usable:
        errors = number(sum(problem.severity == "error" for problem in report.problems), "error")
        raise BlemishError(f"{data} cannot be used as it is: {errors}, listed above.")
    if strict and report.problems:
        raise BlemishError(
            f"{data} must give no warning with --strict. Received: {len(report.problems)}, listed above."
        )


@app.command()
def describe(
    data: Folder,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="FILE", help="Write it there, or to dataset.yaml in a folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
) -> None:
    """Print a dataset.yaml for DATA: every key with its meaning, and those that hold filled in."""
    from blemish.dataset.describe import describe as described
    from blemish.dataset.describe import write_description
    from blemish.dataset.opening import open_dataset

    dataset = open_dataset(data)
    if out is None:
        say(*described(dataset).splitlines())
    else:
        say(write_description(dataset, out, force=force))


@app.command("layouts")
def list_layouts() -> None:
    """List the layouts that are read, each with the files that tell it; docs/layouts.md shows them."""
    from textwrap import fill

    from blemish.dataset.layouts import LAYOUTS
    from blemish.dataset.layouts.tool_table import TOOLS

    width = max(map(len, LAYOUTS))
    for name, module in LAYOUTS.items():
        print(f"{name:{width}}  {module.detect.__doc__}")
    print("Which is read is found by the files, or named by 'layout:' in dataset.yaml.")
    others = dict.fromkeys(tool.name for tool in TOOLS if tool.advice)
    print(fill(f"Named, with what to export instead: {', '.join(others)}.", 100))


@app.command()
def agree(
    annotators: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA_A DATA_B",
            help="Two or three label sets of the same images; the last may be an inspections.jsonl.",
        ),
    ],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", help="Folder for agreement.json and report.html."),
    ] = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Measure how well annotators agree: Cohen's kappa, confusion, overlap, and images on which they differ.

    Two label sets by the same person show how repeatable the labels are.
    """
    from blemish.workflows.annotator_agreement import compare_annotators

    if not 2 <= len(annotators) <= 3:
        raise WrongUseError(
            f"agree takes two or three label sets. Received: {len(annotators)}. Name DATA_A DATA_B."
        )
    result = compare_annotators(annotators, out, skip_broken=skip_broken)
    for study in result.studies:
        print_agreement(study)
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if result.report is not None:
        say(result.report)


@app.command()
def convert(
    data: Folder,
    out: Out,
    to: Annotated[
        str,
        typer.Option("--to", help=f"{', '.join(TARGETS)}.", autocompletion=beginning(TARGETS)),
    ],
    skip_broken: Annotated[
        bool,
        typer.Option(
            "--skip-broken",
            help="Leave out faulty images and annotations, with a warning instead of an error.",
        ),
    ] = False,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Also copy images behind links that lead out of the dataset."),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with code 1, and write nothing, where anything is lost or changed."
        ),
    ] = False,
) -> None:
    """Write the dataset in another layout, and warn about what that layout cannot hold.

    What is written passes `data check`: faulty annotations are refused, and outlines and boxes that reach
    over the edge are cut to their image.
    """
    from blemish.dataset.convert import convert as convert_dataset
    from blemish.dataset.layouts import load_dataset
    from blemish.dataset.opening import open_dataset

    # Conversion itself leaves out single annotations, and keeps the rest of their image.
    dataset = load_dataset(data, skip_broken=True) if skip_broken else open_dataset(data)
    conversion = convert_dataset(
        dataset, out, to, skip_broken=skip_broken, follow_links=follow_links, strict=strict
    )
    say(f"{out}: {conversion.images} images, {conversion.annotations} annotations as {to}")
    say(f"account: {conversion.line()}")
    for warning in conversion.warnings:
        say(f"warning: {warning}")


@app.command()
def split(  # noqa: PLR0913, PLR0917 - an option each
    data: Folder,
    out: Out,
    test: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option("--test", help="Share of all images, for test; 0.3 where it is not given."),
    ] = None,
    val: Annotated[float, typer.Option("--val", help="Share of the remaining images, for val.")] = 0.2,
    folds: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--folds",
            min=2,
            help="Cross-validation: so many splits, OUT/fold-1 and so on. Each image is in test once.",
        ),
    ] = None,
    by: Annotated[
        Literal["content", "group", "similarity", "looks"],
        typer.Option(
            "--by",
            metavar="content|group|similarity",
            help="Images to keep together: identical ones (content), those of one lot or part (group), "
            "or nearly identical ones (similarity).",
        ),
    ] = "content",
    shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--shots", min=1, help="Keep this many training images of each class."),
    ] = None,
    skip_broken: SkipBroken = False,
    seed: Seed = 0,
) -> None:
    """Split into train, val and test: write lists of paths to OUT; the images stay where they are."""
    from blemish.dataset.splits.folds import folds_of, units_of, write_folds
    from blemish.dataset.splits.split import split_dataset, write_splits
    from blemish.progress import Reporter
    from blemish.workflows.reading import read_dataset

    if folds is not None and (test is not None or shots is not None):
        other = "--test" if test is not None else "--shots"
        raise WrongUseError(f"--folds is given without {other}. Received: both. Leave one of them out.")
    dataset = read_dataset(data, Reporter(), skip_broken=skip_broken)
    if folds is not None:
        cuts = folds_of(dataset, folds, val=val, units=units_of(dataset, by), seed=seed)
        for folder, cut in zip(write_folds(cuts, out), cuts, strict=True):
            say(f"{folder}:")
            print_counts(cut)
        return
    cut = split_dataset(dataset, test=0.3 if test is None else test, val=val, by=by, shots=shots, seed=seed)
    write_splits(cut, out)
    print_counts(cut)


@app.command()
def scale(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image of a flat target.")],
    columns: Annotated[
        int, typer.Option("--columns", min=3, help="Columns of dots, or of corners where four squares meet.")
    ],
    rows: Annotated[int, typer.Option("--rows", min=3, help="Rows of dots or corners.")],
    pitch_mm: Annotated[
        float,
        typer.Option("--pitch-mm", metavar="X", help="Distance from one dot or corner to the next, in mm."),
    ],
    pattern: Annotated[
        Literal["checkerboard", "dots"], typer.Option("--pattern", help="What the target shows.")
    ] = "checkerboard",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="FILE", help="Also write the figures to this JSON file."),
    ] = None,
) -> None:
    """Measure the scale of a camera, mm per pixel, from an image of a flat target."""
    import json
    from dataclasses import asdict

    from blemish.files import write_atomically
    from blemish.workflows.scale import measure_scale_of

    found = measure_scale_of(image, pattern, columns=columns, rows=rows, pitch_mm=pitch_mm)
    print_scale(found)
    if out is not None:
        write_atomically(out, json.dumps(asdict(found), indent=1) + "\n")


def parse_size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise WrongUseError(
            f"--size must be HEIGHTxWIDTH in pixels. Received: '{text}'. Use 512x512, for example."
        )
    return int(height), int(width)


def parse_weights(assignments: list[str]) -> dict[str, float]:
    weights = {}
    for assignment in assignments:
        name, _, number = assignment.partition("=")
        try:
            weights[name] = float(number)
        except ValueError as error:
            raise WrongUseError(f"--weight must be CLASS=NUMBER. Received: '{assignment}'.") from error
    return weights
