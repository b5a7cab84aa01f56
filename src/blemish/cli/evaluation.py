"""The command `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Optional

import typer

from blemish.api import Split
from blemish.cli.console import say
from blemish.cli.options import Device, NoInputCheck, Quiet, Scale, SkipBroken, Then, Threads
from blemish.cli.outcome import command_line
from blemish.errors import WrongUseError
from blemish.threads import set_threads


def evaluate(  # noqa: PLR0913, PLR0917 - an option each
    data: Annotated[Path, typer.Option("--data", help="Dataset: a folder, or a dataset.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for metrics.json and report.html.")],
    bundle: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="BUNDLE", show_default=False, help="Folder of a bundle, such as run/bundle."),
    ] = None,
    predictions: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--predictions",
            metavar="FILE",
            help="Any tool's answers, instead of a bundle: COCO results (.json), inspections (.jsonl), "
            "image,score (.csv), or a folder of maps (.png, .npy) named like the images.",
        ),
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="Split to measure.")] = "test",
    threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--threshold",
            min=0,
            max=1,
            help="With --predictions: score from which an image is NG, and a box or pixel a defect. "
            "Default: chosen on the val images where FILE covers them, else 0.5.",
        ),
    ] = None,
    rule: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--rule",
            help="With --predictions: rule for choosing the threshold on val images, such as escape<=0.01.",
        ),
    ] = None,
    missing: Annotated[
        Optional[Literal["none-found"]],  # noqa: UP045
        typer.Option(
            "--missing", help="With --predictions: an image without one counts as an image without findings."
        ),
    ] = None,
    then: Then = None,
    skip_broken: SkipBroken = False,
    mm_per_px: Scale = None,
    no_input_check: NoInputCheck = False,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Measure BUNDLE, a chain of bundles, or any tool's predictions; write metrics.json and report.html."""
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    scale = checked_scale(mm_per_px)
    options = {"--threshold": threshold, "--rule": rule, "--missing": missing}
    refuse_mixed(
        bundle,
        predictions,
        only_with_predictions=options,
        only_with_bundle={
            "--mm-per-px": mm_per_px,
            "--then": then,
            "--no-input-check": no_input_check or None,
        },
    )
    if bundle is not None:
        from blemish.workflows.evaluate import evaluate_bundles

        bundles = (bundle, *(then or ()))
        result = evaluate_bundles(
            bundles,
            data,
            out,
            split=split,
            command=command_line(),
            mm_per_px=scale,
            device=device,
            input_check=not no_input_check,
            skip_broken=skip_broken,
            quiet=quiet,
        )
        say(*result.figures, result.report)
    elif predictions is not None:
        from blemish.evaluation.predictions import Judgement
        from blemish.workflows.evaluate_predictions import evaluate_file

        judgement = Judgement(threshold, rule, none_found=missing is not None)
        command = command_line()
        result = evaluate_file(
            predictions,
            data,
            out,
            split=split,
            judgement=judgement,
            command=command,
            skip_broken=skip_broken,
            quiet=quiet,
        )
        say(*result.figures, result.report)


def refuse_mixed(
    bundle: Path | None,
    predictions: Path | None,
    *,
    only_with_predictions: Mapping[str, object],
    only_with_bundle: Mapping[str, object],
) -> None:
    """Raise WrongUseError for both or neither, and for options of the one beside the other.

    only_with_predictions, only_with_bundle: option to its value, None where it was not given
    """
    if bundle is not None and predictions is not None:
        raise WrongUseError(
            f"evaluate measures BUNDLE or --predictions. Received: {bundle} and {predictions}. Leave one out."
        )
    if bundle is None and predictions is None:
        raise WrongUseError("evaluate needs BUNDLE or --predictions FILE. Received: neither. Give one.")
    of_bundle = [name for name, value in only_with_bundle.items() if value is not None]
    if bundle is None and of_bundle:
        raise WrongUseError(f"{of_bundle[0]} goes with BUNDLE. Received: --predictions. Leave it out.")
    of_predictions = [name for name, value in only_with_predictions.items() if value is not None]
    if bundle is not None and of_predictions:
        raise WrongUseError(
            f"{of_predictions[0]} goes with --predictions, as a bundle has its own thresholds. "
            f"Received: {bundle}. Leave it out."
        )
    if {"--threshold", "--rule"} <= set(of_predictions):
        raise WrongUseError("--threshold and --rule exclude each other. Received: both. Leave one out.")
