"""An inspection in the forms of other tools: a drawn image, COCO results, a labelme file, a table of arrays.

Shape letters: H, W, N defects. Boxes are xyxy float pixels, half-open; outlines run along pixel edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import polygon_mask
from blemish.defect import Defect
from blemish.errors import BlemishError, nearest_name
from blemish.images.image_input import ImageInput, image_reader
from blemish.images.overlay import draw_inspection
from blemish.inspection import Inspection

LABELME_VERSION = "5.5.0"  # of the file format


@dataclass(frozen=True)
class Detections:
    """Defects as a table of arrays, a row a defect; names and shapes are those of `supervision.Detections`.

    xyxy: [N, 4] float32; confidence: [N] float32; class_id: [N] int64, a place in the list of class names
    class_name: [N] str; mask: [N, H, W] bool, None where no defect has an outline
    data: further columns, `{"class_name": …, "area": …}`, as supervision keeps them
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    class_name: NDArray[np.str_]
    mask: NDArray[np.bool_] | None
    data: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.xyxy)


def drawn(
    inspection: Inspection,
    image: ImageInput,
    *,
    score_map_max: float | None = None,
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
) -> NDArray[np.uint8]:
    """Picture, RGB, of the image with its defects and the verdict; see `Inspection.draw`."""
    pixels = image_reader(image, inspection.image)()
    if inspection.size is not None and pixels.shape[:2] != inspection.size:
        raise BlemishError(
            f"The image must be the one inspected, {sizes(inspection.size)} pixels. "
            f"Received: {sizes(pixels.shape[:2])}. Give {inspection.image}."
        )
    own = inspection.moved(-inspection.rows[0]) if inspection.rows else inspection
    return draw_inspection(
        pixels, own, score_map_max=score_map_max, threshold=threshold, class_names=class_names
    )


def coco_results(
    inspection: Inspection, image_id: int, category_ids: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Entries of a COCO results file; see `Inspection.to_coco`."""
    results = []
    for defect in defects_in_image(inspection):
        left, top, right, bottom = defect.box_xyxy
        result: dict[str, Any] = {
            "image_id": image_id,
            "category_id": number_of(defect.label, category_ids),
            "bbox": [left, top, right - left, bottom - top],
            "score": defect.confidence,
        }
        polygons = [[value for point in part for value in point] for part in defect.contour if len(part) > 2]
        results.append({**result, "segmentation": polygons} if polygons else result)
    return results


def labelme_file(inspection: Inspection, image_path: str | None = None) -> dict[str, Any]:
    """Content of a labelme file; see `Inspection.to_labelme`."""
    height, width = size_of(inspection)
    shapes: list[dict[str, Any]] = []
    for number, defect in enumerate(defects_in_image(inspection)):
        left, top, right, bottom = defect.box_xyxy
        outlines = [("polygon", part) for part in defect.contour if len(part) > 2]
        for kind, points in outlines or [("rectangle", ((left, top), (right, bottom)))]:
            shapes.append(
                {
                    "label": defect.label,
                    "points": [list(point) for point in points],
                    "group_id": number if len(outlines) > 1 else None,
                    "description": f"confidence {defect.confidence:.4f}",
                    "shape_type": kind,
                    "flags": {},
                    "mask": None,
                }
            )
    return {
        "version": LABELME_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": inspection.image if image_path is None else image_path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def detections(inspection: Inspection, class_names: Sequence[str] | None = None) -> Detections:
    """Defects as a table of arrays; see `Inspection.to_detections`."""
    defects = defects_in_image(inspection)
    labels = [defect.label for defect in defects]
    names = sorted(set(labels)) if class_names is None else class_names
    numbers = {name: number for number, name in enumerate(names)}
    words = np.array(labels, np.str_)
    return Detections(
        xyxy=np.array([defect.box_xyxy for defect in defects], np.float32).reshape(-1, 4),
        confidence=np.array([defect.confidence for defect in defects], np.float32),
        class_id=np.array([number_of(label, numbers) for label in labels], np.int64),
        class_name=words,
        mask=masks(inspection, defects),
        data={"class_name": words, "area": np.array([defect.area for defect in defects], np.float64)},
    )


def masks(inspection: Inspection, defects: Sequence[Defect]) -> NDArray[np.bool_] | None:
    """Pixels of each defect, [N, H, W], from the map of defects where there is one, else from outlines."""
    if not any(defect.contour for defect in defects):
        return None
    size = size_of(inspection)
    numbers = inspection.maps.get("defects")
    if numbers is not None:
        return np.stack([numbers == number for number in range(1, len(defects) + 1)])
    return np.stack([polygon_mask(defect.contour, size) for defect in defects])


def defects_in_image(inspection: Inspection) -> tuple[Defect, ...]:
    """Defects in pixels of the inspected image; those of a piece of a web are stored in pixels of the web."""
    top = inspection.rows[0] if inspection.rows else 0
    return tuple(defect.moved(-top) for defect in inspection.defects) if top else inspection.defects


def number_of(label: str, numbers: Mapping[str, int]) -> int:
    if label not in numbers:
        known = ", ".join(numbers) or "none"
        raise BlemishError(
            f"Every defect class must have a number. Received: '{label}', and numbers for {known}. Add it."
            f"{nearest_name(label, numbers)}"
        )
    return numbers[label]


def size_of(inspection: Inspection) -> tuple[int, int]:
    if inspection.size is None:
        raise BlemishError(
            f"{inspection.image} must have been inspected. Received: verdict {inspection.verdict}, "
            f"{inspection.error} Leave it out."
        )
    return inspection.size


def sizes(size: Sequence[int]) -> str:
    return f"{size[1]}×{size[0]}"
