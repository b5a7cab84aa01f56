"""The answer for one image: verdict, score, defects, timings, and which bundle gave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from blemish.defect import Defect
from blemish.record import InspectionRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from blemish.images.image_input import ImageInput
    from blemish.inspection_formats import Detections


class Verdict(StrEnum):
    """OK passes, NG is rejected, REVIEW is for a person, ERROR is an image that could not be judged."""

    OK = "OK"
    REVIEW = "REVIEW"
    NG = "NG"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Inspection:
    """Answer for an image. All but `maps` and `candidates` is written to JSON, the same by every front end.

    image: the path as given; size: (height, width); score: in [0, 1], higher is worse
    maps: images for overlays and evaluation, in image pixels: "score_map" [H, W] float32, severity or
        probability before any threshold, "defects" [H, W] int32, 0 on the surface and i + 1 on defects[i],
        "heat_map" [H, W] float32 in [0, 1], what the verdict rests on
    candidates: every detection down to a low confidence, from which average precision is computed; empty
        where the method gives none but its findings
    defects: findings that count; none where the verdict is OK
    under_limit: findings of the method that are no defects, since the image's score stays under the limit
        of REVIEW and they meet no rule of their own
    spread: standard deviation of the score over the references that it is a mean of; None without references
    reasons: why the verdict is what it is, by its decision, or where the stages of a chain disagree, and why
        findings are no defects
    rows: of a web, the first of this piece and the one behind its last; its defects are then in pixels of the
        whole web. None where the image is no piece of one
    grade, decision: what is to be done with the part ("accept", "rework", "scrap"), and the revision of the
        decision; None where the bundle has no decision. "accept" goes with the verdict OK alone: a part that
        is not OK by anything but the grades has none
    record: hashes, bundles and runtime to replay it by; None for an inspection in memory
    """

    image: str
    size: tuple[int, int] | None
    verdict: Verdict
    score: float | None
    defects: tuple[Defect, ...]
    bundle: str
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    mm_per_px: float | None = None
    maps: Mapping[str, NDArray[np.generic]] = field(default_factory=dict, compare=False, repr=False)
    candidates: tuple[Defect, ...] = field(default=(), compare=False, repr=False)
    spread: float | None = None
    reasons: tuple[str, ...] = ()
    grade: str | None = None
    decision: int | None = None
    rows: tuple[int, int] | None = None
    record: InspectionRecord | None = field(default=None, compare=False, repr=False)
    under_limit: tuple[Defect, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values for one line of inspections.jsonl."""
        spread = {} if self.spread is None else {"spread": round(self.spread, 6)}
        return {
            **(self.record.head() if self.record else {}),
            "image": self.image,
            **({} if self.rows is None else {"rows": list(self.rows)}),
            "size": list(self.size) if self.size else None,
            "verdict": str(self.verdict),
            "score": None if self.score is None else round(self.score, 6),
            **spread,
            **self.decided(),
            "defects": [defect.to_json() for defect in self.defects],
            **({"under_limit": [each.to_json() for each in self.under_limit]} if self.under_limit else {}),
            "mm_per_px": self.mm_per_px,
            "timings_ms": {stage: round(value, 3) for stage, value in self.timings_ms.items()},
            "bundle": self.bundle,
            "error": self.error,
            **(self.record.tail() if self.record else {}),
        }

    def decided(self) -> dict[str, Any]:
        """Keys of a line that a decision, a chain or findings under the limit add."""
        reasons = {"reasons": list(self.reasons)} if self.reasons or self.decision is not None else {}
        graded = {} if self.grade is None else {"grade": self.grade}
        return {**reasons, **graded, **({} if self.decision is None else {"decision": self.decision})}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Inspection:
        """Read the inspection that `to_json` wrote, by this version or an older one; maps are not written.

        Raises KeyError for a key that is missing, TypeError for a wrong type, ValueError for a newer schema.
        """
        scale = fields.get("mm_per_px")

        def read(defects: Sequence[dict[str, Any]]) -> tuple[Defect, ...]:
            return tuple(Defect.from_json(defect, mm_per_px=scale) for defect in defects)

        return cls(
            image=fields["image"],
            size=tuple(fields["size"]) if fields["size"] else None,
            verdict=Verdict(fields["verdict"]),
            score=fields["score"],
            defects=read(fields["defects"]),
            bundle=fields["bundle"],
            timings_ms=dict(fields["timings_ms"]),
            error=fields["error"],
            mm_per_px=scale,
            spread=fields.get("spread"),
            reasons=tuple(fields.get("reasons", ())),
            grade=fields.get("grade"),
            decision=fields.get("decision"),
            rows=tuple(fields["rows"]) if fields.get("rows") else None,
            record=InspectionRecord.from_json(fields),
            under_limit=read(fields.get("under_limit", ())),
        )

    def with_verdict(self, verdict: Verdict, *reasons: str) -> Inspection:
        """Inspection with another verdict and further reasons; without the grade "accept" unless it is OK."""
        grade = None if self.grade == "accept" and verdict is not Verdict.OK else self.grade
        return replace(self, verdict=verdict, grade=grade, reasons=(*self.reasons, *reasons))

    def moved(self, down: float) -> Inspection:
        """Inspection with everything that was found that many pixels further down."""
        return replace(
            self,
            defects=tuple(each.moved(down) for each in self.defects),
            under_limit=tuple(each.moved(down) for each in self.under_limit),
        )

    def draw(
        self,
        image: ImageInput,
        *,
        score_map_max: float | None = None,
        threshold: float | None = None,
        class_names: Sequence[str] | None = None,
    ) -> NDArray[np.uint8]:
        """Picture with each defect marked and named, a heat map where `maps` has one, and the verdict below.

        The image is at its top left, enlarged by a whole number if both sides are 256 pixels at most.
        image: the one inspected: a path, an array, a PIL image or bytes
        score_map_max: score drawn in the hottest colour, as `Inspector.score_map_max` has it;
            None leaves that map out
        threshold: marked on the scale of that map, as `Inspector.score_map_threshold` has it
        class_names: gives each class its colour, such as `Inspector.class_names`; None takes the sorted
            labels of this image alone
        returns: [H', W', 3] RGB, at least as large as the image
        Raises BlemishError for anything but an image, and for an image of another size.

        >>> inspection = inspector.inspect(image)
        >>> inspection.draw(image, class_names=inspector.class_names).shape
        (506, 480, 3)
        """
        from blemish.inspection_formats import drawn

        return drawn(self, image, score_map_max=score_map_max, threshold=threshold, class_names=class_names)

    def to_coco(self, image_id: int, category_ids: Mapping[str, int]) -> list[dict[str, Any]]:
        """Entries of a COCO results file, one a defect: bbox as xywh, score, and polygons of its outlines.

        category_ids: number of each class name in the COCO file
        Raises BlemishError for a class without a number.

        >>> found = inspector.inspect(image).to_coco(7, {"scratch": 1, "spot": 2, "stain": 3})
        >>> all(entry["image_id"] == 7 and len(entry["bbox"]) == 4 for entry in found)
        True
        """
        from blemish.inspection_formats import coco_results

        return coco_results(self, image_id, category_ids)

    def to_labelme(self, image_path: str | None = None) -> dict[str, Any]:
        """Content of a labelme file: a polygon for each outline, else a rectangle; to be written as JSON.

        image_path: where labelme finds the image, relative to the file; None takes the inspection's own
        Raises BlemishError for an image that could not be read.

        >>> labels = inspector.inspect(image).to_labelme("part.png")
        >>> labels["imagePath"], labels["imageHeight"]
        ('part.png', 96)
        """
        from blemish.inspection_formats import labelme_file

        return labelme_file(self, image_path)

    def to_detections(self, class_names: Sequence[str] | None = None) -> Detections:
        """Defects as a table of arrays whose names and shapes are those of `supervision.Detections`.

        class_names: `class_id` is a place in this list, such as `Inspector.class_names`; None takes the
            sorted labels of this image alone
        Raises BlemishError for a class that is not in the list.

        >>> table = inspector.inspect(image).to_detections(inspector.class_names)
        >>> table.xyxy.shape == (len(table), 4)
        True
        """
        from blemish.inspection_formats import detections

        return detections(self, class_names)


def failed(image: str, message: str, *, bundle: str) -> Inspection:
    """The ERROR answer for an image that could not be read or judged."""
    return Inspection(
        image=image, size=None, verdict=Verdict.ERROR, score=None, defects=(), bundle=bundle, error=message
    )
