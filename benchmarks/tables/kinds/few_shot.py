"""Rows of the few-shot protocol: train with one support draw, or enrol it; measure both groups of classes.

Source: TL-SDD section IV and the protocol in its README. Base training does not see the draw, so it is done
once, with seed 0, and every draw of every table that asks for the same base starts from it. Enrolling follows
TL-SDD eqs. 1 and 2, as `blemish add-class` uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures
from benchmarks.tables.schema import ClassGroups, TableRow
from benchmarks.tables.table import Table
from benchmarks.tables.training import (
    MethodKind,
    TrainedBundle,
    base_name,
    method_settings,
    shared_base,
    trained_row,
)
from blemish.bundle.store import Bundle, save_bundle
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.support_sets import SupportSet, parsed, sample_support_set, save_support_set
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator, mean_seconds
from blemish.evaluation.fewshot import few_shot_metrics, group_mean, paper_threshold, ranked_detections
from blemish.evaluation.records import ImageRecord
from blemish.evaluation.run import evaluate_samples
from blemish.images.decode import read_image
from blemish.inspector.loading import inspector_of, loaded_modules
from blemish.methods import find_method
from blemish.methods.capabilities import AddsClasses, Example
from blemish.nn.runtime import prepare_runtime

# Settings that base training does not follow, or that say the same as others (preset and variant).
NOT_OF_BASE = (
    "preset", "variant", "rare", "draw_seed", "draw_file", "fine_tune_steps", "fine_tune_learning_rate_ratio",
    "fine_tune_common", "frozen", "device", "checkpoint_every", "ng_rule", "review_rule", "mm_per_px",
    "threshold", "nms", "score_floor", "detections", "proposals_test",
)  # fmt: skip


class FewShot(MethodKind):
    """Train with the boxes of one support draw, in two phases from the shared base or jointly."""

    name = "few-shot"
    source = "draw"
    is_stage = True

    def also(self, table: Table, row: TableRow) -> dict[str, Any]:
        assert table.experiment.classes is not None
        return table.experiment.classes.model_dump()

    def measure(self, table: Table, job: RowJob) -> Figures:
        classes, seed = resolved_classes(table), job.seed or 0
        shots = method_settings(table, job.row, classes.model_dump()).shots
        file, draw = draw_of(table, classes, shots, seed)
        trained = self.trained(table, job.row, classes, file, seed)
        return {
            **measured(table, trained.bundle, classes),
            "draw": about(draw, file),
            "doctor": trained.bundle.manifest.curves.get("doctor", {}).get("after", {}),
            "seconds_training": trained.seconds,
            "seconds_base": trained.base_seconds,
        }

    def trained(
        self, table: Table, row: TableRow, classes: ClassGroups, draw_file: Path, seed: int
    ) -> TrainedBundle:
        """The row's bundle for one draw."""
        here, file = Path.cwd(), draw_file
        if file.is_relative_to(here):  # so that no bundle holds its owner's folders
            file = file.relative_to(here)
        also = {**classes.model_dump(), "draw_file": str(file)}
        settings = method_settings(table, row, also, expand=True)
        base = base_of(table, row, classes) if settings.two_phase else None
        return trained_row(table, row, settings, seed, start=base)


class Enrolled(FewShot):
    """The rare classes of a support draw added to the base without training."""

    name = "enrolled"
    is_stage = False

    def trained(
        self, table: Table, row: TableRow, classes: ClassGroups, draw_file: Path, seed: int
    ) -> TrainedBundle:
        base = base_of(table, row, classes)
        draw = parsed(draw_file)
        prepare_runtime()
        start = perf_counter()
        bundle = base.bundle
        for name in classes.rare:
            bundle = with_class(bundle, name, drawn_examples(table.dataset, draw, name))
        saved = save_bundle(table.bundle_path(row, seed), bundle.manifest, bundle.networks)
        return TrainedBundle(saved, perf_counter() - start, base.seconds)


def resolved_classes(table: Table) -> ClassGroups:
    """The table's groups; where no common ones are named, all that are not rare."""
    classes = table.experiment.classes
    assert classes is not None
    others = tuple(name for name in table.dataset.class_names if name not in classes.rare)
    return ClassGroups(common=classes.common or others, rare=classes.rare)


# Support draws


def draw_of(table: Table, classes: ClassGroups, shots: int, seed: int) -> tuple[Path, SupportSet]:
    """The file that names the boxes of a draw, made when it is not there, and the draw in it.

    shots: boxes of each class
    """
    name = table.experiment.draws or table.name
    file = table.draws_folder / f"{name}-shots{shots}-seed{seed}.json"
    if not file.is_file():
        names = (*classes.common, *classes.rare)
        save_support_set(
            sample_support_set(table.dataset, names, shots, seed, data_fingerprint=table.fingerprint), file
        )
    return file, parsed(file)


def about(draw: SupportSet, file: Path) -> dict[str, Any]:
    """Fields by which a result names its draw."""
    return {"file": file.name, "digest": draw.digest, "shots": draw.shots, "notes": list(draw.notes)}


# Bases


def base_of(table: Table, row: TableRow, classes: ClassGroups) -> TrainedBundle:
    """The bundle of the common classes that the row starts from, trained on first use."""
    groups = {"common": classes.common, "rare": ()}
    wanted = method_settings(table, row, {**row.base, **groups})
    name = base_name(
        table.experiment.method, wanted.model_dump(mode="json"), table.fingerprint, ignored=NOT_OF_BASE
    )
    settings = method_settings(table, row, {**row.base, **groups}, expand=True)
    return shared_base(table, name, settings, table.dataset, row=row.name)


def with_class(bundle: Bundle, name: str, examples: Sequence[Example]) -> Bundle:
    """The bundle, in memory, with one class more."""
    method = find_method(bundle.manifest.method)
    if not isinstance(method, AddsClasses):
        raise BlemishError(
            "kind enrolled needs a method that takes classes without training. "
            f"Received: '{method.name}'. Remove the row."
        )
    modules = loaded_modules(bundle, method)
    added = method.enrol(modules, bundle.manifest, name, examples)
    manifest = bundle.manifest.model_copy(
        update={"class_names": (*bundle.manifest.class_names, name), "memory": dict(added.memory)}
    )
    return Bundle(bundle.path, manifest, {**bundle.networks, **added.networks})


def drawn_examples(dataset: Dataset, draw: SupportSet, name: str) -> list[Example]:
    """The class's boxes in the draw, with their images."""
    wanted = set(draw.classes[name])
    holders = {id.rpartition("#")[0] for id in wanted}
    examples = []
    for sample in dataset.split("train"):
        if sample.id in holders:
            pixels = read_image(sample.image, channels=3)
            boxes = boxed_instances(sample, (pixels.shape[0], pixels.shape[1]))
            examples += [
                Example(box.id, sample.id, pixels, box.box_xyxy) for box in boxes if box.id in wanted
            ]
    return examples


# Measuring


def measured(table: Table, bundle: Bundle, classes: ClassGroups) -> dict[str, Any]:
    """Figures on the test images; the threshold of the paper's AP is from validation images."""
    names = (*classes.common, *classes.rare)
    validated = inspected(table, bundle, "val", names).records
    records = inspected(table, bundle, "test", names).records
    return {**group_figures(table, validated, records, classes), "seconds_per_image": mean_seconds(records)}


def group_figures(
    table: Table, validated: Sequence[ImageRecord], records: Sequence[ImageRecord], classes: ClassGroups
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
    return dataset.where(lambda sample: {annotation.label for annotation in sample.annotations} <= set(names))
