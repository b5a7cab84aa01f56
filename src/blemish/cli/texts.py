"""Plain text that the data commands print: tables of counts, findings, a scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.cli.console import say

if TYPE_CHECKING:
    from blemish.dataset.product_sets.collect import Collected
    from blemish.dataset.quality.check import CheckReport
    from blemish.dataset.quality.problems import Problem
    from blemish.dataset.samples import Dataset
    from blemish.evaluation.annotators.study import Study
    from blemish.images.calibration_target import Scale

SPLIT_ORDER = ("train", "val", "test", "")
MAX_OF_A_KIND = 5  # problems of a check; all are in its --json
MAX_LISTED = 10  # differences of two annotators; all are in agreement.json


def print_counts(dataset: Dataset) -> None:
    """Print the numbers of a dataset's images by split and by class."""
    say(f"{dataset.root}: {len(dataset)} images, {dataset.layout} ({dataset.reason})")
    print_table({"all images": dataset.splits, **class_splits(dataset)}, list(dataset.splits))


def class_splits(dataset: Dataset) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {name: {} for name in (*dataset.class_names, "clean")}
    for sample in dataset:
        for label in {annotation.label for annotation in sample.annotations} or {"clean"}:
            split = sample.split or ""
            rows[label][split] = rows[label].get(split, 0) + 1
    return rows


def print_products(out: Path, collected: Collected) -> None:
    """Print the products of a collection, a line each, and notes on those left out."""
    say(f"{out}: {len(collected.made)} products")
    width = max((len(made.counts.product) for made in collected.made), default=0)
    say(f"{'product':{width}}{'normal':>10}{'defective':>11}  source")
    for made in collected.made:
        counts = made.counts
        say(f"{counts.product:{width}}{counts.normal:>10}{counts.defective:>11}  {made.origin}")
    for note in collected.notes:
        say(f"note: {note}")


def print_check(report: CheckReport) -> None:
    """Print all findings of a check, the problems last, worst first."""
    say(f"{report.root}: {report.total} images, {report.layout} ({report.reason})")
    print_table({"all images": report.splits, **report.images, "clean": report.clean}, list(report.splits))
    for product in report.products:
        say(f"product {product.product}: {product.normal} normal, {product.defective} defective images")
    if report.smallest and report.largest:
        sizes = " to ".join(f"{width}×{height}" for height, width in (report.smallest, report.largest))
        say(f"sizes: {sizes}; modes: {', '.join(f'{mode} {n}' for mode, n in report.modes.items())}")
    if report.imbalance is not None:
        say(f"imbalance: {report.imbalance:.1f} images of the most frequent class for each of the rarest")
    if report.groups:
        say(f"groups: {images_of_lots(report.groups)}")
    say(f"account: {report.account.line()}")
    say(f"usable for: {uses(report)}")
    if ignored := [f"{number} {name}" for name, number in report.ignored.items() if number]:
        say(f"ignored by evaluation: {', '.join(ignored)} annotations")
    print_problems(report.problems)


def print_problems(problems: Sequence[Problem]) -> None:
    """Print problems, worst first; of many of a kind the first and how many more there are."""
    kinds: dict[tuple[bool, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.severity != "error", problem.kind), []).append(problem)
    for (_, kind), found in sorted(kinds.items(), key=lambda item: item[0][0]):
        shown = found[:MAX_OF_A_KIND] if kind else found
        for problem in shown:
            say(f"{problem.severity}: {problem.message}")
        if len(shown) < len(found):
            rest = len(found) - len(shown)
            say(f"{found[0].severity}: and {rest} more of this kind ({kind}); --json FILE lists all")
    if not problems:
        say("no problems found")


def print_scale(found: Scale) -> None:
    """Print a measured scale, how well the image fits it, and how to use it."""
    say(f"{found.mm_per_px:.6g} mm per px, from {found.points} points")
    say(f"along the image's rows {found.x:.6g}, along its columns {found.y:.6g} mm per px")
    say(f"stretched by {100 * found.anisotropy:.2f} %, points off by {found.residual_px:.3f} px (RMS)")
    say(
        f"use it as --mm-per-px {found.mm_per_px:.6g}, or as mm_per_px: {found.mm_per_px:.6g} in dataset.yaml"
    )


def print_agreement(study: Study) -> None:
    """Print the agreement of two annotators on verdicts, classes and places, and where they differ."""
    alone = f"; {study.alone} left out, as only one of the two judged them" if study.alone else ""
    say(f"{study.first} and {study.second}: {study.images} images{alone}")
    for question, level in (("good or defective", study.verdict), ("classes", study.classes)):
        kappa, agreed = level.kappa, level.kappa.agreed
        beyond = "kappa unknown, as only one answer occurs"
        if kappa.value is not None:
            beyond = f"kappa {kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f}), {kappa.word}"
        say(f"{question}: same answer on {agreed.n} of {agreed.of} (at least {agreed.lower95:.1%}); {beyond}")
    if study.places is not None:
        met = study.places.met
        say(f"places: both marked {met.n} of the {met.of} that at least one marked")
    for difference in study.differences[:MAX_LISTED]:
        say(f"differ on {difference.image.sample.id}. {difference.sentence}")
    rest = len(study.differences) - MAX_LISTED
    if rest > 0:
        say(f"and on {rest} more, see agreement.json of --out")


def images_of_lots(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Number of lots and their sizes in images, the smallest named first; --json has all."""
    from blemish.dataset.quality.check_alike import listing

    sizes = sorted((group["images"], name) for name, group in groups.items())
    shown = listing([f"{name} ({images})" for images, name in sizes], shown=6)
    return f"{len(sizes)}, of {sizes[0][0]} to {sizes[-1][0]} images: {shown}"


def uses(report: CheckReport) -> str:
    """Purposes that the annotations serve: an outline also gives a box, and either an image's label."""
    of = report.defective
    if not of:
        return good_images_alone()
    kinds = (
        ("severity and segmentation", "outlines", report.outlined),
        ("detection", "boxes or outlines", report.placed),
        ("image verdicts", "labels, boxes or outlines", of),
    )
    able = [f"{use} ({marks} on {n} of {of} defective images)" for use, marks, n in kinds if n]
    unable = [f"not for {use} (no {marks})" for use, marks, n in kinds if not n]
    return "; ".join((", ".join(able), *unable))


def good_images_alone() -> str:
    """Purposes that good images alone serve, and what else they need to be learned from."""
    from blemish.methods import learning_from_good_images, method_names

    able = learning_from_good_images()
    others = [name for name in method_names() if name not in able]
    return (
        "good images alone: `evaluate` and `decide --overkill` with a bundle that is there, for how many "
        f"good parts it rejects; training of {', '.join(able) or 'no method'} ({', '.join(others)} learn "
        "from defects: add images that show some, with masks or boxes, or in a folder bad/)"
    )


def print_table(rows: Mapping[str, Mapping[str, int]], splits: list[str]) -> None:
    """Print a line per row, with a column per split and their sum."""
    columns = [split for split in SPLIT_ORDER if split in splits]
    width = max(len(name) for name in rows)
    heads = [*(split or "no split" for split in columns), "all"]
    say(f"{'':{width}}" + "".join(f"{head:>10}" for head in heads))
    for name, counts in rows.items():
        values = [counts.get(split, 0) for split in columns]
        say(f"{name:{width}}" + "".join(f"{value:>10}" for value in (*values, sum(values))))
