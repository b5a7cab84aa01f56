"""The commands that make bundles: `train`, `add-class`, `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer

from blemish.cli.console import say
from blemish.cli.options import (
    METHODS,
    BundleFolder,
    Device,
    Quiet,
    Scale,
    Seed,
    SkipBroken,
    Threads,
    beginning,
)
from blemish.cli.outcome import command_line
from blemish.errors import BlemishError, WrongUseError
from blemish.optional_dependencies import require_package
from blemish.threads import set_threads


def setting_keys(context: typer.Context, incomplete: str) -> list[str]:
    """Keys of the method's settings that complete a --set."""
    from blemish.methods import find_method

    words = context.params.get("method"), *context.args  # in which it is while --set has no value
    method = next((word for word in words if word in METHODS), None)
    if method is None or "=" in incomplete:
        return []
    return [f"{key}=" for key in find_method(method).settings_type.model_fields if key.startswith(incomplete)]


def train(  # noqa: PLR0913, PLR0917 - an option each
    out: Annotated[Path, typer.Option("--out", help="Run folder; the bundle is written to RUN/bundle.")],
    method: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="METHOD",
            help=f"One of {', '.join(METHODS)}; or auto, the one that `blemish recommend` names.",
            autocompletion=beginning(["auto", *METHODS]),
        ),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--data", help="Dataset: a folder, or a dataset.yaml."),
    ] = None,
    config: Annotated[Optional[Path], typer.Option("--config", help="YAML file of settings.")] = None,  # noqa: UP045
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Setting of the method, see `blemish methods show METHOD`; may be repeated.",
            autocompletion=setting_keys,
        ),
    ] = None,
    preset: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--preset",
            metavar="NAME",
            help="quick (5 minutes), default (15), thorough (2 hours), or paper, as long as it takes; on a "
            "GPU about a fifth. Short for --set preset=NAME.",
            autocompletion=beginning(["quick", "default", "thorough", "paper"]),
        ),
    ] = None,
    time_budget: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--time-budget",
            metavar="TIME",
            help="Time that training may take, such as 15m or 1h30m: it plans its steps to fit. Default: the "
            "preset's.",
        ),
    ] = None,
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--seed", min=0, help="Seed of every random draw; default 0."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run in --out; it knows its method, data, settings and seed."
        ),
    ] = False,
    initial_bundle: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", metavar="BUNDLE", help="Start from this bundle, with its settings."),
    ] = None,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--target", metavar="NAME", help="Product to learn; short for --set target=NAME."),
    ] = None,
    shots: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--shots", min=1, metavar="K", help="Number of images to learn from; short for --set shots=K."
        ),
    ] = None,
    mm_per_px: Scale = None,
    skip_broken: SkipBroken = False,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Train METHOD on the dataset's train and val splits."""
    require_package("torch", "blemish train")
    from blemish.workflows.scale import checked_scale
    from blemish.workflows.train import train_bundle

    options = {"preset": preset, "target": target, "shots": shots, "mm_per_px": checked_scale(mm_per_px)}
    bundle = train_bundle(
        method,
        data,
        out,
        settings=parsed_settings(settings),
        config=config,
        options={name: value for name, value in options.items() if value is not None},
        seed=seed,
        resume=resume,
        initial_bundle=initial_bundle,
        time_budget=time_budget,
        threads=threads,
        skip_broken=skip_broken,
        quiet=quiet,
    )
    say(bundle)


def add_class(  # noqa: PLR0913, PLR0917 - an option each
    bundle: BundleFolder,
    name: Annotated[str, typer.Option("--name", help="Name of the new class.")],
    examples: Annotated[
        Path,
        typer.Option(
            "--examples",
            metavar="DATA",
            help="Images with 1 to 10 boxes: all of them, or those of class NAME.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The new bundle; its report goes to OUT-report.")],
    check: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--check", metavar="DATA", help="Images of the existing classes, measured before and after."
        ),
    ] = None,
    fine_tune: Annotated[
        bool,
        typer.Option("--fine-tune", help="Train briefly instead, also on the training images of --check."),
    ] = False,
    no_training: Annotated[
        bool,
        typer.Option("--no-training", help="Leave out the tuning on all regions of the examples' images."),
    ] = False,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--set", metavar="KEY=VALUE", help="With --fine-tune: setting of the training; may be repeated."
        ),
    ] = None,
    good: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--good", metavar="FOLDER", help="Images of good parts, which do not show the class."),
    ] = None,
    negative: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--negative", metavar="DATA", help="Images with boxes where the class was found by mistake."
        ),
    ] = None,
    alarms: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--alarms",
            metavar="NUMBER",
            help="False findings of the class on an image, on average, that its threshold lets pass; "
            "0.1 unless given.",
        ),
    ] = None,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Add a defect class to BUNDLE from a few boxed examples, in seconds; the other classes stay as they are.

    A class that was added so takes more examples, under its name.
    """
    from blemish.workflows import add_class as workflow

    set_threads(threads)
    request = workflow.AddClassRequest(
        bundle,
        name,
        examples,
        out,
        check,
        fine_tune,
        settings=parsed_settings(settings),
        seed=seed,
        device=device,
        skip_broken=skip_broken,
        command=command_line(),
        good=good,
        negative=negative,
        tune=not no_training,
        alarms=alarms,
    )
    say(workflow.add_class(request, quiet=quiet))


def remove_class(
    bundle: BundleFolder,
    name: Annotated[str, typer.Option("--name", help="Class to remove; add-class added it.")],
    out: Annotated[Path, typer.Option("--out", help="The new bundle.")],
    quiet: Quiet = False,
) -> None:
    """Remove a class that add-class added to BUNDLE; the others are as before."""
    from blemish.workflows.edit_classes import remove_class as remove

    say(remove(bundle, name, out, quiet=quiet))


def rename_class(
    bundle: BundleFolder,
    name: Annotated[str, typer.Option("--name", help="Class to rename.")],
    new: Annotated[str, typer.Option("--to", metavar="NEW", help="Its new name.")],
    out: Annotated[Path, typer.Option("--out", help="The new bundle.")],
    quiet: Quiet = False,
) -> None:
    """Rename a class of BUNDLE; what it finds stays the same."""
    from blemish.workflows.edit_classes import rename_class as rename

    say(rename(bundle, name, new, out, quiet=quiet))


def export(  # noqa: PLR0913, PLR0917 - an option each
    bundle: BundleFolder,
    to: Annotated[Literal["onnx", "openvino"], typer.Option("--to", help="Runtime to export for.")],
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option("--precision", help="fp16 halves the size; int8 is faster and is calibrated on --data."),
    ] = "fp32",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", help="The new bundle; default BUNDLE-onnx, BUNDLE-openvino-int8, …"),
    ] = None,
    tile: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--tile",
            min=1,
            metavar="N",
            help="Fix the tiles at N × N pixels: fastest, but smaller images are refused.",
        ),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--data", help="Dataset to compare both bundles on; required for int8."),
    ] = None,
    calibration: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            "--calibration",
            min=1,
            metavar="N",
            help="With int8: number of inputs to each graph; default 100.",
        ),
    ] = None,
    max_drop: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--max-drop", min=0, max=1, help="With int8: largest loss on the validation images; default 0.01."
        ),
    ] = None,
    skip_broken: SkipBroken = False,
    seed: Seed = 0,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Export BUNDLE to run without torch, with a certificate that it gives the same answers."""
    require_package("torch", "blemish export")
    from blemish.workflows import export as workflow

    set_threads(threads)
    exported = workflow.export(
        bundle,
        to,
        precision=precision,
        out=out,
        tile=tile,
        data=data,
        calibration=calibration,
        max_drop=max_drop,
        seed=seed,
        skip_broken=skip_broken,
        quiet=quiet,
    )
    say(exported)


def parsed_settings(assignments: list[str] | None) -> dict[str, Any]:
    """Values of --set by key, read as YAML. Raises WrongUseError for what is not KEY=VALUE."""
    from blemish.untrusted import parse_yaml

    values = {}
    for assignment in assignments or ():
        key, equals, value = assignment.partition("=")
        if not equals:
            raise WrongUseError(f"--set must be KEY=VALUE. Received: '{assignment}'.")
        try:
            values[key.strip()] = parse_yaml(value, "--set")
        except BlemishError as error:
            raise WrongUseError(
                f"--set {key}: '{value}' is not YAML. Use KEY=3, KEY=true or KEY=word."
            ) from error
    return values
