"""The command `decide`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from blemish.api import Split
from blemish.cli.console import say
from blemish.cli.options import BundleFolder, Device, Quiet, Scale, SkipBroken, Threads
from blemish.threads import set_threads


def decide(  # noqa: PLR0913, PLR0917 - an option each
    bundle: BundleFolder,
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="CALIB", help="Calibration images; the bundle was trained on none of them."
        ),
    ],
    escape: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--escape",
            metavar="SHARE",
            help="Share of defective images that may stay below the NG threshold, such as 0.01; "
            "they go to a person.",
        ),
    ] = None,
    overkill: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            "--overkill",
            metavar="SHARE",
            help="Share of clean images that may be rejected. With --escape, that one's share may pass.",
        ),
    ] = None,
    cost: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--cost",
            metavar="escape=100,overkill=1",
            help="Minimise this cost; each number is the cost of one image.",
        ),
    ] = None,
    rule: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--rule", metavar="TEXT", help="Any rule that the setting ng_rule takes, such as f1."),
    ] = None,
    review: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--review",
            metavar="RULE",
            help="Rule of the REVIEW threshold; by default, the more images, the narrower the band.",
        ),
    ] = None,
    split: Annotated[
        Optional[Split],  # noqa: UP045
        typer.Option("--split", help="Default val, or all where CALIB has no val; test is refused."),
    ] = None,
    limit: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--limit",
            metavar="[CLASS:]MEASURE=NUMBER[mm|px]:LEVEL",
            help="Size or severity from which one defect makes the image REVIEW or NG, "
            "such as crack:length=3mm:ng.",
        ),
    ] = None,
    ignore: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--ignore",
            metavar="[CLASS:]MEASURE=NUMBER[mm|px]",
            help="Ignore defects below this, such as length=0.2mm.",
        ),
    ] = None,
    grade: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--grade",
            metavar="[CLASS:]MEASURE=NUMBER[mm|px]:GRADE",
            help="Size or severity from which the part is rework or scrap, such as severity=8:scrap.",
        ),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", metavar="FILE", help="File to write instead of the bundle's decision.yaml."),
    ] = None,
    skip_broken: SkipBroken = False,
    mm_per_px: Scale = None,
    device: Device = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Choose BUNDLE's thresholds on calibration images, with limits and grades, and write decision.yaml.

    --limit, --ignore and --grade may be repeated; without them the previous revision's rules are kept,
    and "none" removes them. MEASURE is severity, area, length or width.
    """
    from blemish.workflows import decide as workflow
    from blemish.workflows.decide_rules import chosen_rules, parsed_grades, parsed_limits, parsed_minimums
    from blemish.workflows.scale import checked_scale

    set_threads(threads)
    rules = chosen_rules(escape=escape, overkill=overkill, cost=cost, rule=rule, review=review)
    request = workflow.DecideRequest(
        bundle,
        data,
        rules,
        split=split,
        limits=parsed_limits(limit),
        ignore=parsed_minimums(ignore),
        grades=parsed_grades(grade),
        out=out,
        mm_per_px=checked_scale(mm_per_px),
        device=device,
        skip_broken=skip_broken,
    )
    result = workflow.decide(request, quiet=quiet)
    say(*result.sentences, result.file)
