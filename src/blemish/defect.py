"""A defect: its class, place, size, severity and confidence. Plain data, whichever method found it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # without NumPy a decision can be read
    from blemish.arrays import Box, Point


@dataclass(frozen=True)
class Rectangle:
    """A rectangle at any angle: the smallest that holds the defect.

    center_xy: pixels; length ≥ width: pixels; angle_deg: of the length against the x axis, in [-90, 90)
    """

    center_xy: Point
    length: float
    width: float
    angle_deg: float


@dataclass(frozen=True)
class Defect:
    """Defect of an image, in pixels of the image as decoded.

    label: class name; confidence: of that label, in [0, 1]
    box_xyxy: half-open; contour: outer outline, closed, one polygon per part; area: pixels
    severity_mean, severity_max: in the method's units, None where it has none
    mm_per_px: scale, None where unknown; lengths in mm follow from it
    """

    label: str
    confidence: float
    box_xyxy: Box
    contour: tuple[tuple[Point, ...], ...]
    rectangle: Rectangle
    area: float
    severity_mean: float | None = None
    severity_max: float | None = None
    mm_per_px: float | None = None

    @property
    def length_mm(self) -> float | None:
        """Length of the rectangle in mm; None where the scale is unknown."""
        return None if self.mm_per_px is None else self.rectangle.length * self.mm_per_px

    @property
    def width_mm(self) -> float | None:
        """Width of the rectangle in mm; None where the scale is unknown."""
        return None if self.mm_per_px is None else self.rectangle.width * self.mm_per_px

    @property
    def area_mm2(self) -> float | None:
        """Area in mm²; None where the scale is unknown."""
        return None if self.mm_per_px is None else self.area * self.mm_per_px**2

    @property
    def size_text(self) -> str:
        """Length by width of the smallest rectangle, in mm where the scale is known: "3.2 × 0.41 mm"."""
        if self.length_mm is not None and self.width_mm is not None:
            return f"{self.length_mm:.3g} × {self.width_mm:.3g} mm"
        return f"{self.rectangle.length:.0f} × {self.rectangle.width:.0f} px"

    def moved(self, down: float) -> Defect:
        """The defect moved down by so many pixels."""
        left, top, right, bottom = self.box_xyxy
        x, y = self.rectangle.center_xy
        return replace(
            self,
            box_xyxy=(left, top + down, right, bottom + down),
            contour=tuple(tuple((x, y + down) for x, y in part) for part in self.contour),
            rectangle=replace(self.rectangle, center_xy=(x, y + down)),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to what a pixel measurement can mean; mm only where the scale is known."""
        fields: dict[str, Any] = {
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "box_xyxy": [round(value, 2) for value in self.box_xyxy],
            "contour": [[[round(x, 1), round(y, 1)] for x, y in part] for part in self.contour],
            "rectangle": {
                "center_xy": [round(value, 2) for value in self.rectangle.center_xy],
                "length": round(self.rectangle.length, 2),
                "width": round(self.rectangle.width, 2),
                "angle_deg": round(self.rectangle.angle_deg, 2),
            },
            "area": round(self.area, 1),
        }
        if self.severity_mean is not None and self.severity_max is not None:
            fields["severity"] = {"mean": round(self.severity_mean, 3), "max": round(self.severity_max, 3)}
        if self.length_mm is not None and self.width_mm is not None and self.area_mm2 is not None:
            fields["mm"] = {
                "length": round(self.length_mm, 4),
                "width": round(self.width_mm, 4),
                "area": round(self.area_mm2, 6),
            }
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any], *, mm_per_px: float | None = None) -> Defect:
        """Read a defect that `to_json` wrote; numbers are as it rounded them. mm_per_px: scale, if known"""
        rectangle = fields["rectangle"]
        severity = fields.get("severity") or {}
        return cls(
            label=fields["label"],
            confidence=fields["confidence"],
            box_xyxy=tuple(fields["box_xyxy"]),
            contour=tuple(tuple((x, y) for x, y in part) for part in fields["contour"]),
            rectangle=Rectangle(
                tuple(rectangle["center_xy"]), rectangle["length"], rectangle["width"], rectangle["angle_deg"]
            ),
            area=fields["area"],
            severity_mean=severity.get("mean"),
            severity_max=severity.get("max"),
            mm_per_px=mm_per_px,
        )
