"""Writing a dataset in another layout, with its images copied: lossless for what both layouts hold.

What the target cannot place at all is refused before anything is written; what it holds less exactly is said
in the result's warnings. Faulty images and annotations are refused too, or left out on request, and the
result's account adds up: what was found is what was written and what is named as left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from blemish.dataset.account import by_reason, lost, number
from blemish.dataset.convert import coco, labelme, masks, voc, yolo
from blemish.dataset.convert.common import refuse
from blemish.dataset.convert.fit import NO_OUTLINE, NO_PIXEL, NOTHING_LEFT, FittedDataset, fit_dataset, places
from blemish.dataset.samples import Annotation, Dataset
from blemish.dataset.unfinished import refuse_content, whole_folder
from blemish.errors import BlemishError, nearest_name
from blemish.folder_lock import locks_out


@dataclass(frozen=True)
class Writer:
    """A layout that is written.

    write: called with the dataset and the folder; returns a line on each thing held less exactly
    lacks: annotations that the layout cannot hold, in words, and the test for them; they are refused
    ignores: whether regions that evaluation ignores can be told from defects; else crowds are left out
    """

    write: Callable[[Dataset, Path], list[str]]
    lacks: str = ""
    cannot_hold: Callable[[Annotation], bool] = lambda annotation: False
    ignores: bool = True


NO_LABELS = ("image labels", lambda annotation: not annotation.has_place)
OUTLINES = ("boxes or labels without an outline", lambda annotation: not annotation.has_outline)
WRITERS: dict[str, Writer] = {
    "coco": Writer(coco.write),  # everything
    "coco-rle": Writer(partial(coco.write, run_lengths=True)),  # everything, outlines as pixels
    "labelme": Writer(labelme.write, *NO_LABELS),  # boxes, outlines
    "masks": Writer(masks.write, *OUTLINES),  # classes of pixels
    "voc": Writer(voc.write, *NO_LABELS),  # boxes
    "yolo": Writer(yolo.write, *NO_LABELS, ignores=False),  # boxes, or single polygons
    "yolo-seg": Writer(yolo.write_outlines, *OUTLINES, ignores=False),  # polygons
}
CROWD = "its region of many defects, a crowd, would be taken for a single one"


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion: the folder, counts, and a line on each thing that was lost or is doubtful.

    warnings: what reading the dataset warned of, then what the target holds less exactly
    images, annotations: how many were written
    left_out: place of an annotation → why it was not; images_left_out: file or id of an image → why
    """

    out: Path
    images: int
    annotations: int
    warnings: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    images_left_out: Mapping[str, str] = field(default_factory=dict)

    def line(self) -> str:
        """The account in a line: "3 of 4 images and 8 of 9 annotations written"."""
        images = number(self.images + len(self.images_left_out), "image")
        annotations = number(self.annotations + len(self.left_out), "annotation")
        return f"{self.images} of {images} and {self.annotations} of {annotations} written"


@locks_out
def convert(
    dataset: Dataset,
    out: Path | str,
    to: str,
    *,
    skip_broken: bool = False,
    follow_links: bool = False,
    strict: bool = False,
) -> Conversion:
    """Write the dataset to the empty folder `out` in layout `to`; `load_dataset(out)` reads it back.

    Boxes, polygons and masks are in pixels of the image as decoded, with its EXIF orientation applied.
    skip_broken: leave out faulty images and annotations, and images all of whose annotations were
    follow_links: also copy images behind links that lead out of the dataset
    strict: raise where there is a warning, also of reading the dataset
    Raises BlemishError when an image or annotation is faulty, the target cannot hold an annotation, or the
    folder is not empty or lies in the dataset; nothing is left in the folder then.
    """
    writer, folder = known_writer(to), Path(out)
    refuse_inside(folder, dataset)
    refuse_content(folder)
    refuse(dataset, to, writer.cannot_hold, writer.lacks)
    fit = fit_dataset(dataset, skip_broken=skip_broken, follow_links=follow_links)
    fit = fit if writer.ignores else without(fit, is_crowd, CROWD)
    fit = without_pixelless(fit, writer, to, skip_broken=skip_broken)
    refuse_nothing(fit, dataset)
    left_out, images = {**dataset.account.dropped, **fit.left_out}, {**dataset.skipped, **fit.images}
    warnings = [*lost_lines(images, "image"), *lost_lines(left_out, "annotation")]
    warnings += [f"{what}: {number(count, 'annotation')}" for what, count in fit.changes.items()]
    with whole_folder(folder, by="blemish data convert"):
        warnings += writer.write(fit.dataset, folder)
        warnings = [*(line for line in dataset.account.warnings if line not in warnings), *warnings]
        if strict and warnings:
            raise BlemishError(
                f"'{to}' must hold all of {dataset.root} exactly with --strict. Received: "
                f"{'; '.join(warnings)}."
            )
    marks = sum(len(sample.annotations) for sample in fit.dataset)
    return Conversion(folder, len(fit.dataset), marks, tuple(warnings), left_out, images)


def known_writer(to: str) -> Writer:
    if to in WRITERS:
        return WRITERS[to]
    hint = nearest_name(to, WRITERS) or f" Use one of {', '.join(WRITERS)}."
    raise BlemishError(f"--to must be a layout that is written. Received: '{to}'.{hint}")


def refuse_inside(folder: Path, dataset: Dataset) -> None:
    """Raise BlemishError for a folder below the dataset's, which would then hold every image twice."""
    if folder.resolve().is_relative_to(dataset.root.resolve()):
        raise BlemishError(
            f"{folder} must lie outside of {dataset.root}, or its images are read as part of it. "
            "Received: a folder in it. Name another."
        )


def refuse_nothing(fit: FittedDataset, dataset: Dataset) -> None:
    if not fit.dataset.samples:
        reason = next(iter(fit.images.values()), "it holds none")
        raise BlemishError(
            f"{dataset.root} must have an image that can be converted. Received: none ({reason}). "
            "Correct the dataset."
        )


def without(fit: FittedDataset, strange: Callable[[Annotation], bool], reason: str) -> FittedDataset:
    """Leave out the annotations that are strange to the target, and the images that show nothing else."""
    left_out, images = dict(fit.left_out), dict(fit.images)
    samples = []
    for sample in fit.dataset:
        out = {p for p, a in zip(places(sample), sample.annotations, strict=True) if strange(a)}
        kept = tuple(a for a in sample.annotations if not strange(a))
        left_out |= dict.fromkeys(out, reason)
        if out and not kept:
            images[sample.id] = NOTHING_LEFT
        else:
            samples.append(replace(sample, annotations=kept))
    return FittedDataset(replace(fit.dataset, samples=tuple(samples)), left_out, images, fit.changes)


def is_crowd(annotation: Annotation) -> bool:
    return annotation.crowd


def without_pixelless(fit: FittedDataset, writer: Writer, to: str, *, skip_broken: bool) -> FittedDataset:
    """Leave out, or refuse, outlines without a pixel, which became boxes, where the target holds none.

    Raises BlemishError that names the first of them.
    """
    for sample in fit.dataset:
        for place, annotation in zip(places(sample), sample.annotations, strict=True):
            if writer.cannot_hold(annotation) and not skip_broken:
                raise BlemishError(
                    f"{to} must have outlines that enclose a pixel. Received: {place}, which encloses none. "
                    "Draw it, convert to 'coco', or leave it out with --skip-broken."
                )
    fitted = without(fit, writer.cannot_hold, NO_PIXEL)
    if len(fitted.left_out) == len(fit.left_out):
        return fitted
    return replace(fitted, changes={what: n for what, n in fit.changes.items() if what != NO_OUTLINE})


def lost_lines(reasons: Mapping[str, str], noun: str) -> list[str]:
    return [lost(names, noun, reason.rstrip(".")) for reason, names in by_reason(reasons).items()]
