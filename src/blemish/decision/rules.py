"""Parts of a decision: thresholds, limits, minimum sizes, grades, costs, and how they were chosen.

Each is checked when it is read: an unknown key, a value that is no number, and thresholds out of order are
    errors.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from blemish.bundle.manifest import StoredOperatingPoint, Strict
from blemish.defect import Defect

Measure = Literal["severity", "area", "length", "width"]
SizeMeasure = Literal["area", "length", "width"]
Unit = Literal["px", "mm"]
WORDS = {"area": "large", "length": "long", "width": "wide"}


class Thresholds(Strict):
    """Values from which on the verdict is REVIEW, and NG; null: no value leads to it.

    review, ng: in [0, 1], review ≤ ng
    """

    review: float | None = Field(None, ge=0, le=1)
    ng: float | None = Field(None, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Thresholds:
        refuse_crossing("review", self.review, "ng", self.ng)
        return self


class MeasureRule(Strict):
    """A measure of a defect: its greatest severity, its area, or a side of its smallest rectangle.

    unit: px or mm (px² or mm² of areas); none with severity
    of: name of a class; null: every class
    """

    measure: Measure
    unit: Unit | None = None
    of: str | None = None

    @property
    def levels(self) -> dict[str, float | None]:
        """Values by the name of the verdict or grade that they lead to."""
        return {}

    @model_validator(mode="after")
    def _has_its_unit(self) -> MeasureRule:
        if (self.measure == "severity") != (self.unit is None):
            rule = "no unit" if self.measure == "severity" else "the unit px or mm"
            received = self.unit or "none"
            raise ValueError(f"{self.measure} must have {rule}. Received: {received}. Correct the unit.")
        return self

    def covers(self, defect: Defect) -> bool:
        return self.of is None or self.of == defect.label

    def value_of(self, defect: Defect) -> float | None:
        """The measure in the rule's unit; None where the method gives no severity, or no scale is known."""
        if self.measure == "severity":
            return defect.severity_max
        if self.unit == "mm":
            in_mm = {"area": defect.area_mm2, "length": defect.length_mm, "width": defect.width_mm}
            return in_mm[self.measure]
        rectangle = defect.rectangle
        return {"area": defect.area, "length": rectangle.length, "width": rectangle.width}[self.measure]

    @property
    def suffix(self) -> str:
        """Unit behind a number, with a space before it; "" for severity."""
        return "" if self.unit is None else f" {self.unit}{'²' if self.measure == 'area' else ''}"

    @property
    def phrase(self) -> str:
        """ "3.2 mm long", "severity 8.1", with "{}" for the number and its unit."""
        return "severity {}" if self.measure == "severity" else f"{{}} {WORDS[self.measure]}"


class Limit(MeasureRule):
    """Sizes or severities from which on a defect makes the verdict REVIEW, or NG.

    review, ng: > 0, review ≤ ng
    """

    review: float | None = Field(None, gt=0)
    ng: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Limit:
        refuse_crossing("review", self.review, "ng", self.ng)
        refuse_empty("review", self.review, "ng", self.ng)
        return self

    @property
    def levels(self) -> dict[str, float | None]:
        return {"review": self.review, "ng": self.ng}


class Ignored(MeasureRule):
    """Minimum size: a defect below it is ignored. below: > 0"""

    measure: SizeMeasure
    below: float = Field(gt=0)


class Grade(MeasureRule):
    """Sizes or severities from which on a defect means rework, or scrap.

    rework, scrap: > 0, rework ≤ scrap
    """

    rework: float | None = Field(None, gt=0)
    scrap: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Grade:
        refuse_crossing("rework", self.rework, "scrap", self.scrap)
        refuse_empty("rework", self.rework, "scrap", self.scrap)
        return self

    @property
    def levels(self) -> dict[str, float | None]:
        return {"rework": self.rework, "scrap": self.scrap}


class Costs(Strict):
    """Costs of a defective part that passes and a good part that is rejected, both in the same unit; ≥ 0."""

    escape: float = Field(ge=0)
    overkill: float = Field(ge=0)


class Chosen(Strict):
    """Origin of the thresholds: the images and rules that they were chosen by, and what they cost there.

    data, split: as given; images: their number; review_rule: of the lower threshold
    point: rule of the upper threshold, both thresholds as chosen, counts with exact bounds
    seen: digests of the images, see `dataset.fingerprint.image_digests`
    rules: digest of all that decides, see `sentences.rules_digest`; the counts hold for these rules only
    """

    data: str
    split: str
    data_fingerprint: str
    images: int = Field(ge=1)
    created: str
    review_rule: str
    point: StoredOperatingPoint
    seen: tuple[str, ...] = ()
    rules: str = ""


def refuse_crossing(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    """Raises ValueError where the milder of two thresholds lies above the stricter one."""
    if low is not None and high is not None and low > high:
        raise ValueError(
            f"{low_name} must not be above {high_name}. Received: {low_name} {low:g}, {high_name} {high:g}. "
            f"Lower {low_name} or raise {high_name}."
        )


def refuse_empty(low_name: str, low: float | None, high_name: str, high: float | None) -> None:
    """Raises ValueError for a rule that decides nothing."""
    if low is None and high is None:
        raise ValueError(f"{low_name} or {high_name} must be given. Received: neither. Add at least one.")


def figure(value: float) -> str:
    """A number to four significant digits, without exponent; texts of two numbers keep their order."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
