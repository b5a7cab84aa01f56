"""Evaluation of an inspector, or a chain of them, over the samples of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blemish.bundle.manifest import Manifest
from blemish.dataset.ignored import counted, ignored_marks, is_outlined, refuse_unusable_places
from blemish.dataset.masks import class_map
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.ignored import ignored_of
from blemish.evaluation.truth import with_places
from blemish.images.decode import image_size
from blemish.inspection import Inspection
from blemish.inspector.chain import Judge, stages_of
from blemish.progress import Reporter

Selection = tuple[Dataset, tuple[str, ...]]  # samples to evaluate on, and sentences on those left out


def evaluate_samples(
    inspector: Judge, dataset: Dataset, reporter: Reporter, *, title: str = "inspecting"
) -> Evaluator:
    """Inspect every sample and add it up, one at a time. title: of the progress bar"""
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
    """Add an inspection with its truth; in one that could not be judged all marked defects are missed.

    Raises BlemishError for a box or an outline that is no place.
    """
    refuse_unusable_places(sample)
    size = inspection.size
    if size is None:
        try:
            size = image_size(sample.image)
        except BlemishError:  # not even the header can be read
            evaluator.add(sample, inspection)
            return
    own = counted(sample)
    marked, truth = with_places(own, size)
    outlined = evaluator.segments and inspection.size is not None and is_outlined(marked)
    evaluator.add(
        replace(sample, annotations=(*marked.annotations, *ignored_marks(sample))),
        inspection,
        class_map=class_map(marked, dataset.class_names, size) if outlined else None,
        truth=truth,
        ignored=ignored_of(sample, size),
        lost_places=sum(
            was.has_place and not now.has_place
            for was, now in zip(own.annotations, marked.annotations, strict=True)
        ),
    )


def split_to_evaluate(dataset: Dataset, split: str) -> Dataset:
    """Samples of a split.

    Raises BlemishError that names the existing splits when it has none, and for a mark that is no place.
    """
    chosen = dataset.split(split)
    if not len(chosen):
        existing = ", ".join(f"{name or 'no split'} ({number})" for name, number in dataset.splits.items())
        named = any(name for name in dataset.splits)
        remedy = "Name one of these, or give --split all" if named else "Give --split all"
        raise BlemishError(
            f"--split {split}: {dataset.root} has no such images. It has: {existing}. "
            f"{remedy}, or make splits with `blemish data split` before training."
        )
    for sample in chosen:
        refuse_unusable_places(sample)
    return chosen


def notes_on_groups(dataset: Dataset) -> tuple[str, ...]:
    """A sentence where several images belong to a group, as bounds take each image for a trial of its own."""
    groups = [sample.group for sample in dataset if sample.group is not None]
    several = len(groups) - len(set(groups))
    if not several:
        return ()
    return (
        f"{len(groups)} of these {len(dataset)} images come from {len(set(groups))} groups (parts or lots). "
        "Errors within a group are not independent, so bounds that count each image by itself are too tight.",
    )


def for_bundle(dataset: Dataset, manifest: Manifest, name: str, *, classifies: bool) -> Selection:
    """Samples that a bundle is measured on: of its own product, and of its own classes where it names them.

    name: of the bundle, for messages; returns: the samples, and sentences on those left out
    Raises BlemishError where nothing is left.
    """
    own = manifest.memory.get("product")
    notes: tuple[str, ...] = ()
    if own in dataset.products:
        whole, dataset = dataset, of_product(dataset, own)
        notes = (f"{len(dataset)} of {len(whole)} images are evaluated: those of product '{own}'.",)
    if not classifies:
        return dataset, notes
    selected, left_out = without_other_classes(dataset, manifest.class_names, name)
    return selected, (*notes, *left_out)


def for_judge(dataset: Dataset, judge: Judge, manifests: Sequence[Manifest]) -> Selection:
    """Samples that an inspector or a chain is measured on: of the product of any stage, and of the classes
    that any stage names, see `for_bundle`.

    manifests: of the stages' bundles, in their order; returns: the samples, and sentences on those left out
    Raises BlemishError where nothing is left.
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
    selected, left_out = without_other_classes(dataset, tuple(dict.fromkeys(named)), judge.bundle)
    return selected, (*notes, *left_out)


def without_other_classes(dataset: Dataset, class_names: tuple[str, ...], bundle: str) -> Selection:
    """Samples that show no classes but a bundle's, and a sentence on those left out, if any.

    Raises BlemishError where no image of a class of the bundle is left.
    """
    known = set(class_names)
    selected = dataset.where(lambda sample: {each.label for each in sample.annotations} <= known)
    if len(selected) == len(dataset):
        return dataset, ()
    if not any(sample.annotations for sample in selected):
        refuse_other_classes(dataset, class_names, bundle)
    others = [name for name, images in dataset.class_counts.items() if images and name not in known]
    names = tuple(name for name in dataset.class_names if name not in others)
    note = (
        f"{len(dataset) - len(selected)} of {len(dataset)} images are left out: they show classes that "
        f"bundle {bundle} was not trained on ({', '.join(others)})."
    )
    return replace(selected, class_names=names), (note,)


def refuse_other_classes(dataset: Dataset, class_names: tuple[str, ...], bundle: str) -> None:
    """Raises BlemishError when the data marks a class that the bundle was not trained on."""
    unknown = [name for name, images in dataset.class_counts.items() if images and name not in class_names]
    if unknown:
        raise BlemishError(
            f"{dataset.root}: class '{unknown[0]}' is not one of bundle {bundle}: {', '.join(class_names)}. "
            "Rename it in dataset.yaml, or train with it."
        )
