"""Annotations of COCO files: boxes [x, y, w, h], polygons, run lengths plain or compressed.

Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from typing import Any

from blemish.arrays import Box
from blemish.dataset import run_lengths
from blemish.dataset.layouts.coco_files import CocoEntry
from blemish.dataset.layouts.common import MAX_COORDINATE
from blemish.dataset.samples import Annotation, Polygon, RunLengths
from blemish.errors import BlemishError

ALIKE = 0.6  # intersection over union of an annotation's box and the box around its outline, at least
NO_PLACE = "they have neither box nor outline, and are read as labels of their image"
IGNORE = "their key 'ignore' is not read, as in pycocotools: they count as any; 'iscrowd' would be ignored"
OTHER_BOX = "their bbox is not the box of their segmentation. Check that it is [x, y, width, height]"


def read_mark(mark: CocoEntry, label: str, place: str, *, crowds: bool) -> tuple[Annotation, str]:
    """Annotation of an entry, and a doubt about it or "".

    crowds: read `iscrowd`; without it all are ordinary. place: file and annotation, for messages
    Raises BlemishError for numbers that no image has, and a box without an area.
    """
    try:
        polygons, mask = read_segmentation(mark.get("segmentation"))
        box = read_box(mark.get("bbox"))
        if box and not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError(f"bbox {list(mark['bbox'])}, without an area")
        contrast = None if mark.get("contrast") is None else coordinate(mark["contrast"])
        crowd, difficult = is_crowd(mark), flag(mark, "difficult")
    except (TypeError, ValueError, KeyError) as error:
        raise BlemishError(
            f"{place} must have a whole bbox and segmentation. Received: {error}. Correct the file."
        ) from error
    identity = str(mark.get("source_id", mark.get("id", "")))
    annotation = Annotation(label, box, polygons, mask, contrast, identity, crowds and crowd, difficult)
    if not annotation.has_place:
        return annotation, NO_PLACE
    if flag_is_set(mark.get("ignore")) and not crowd:
        return annotation, IGNORE
    return annotation, "" if box_fits(annotation) else OTHER_BOX


def is_crowd(mark: CocoEntry) -> bool:
    """True for `iscrowd` 1. Raises ValueError for what is neither 0 nor 1."""
    return flag(mark, "iscrowd")


def flag(mark: CocoEntry, key: str) -> bool:
    """True for 1, False for 0 and without the key. Raises ValueError for anything else."""
    value = 0 if mark.get(key) is None else mark[key]
    if value not in (0, 1, "0", "1"):
        raise ValueError(f"{key} {value!r:.40}")
    return int(value) == 1


def flag_is_set(value: Any) -> bool:
    return value not in (None, 0, "0", "")


def read_box(values: Any) -> Box | None:
    """Box of half-open corners from COCO's [x, y, w, h]; None without one.

    Raises ValueError for anything but four numbers.
    """
    if values in (None, [], ""):
        return None
    if not isinstance(values, list) or len(values) != 4:
        raise ValueError(f"bbox {values!r:.60}, not four numbers")
    x, y, width, height = (coordinate(value) for value in values)
    return x, y, x + width, y + height


def read_segmentation(value: Any) -> tuple[tuple[Polygon, ...], RunLengths | None]:
    """Polygons given as flat lists, or run lengths given as a list or a compressed string.

    Raises ValueError for anything else that is not empty.
    """
    if value in (None, [], {}, ""):
        return (), None
    if isinstance(value, dict):
        return (), read_run_lengths(value)
    if not isinstance(value, list):
        raise ValueError(f"segmentation {value!r:.40}, no list")
    return tuple(read_polygon(flat) for flat in value if flat != []), None


def read_run_lengths(value: CocoEntry) -> RunLengths:
    counts, size = value.get("counts"), value.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(coordinate(side) > 0 for side in size):
        raise ValueError(f"run lengths of the size {size!r:.40}")
    if not isinstance(counts, str | list):
        raise ValueError(f"run lengths {counts!r:.40}")
    height, width = run_lengths.checked(size)
    numbers = run_lengths.unpack(counts) if isinstance(counts, str) else run_lengths.checked(counts)
    if sum(numbers) != height * width:
        raise ValueError(f"run lengths that sum to {sum(numbers)}, not to {height}×{width}")
    return RunLengths(numbers, (height, width))


def read_polygon(flat: Any) -> Polygon:
    if not isinstance(flat, list) or len(flat) < 6 or len(flat) % 2:
        what = f"{len(flat)} numbers" if isinstance(flat, list) else f"{flat!r:.40}, no list"
        raise ValueError(f"a polygon of {what}")
    numbers = [coordinate(value) for value in flat]
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def coordinate(value: Any) -> float:
    """A finite number that may lie in an image. Raises ValueError for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_COORDINATE:
        raise ValueError(f"{value!r:.40}, which is no coordinate")
    return float(value)


def box_fits(annotation: Annotation) -> bool:
    """True unless the box and the box around the outline differ much; a pixel on each side is let pass."""
    around, box = outline_box(annotation), annotation.box_xyxy
    if around is None or box is None:
        return True
    first, second = ((a - 1, b - 1, c + 1, d + 1) for a, b, c, d in (around, box))
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((right - left) * (bottom - top) for left, top, right, bottom in (first, second))
    return shared >= ALIKE * (areas - shared)


def outline_box(annotation: Annotation) -> Box | None:
    """Box around polygons or run lengths; None without either, or without a pixel."""
    if isinstance(annotation.mask, RunLengths):
        return run_lengths.extent(annotation.mask)
    corners = [corner for polygon in annotation.polygons for corner in polygon]
    if not corners:
        return None
    x, y = zip(*corners, strict=True)
    return min(x), min(y), max(x), max(y)
