"""`evaluate`: a bundle's inspector over a dataset's split, to metrics.json and the report's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blemish.bundle.manifest import Manifest
from blemish.dataset.masks import class_map, defect_instances
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator
from blemish.images.decode import image_size
from blemish.inspection import Inspection
from blemish.inspector.chain import Judge, stages_of
from blemish.progress import Reporter

Selection = tuple[Dataset, tuple[str, ...]]


def evaluate_samples(
    inspector: Judge, dataset: Dataset, reporter: Reporter, *, title: str = "inspecting"
) -> Evaluator:
    """Every sample inspected and added up, one at a time."""
    inference = inspector.inference
    evaluator = Evaluator(
        dataset.class_names,
        score_map_max=inference.score_map_max,
        classifies=inference.classifies,
        segments=inference.segments,
    )
    for sample in reporter.track(dataset.samples, title):
        inspection = inspector.inspect(sample.image, with_maps=True)
        add(evaluator, sample, inspection, dataset)
    return evaluator


def add(evaluator: Evaluator, sample: Sample, inspection: Inspection, dataset: Dataset) -> None:
    """One inspection beside its truth; in an image that could not be judged every marked defect is missed."""
    size = inspection.size or readable_size(sample)
    if size is None:
        evaluator.add(sample, inspection)
        return
    outlined = (
        evaluator.segments
        and inspection.size is not None
        and all(one.has_outline for one in sample.annotations)
    )
    evaluator.add(
        sample,
        inspection,
        class_map=class_map(sample, dataset.class_names, size) if outlined else None,
        truth=defect_instances(sample, size),
    )


def readable_size(sample: Sample) -> tuple[int, int] | None:
    """(height, width) by the file's header; None where not even that can be read."""
    try:
        return image_size(sample.image)
    except BlemishError:
        return None


def split_to_evaluate(dataset: Dataset, split: str) -> Dataset:
    """The split's samples. Raises BlemishError when there are none, naming the splits that there are."""
    chosen = dataset.split(split)
    if not len(chosen):
        there = ", ".join(f"{name or 'no split'} ({number})" for name, number in dataset.splits.items())
        raise BlemishError(
            f"--split {split}: {dataset.root} has no such images; it has {there}. "
            "Name one of these, or make splits with `blemish data split` before training."
        )
    return chosen


def notes_on_groups(dataset: Dataset) -> tuple[str, ...]:
    """A sentence where several images are of one group, as bounds take each image for a trial of its own."""
    groups = [sample.group for sample in dataset if sample.group is not None]
    several = len(groups) - len(set(groups))
    if not several:
        return ()
    return (
        f"{len(groups)} of these {len(dataset)} images are of {len(set(groups))} groups (parts or lots). "
        "Images of one group err together; bounds that take each for a part of its own promise too much.",
    )


def for_bundle(dataset: Dataset, manifest: Manifest, name: str, *, classifies: bool) -> Selection:
    """What of a dataset a bundle is measured on: its own product where there are several, its own classes
    where it names them; and a sentence on what is left out.

    name: of the bundle, for messages. Raises BlemishError where nothing is left.
    """
    own = manifest.memory.get("product")
    notes: tuple[str, ...] = ()
    if own in dataset.products:
        whole, dataset = dataset, of_product(dataset, own)
        notes = (f"{len(dataset)} of {len(whole)} images are judged: those of product '{own}'.",)
    if not classifies:
        return dataset, notes
    kept, left_out = without_other_classes(dataset, manifest.class_names, name)
    return kept, (*notes, *left_out)


def for_judge(dataset: Dataset, judge: Judge, manifests: Sequence[Manifest]) -> Selection:
    """What of a dataset an inspector or a chain is measured on, see `for_bundle`: the product of any stage,
    and of classes those that any stage names.

    manifests: of the stages' bundles, in their order. Raises BlemishError where nothing is left.
    """
    notes: tuple[str, ...] = ()
    for manifest in manifests:
        dataset, left_out = for_bundle(dataset, manifest, judge.bundle, classifies=False)
        notes += left_out
    named = [
        name
        for stage, manifest in zip(stages_of(judge), manifests, strict=True)
        for name in (manifest.class_names if stage.inference.classifies else ())
    ]
    if not named:
        return dataset, notes
    kept, left_out = without_other_classes(dataset, tuple(dict.fromkeys(named)), judge.bundle)
    return kept, (*notes, *left_out)


def without_other_classes(dataset: Dataset, class_names: tuple[str, ...], bundle: str) -> Selection:
    """The images that show none but a bundle's classes, and a sentence on those left out, if any.

    Raises BlemishError where no image of a class of the bundle's is left.
    """
    known = set(class_names)
    kept = dataset.where(lambda sample: {one.label for one in sample.annotations} <= known)
    if len(kept) == len(dataset):
        return dataset, ()
    if not any(sample.annotations for sample in kept):
        refuse_other_classes(dataset, class_names, bundle)
    others = [name for name, images in dataset.class_counts.items() if images and name not in known]
    names = tuple(name for name in dataset.class_names if name not in others)
    note = (
        f"{len(dataset) - len(kept)} of {len(dataset)} images are left out: they show what bundle {bundle} "
        f"was not trained on ({', '.join(others)})."
    )
    return replace(kept, class_names=names), (note,)


def refuse_other_classes(dataset: Dataset, class_names: tuple[str, ...], bundle: str) -> None:
    """Raises BlemishError when the data marks a class that the bundle was not trained on."""
    unknown = [name for name, images in dataset.class_counts.items() if images and name not in class_names]
    if unknown:
        raise BlemishError(
            f"{dataset.root}: class '{unknown[0]}' is not one of bundle {bundle}: {', '.join(class_names)}. "
            "Rename it in dataset.yaml, or train with it."
        )
