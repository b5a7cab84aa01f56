"""Rows of the few-shot protocol: train with one support draw, or enrol it; measure both groups of classes.

Source: TL-SDD section IV and the protocol in its README. Base training does not see the draw, so it is done
once, with seed 0, and every draw of every table that asks for the same base starts from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables.bases import Trained, base_name, shared_base
from benchmarks.tables.enrolling import enrol_all
from benchmarks.tables.experiment import Classes, Row
from benchmarks.tables.place import Table
from benchmarks.tables.trained import method_settings, timed_training
from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.support_sets import SupportSet, parsed, sample_support_set, save_support_set
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator, mean_seconds
from blemish.evaluation.fewshot import few_shot_metrics, group_mean, paper_threshold, ranked_detections
from blemish.evaluation.records import ImageRecord
from blemish.evaluation.run import evaluate_samples
from blemish.inspector.loading import inspector_of
from blemish.methods import find_method
from blemish.training.request import Request

# Settings that base training does not follow, or that say the same as others (preset and variant).
NOT_OF_BASE = (
    "preset", "variant", "rare", "draw_seed", "draw_file", "fine_steps", "fine_rate", "fine_common", "frozen",
    "device", "checkpoint_every", "ng_rule", "review_rule", "mm_per_px", "threshold", "nms", "score_floor",
    "detections", "proposals_test",
)  # fmt: skip


def few_shot_row(table: Table, row: Row, seed: int) -> dict[str, Any]:
    """The figures of one row for the support draw of a seed, on the test images."""
    classes = resolved_classes(table)
    file, draw = support_draw(table, row, classes, seed)
    if row.kind == "enrolled":
        trained = enrolled(table, row, classes, draw, seed)
    else:
        trained = fitted(table, row, classes, file, seed)
    return {
        **measured(table, trained.bundle, classes),
        "draw": about(draw, file),
        "doctor": trained.bundle.manifest.curves.get("doctor", {}).get("after", {}),
        "seconds_training": trained.seconds,
        "seconds_base": trained.base_seconds,
    }


def few_shot_settings(table: Table, row: Row) -> dict[str, Any]:
    """Every setting behind the row's figures: the method's, and those that its base has instead."""
    assert table.experiment.classes is not None
    groups = table.experiment.classes.model_dump()
    own = method_settings(table, row, groups).model_dump(mode="json")
    return {**own, **{f"base.{key}": value for key, value in row.base.items()}}


def resolved_classes(table: Table) -> Classes:
    """The table's groups; where no common ones are named, all that are not rare."""
    classes = table.experiment.classes
    assert classes is not None
    others = tuple(name for name in table.dataset.class_names if name not in classes.rare)
    return Classes(common=classes.common or others, rare=classes.rare)


# Support draws


def support_draw(table: Table, row: Row, classes: Classes, seed: int) -> tuple[Path, SupportSet]:
    """The file that names the boxes of a draw, made when it is not there, and what it says."""
    return draw_of(table, classes, method_settings(table, row, classes.model_dump()).shots, seed)


def draw_of(table: Table, classes: Classes, shots: int, seed: int) -> tuple[Path, SupportSet]:
    """The same by the number of boxes of each class."""
    name = table.experiment.draws or table.name
    file = table.draws_folder / f"{name}-shots{shots}-seed{seed}.json"
    if not file.is_file():
        names = (*classes.common, *classes.rare)
        save_support_set(
            sample_support_set(table.dataset, names, shots, seed, data_fingerprint=table.fingerprint), file
        )
    return file, parsed(file)


def about(draw: SupportSet, file: Path) -> dict[str, Any]:
    """What a result says of its draw."""
    return {"file": file.name, "digest": draw.digest, "shots": draw.shots, "notes": list(draw.notes)}


# Training


def fitted(table: Table, row: Row, classes: Classes, draw_file: Path, seed: int) -> Trained:
    """The row's bundle for one draw: in two phases from the shared base, or jointly."""
    also = {**classes.model_dump(), "draw_file": as_seen_from_here(draw_file)}
    settings = method_settings(table, row, also, expand=True)
    base = base_of(table, row, classes) if settings.two_phase else None
    request = request_of(
        table, settings, table.run_folder(row, seed), seed, start=base.bundle if base else None
    )
    bundle, seconds = timed_training(request, table.reporter)
    return Trained(bundle, seconds, base.seconds if base else 0.0)


def as_seen_from_here(file: Path) -> str:
    """Relative to the current folder where it lies in it, so that no bundle holds its owner's folders."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def enrolled(table: Table, row: Row, classes: Classes, draw: SupportSet, seed: int) -> Trained:
    """The row's base with the rare classes added."""
    base = base_of(table, row, classes)
    path = table.run_folder(row, seed) / "bundle"
    bundle, seconds = enrol_all(base.bundle, table.dataset, draw, classes.rare, path)
    return Trained(bundle, seconds, base.seconds)


def base_of(table: Table, row: Row, classes: Classes) -> Trained:
    """The bundle of the common classes that the row starts from, trained on first use."""
    groups = {"common": classes.common, "rare": ()}
    wanted = method_settings(table, row, {**row.base, **groups})
    name = base_name(wanted.model_dump(mode="json"), table.fingerprint, ignored=NOT_OF_BASE)
    settings = method_settings(table, row, {**row.base, **groups}, expand=True)
    return shared_base(table, name, settings, table.dataset, row=row.name)


def request_of(table: Table, settings: Any, run: Path, seed: int, *, start: Bundle | None = None) -> Request:
    method = find_method(table.experiment.method)
    origin = table.experiment.dataset or "synthetic"
    return Request(
        method, table.dataset, settings, run, seed=seed, resume=True, origin=origin, initial_bundle=start
    )


# Measuring


def measured(table: Table, bundle: Bundle, classes: Classes) -> dict[str, Any]:
    """Figures on the test images; the threshold of the paper's AP is from validation images."""
    names = (*classes.common, *classes.rare)
    validated = inspected(table, bundle, "val", names).records
    records = inspected(table, bundle, "test", names).records
    return {**group_figures(table, validated, records, classes), "seconds_per_image": mean_seconds(records)}


def group_figures(
    table: Table, validated: Sequence[ImageRecord], records: Sequence[ImageRecord], classes: Classes
) -> dict[str, Any]:
    """Figures of both groups of classes. validated, records: of validation and of test images"""
    names = (*classes.common, *classes.rare)
    threshold = paper_threshold([ranked_detections(validated, name) for name in names])
    figures = few_shot_metrics(records, names, common=classes.common, rare=classes.rare, threshold=threshold)
    if figures is None:
        raise BlemishError(
            f"table {table.name}: the test images must have boxes of its classes. Received: none. "
            "Name other classes."
        )
    return {
        "images": len(records),
        "few_shot": {**figures, "map50": group_mean(figures["ap50"], names)},
    }


def inspected(table: Table, bundle: Bundle, split: str, names: Sequence[str]) -> Evaluator:
    """The bundle on a split's images that show no other classes."""
    chosen = listed(table.dataset.split(split), names)
    inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
    return evaluate_samples(inspector, chosen, table.reporter, title=f"inspecting {split} images")


def listed(dataset: Dataset, names: Sequence[str]) -> Dataset:
    return dataset.where(lambda sample: {one.label for one in sample.annotations} <= set(names))
