"""Fitting a dataset for writing: every image is decoded, every annotation held against its image.

What `data check` calls an error is refused, or left out on request; what reaches over the edge is cut there.
So a conversion holds only what can be read again, and its account adds up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from blemish.arrays import Size
from blemish.dataset.account import number
from blemish.dataset.boxes import cut
from blemish.dataset.convert.clip import clipped
from blemish.dataset.faults import box_fault, extent, outline_fault, reaches_out
from blemish.dataset.hashing import in_threads
from blemish.dataset.masks import annotation_masks, polygon_mask
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.images.decode import read_image

NO_PIXEL = "it marks no pixel"
UNREAD = "its image is left out"
LEADS_OUT = "it is a link that leads out of the dataset"
COPY = "{} is a link that leads out of the dataset. Copy the file there, or give --follow-links"
NOTHING_LEFT = "all its annotations are left out, so it would pass as clean"
CUT_BOX, CUT_OUTLINE = "boxes cut to the image", "outlines cut to the image"
NEW_BOX, NO_OUTLINE = "boxes made anew from outlines", "outlines without a pixel become boxes"
SHOWN = 3
MAX_SHOWN = 200  # letters of several faults; the first is shown whole


class FaultError(Exception):
    """An annotation marks nothing, or nobody knows what.

    The text is the rule that it breaks, equal for equal faults; detail: more than that, for a single one
    """

    def __init__(self, rule: str, detail: str = "") -> None:
        super().__init__(rule)
        self.detail = detail or rule


@dataclass(frozen=True)
class FittedSample:
    """An image as it can be written, None where it cannot be.

    faults: place → what is wrong; left_out: place → reason, annotations that mark nothing
    changes: what was changed → number of annotations
    """

    sample: Sample | None
    faults: Mapping[str, FaultError] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FittedDataset:
    """A dataset that can be written.

    left_out: place of an annotation → reason; images: id of an image → reason
    changes: what was changed → number of annotations
    """

    dataset: Dataset
    left_out: Mapping[str, str]
    images: Mapping[str, str]
    changes: Mapping[str, int]


def fit_dataset(dataset: Dataset, *, skip_broken: bool = False, follow_links: bool = False) -> FittedDataset:
    """Decode all images and fit all annotations to them.

    skip_broken: leave out images and annotations that are faulty, instead of raising
    follow_links: take images behind links that lead out of the dataset
    Raises BlemishError that names the first of them.
    """
    known = frozenset(dataset.class_names)
    root = None if follow_links else dataset.root
    results = list(in_threads(lambda sample: fit_sample(sample, known, root), dataset.samples))
    faults = {place: fault.detail for result in results for place, fault in result.faults.items()}
    if faults and not skip_broken:
        raise faulty(dataset, faults)
    left_out: dict[str, str] = {}
    images: dict[str, str] = {}
    samples: list[Sample] = []
    for sample, result in zip(dataset, results, strict=True):
        rules = {place: str(fault) for place, fault in result.faults.items()}
        if result.sample is None:
            images |= rules
            left_out |= dict.fromkeys(places(sample), UNREAD)
            continue
        left_out |= {**rules, **result.left_out}
        if sample.annotations and not result.sample.annotations:
            images[sample.id] = NOTHING_LEFT
        else:
            samples.append(result.sample)
    changes = sum((Counter(result.changes) for result in results), Counter[str]())
    return FittedDataset(replace(dataset, samples=tuple(samples)), left_out, images, changes)


def faulty(dataset: Dataset, faults: Mapping[str, str]) -> BlemishError:
    lines = [f"{place}: {reason.rstrip('.')}" for place, reason in faults.items()]
    shown = max(1, sum(len("; ".join(lines[: n + 1])) <= MAX_SHOWN for n in range(min(len(lines), SHOWN))))
    named = "; ".join(lines[:shown])
    more = f"; and {len(faults) - shown} more" if len(faults) > shown else ""
    return BlemishError(
        f"{dataset.root} must be free of faults to be converted. Received: {number(len(faults), 'fault')} "
        f"({named}{more}). Correct them, see `blemish data check`, or leave them out with --skip-broken."
    )


def places(sample: Sample) -> list[str]:
    """Names of a sample's annotations, for messages."""
    return [
        f"{sample.id} annotation {place}" + (f" (id {annotation.id})" if annotation.id else "")
        for place, annotation in enumerate(sample.annotations, start=1)
    ]


def fit_sample(sample: Sample, known: frozenset[str], root: Path | None = None) -> FittedSample:
    """Decode an image and fit its annotations.

    known: class names; root: out of which no link to an image may lead; None lets them lead anywhere
    """
    for image in (sample.image, sample.reference):
        if root is not None and image is not None and leads_out(image, root):
            return FittedSample(None, {sample.id: FaultError(LEADS_OUT, COPY.format(image))})
    try:
        pixels = read_image(sample.image)
        if sample.reference is not None:
            read_image(sample.reference)
    except BlemishError as error:
        return FittedSample(None, {sample.id: FaultError("it is broken, or no image", str(error))})
    size = (pixels.shape[0], pixels.shape[1])
    kept: list[Annotation] = []
    faults: dict[str, FaultError] = {}
    left_out: dict[str, str] = {}
    changes = Counter[str]()
    for place, annotation in zip(places(sample), sample.annotations, strict=True):
        try:
            if annotation.label not in known:
                raise FaultError(f"its class must be known ({', '.join(known)}), not '{annotation.label}'")
            fit, changed = fit_annotation(annotation, sample, size)
        except FaultError as fault:
            faults[place] = fault
            continue
        except BlemishError as error:
            faults[place] = FaultError("its mask must fit its image", str(error))
            continue
        changes.update(changed)
        if fit is None:
            left_out[place] = NO_PIXEL
        else:
            kept.append(fit)
    return FittedSample(replace(sample, annotations=tuple(kept)), faults, left_out, changes)


def leads_out(path: Path, root: Path) -> bool:
    """True for a path below the root behind which, links followed, lies a file that is not."""
    return path.is_relative_to(root) and not path.resolve().is_relative_to(root.resolve())


def fit_annotation(annotation: Annotation, sample: Sample, size: Size) -> tuple[Annotation | None, list[str]]:
    """The annotation inside its image, None where it marks no pixel; and what was changed in it."""
    if not annotation.has_place:
        return annotation, []
    fit, changes = fit_outline(annotation, sample, size)
    box = fit.box_xyxy
    if box is None:
        return (fit if fit.has_outline else None), changes
    if fault := box_fault(box, size):
        if not fit.has_outline:
            raise FaultError(f"its box must {fault}")
        return replace(fit, box_xyxy=None), [*changes, NEW_BOX]
    if reaches_out(box, size):
        changes = [*changes, CUT_BOX]
    return replace(fit, box_xyxy=cut(box, size)), changes


def fit_outline(annotation: Annotation, sample: Sample, size: Size) -> tuple[Annotation, list[str]]:
    """The annotation with its outline cut to the image; one without a pixel becomes a box, if it has an area.

    Raises FaultError for polygons that mark nothing, BlemishError for a mask that does not fit.
    """
    if annotation.mask is not None:
        single = replace(sample, annotations=(replace(annotation, polygons=()),))
        if any(bool(mask.any()) for _, mask in annotation_masks(single, size)):
            return single.annotations[0], []
        return replace(annotation, polygons=(), mask=None), [NO_OUTLINE] if annotation.box_xyxy else []
    if not annotation.polygons:
        return annotation, []
    if fault := outline_fault(annotation.polygons, size):
        raise FaultError(f"its outline must {fault}")
    around = extent(annotation.polygons)
    parts = (clipped(polygon, size) for polygon in annotation.polygons)
    polygons = tuple(part for part in parts if len(part) > 2)
    if polygon_mask(polygons, size).any():
        return replace(annotation, polygons=polygons), [CUT_OUTLINE] if reaches_out(around, size) else []
    box = annotation.box_xyxy or (None if box_fault(around, size) else around)
    return replace(annotation, polygons=(), box_xyxy=box), [NO_OUTLINE] if box else []
