"""Tables of a report, counted from the records: verdicts, classes, sizes and severities, time.

Found and annotated defects are matched as in `blemish.evaluation.defects`: by place alone, one to one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blemish.defect import Defect
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.defects import is_placed, pairings
from blemish.evaluation.image import is_decided, is_defective, labels_on
from blemish.evaluation.records import ImageRecord
from blemish.evaluation.report.words import number
from blemish.inspection import Verdict


@dataclass(frozen=True)
class VerdictRow:
    """Verdicts on defective or on good parts, in the order OK, REVIEW, NG, ERROR; none: not in this split."""

    name: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class KindRow:
    """Figures of a class. in_split: False for a class of the data that no part of the split shows

    passed: parts with such a defect called OK; located: annotated defects that a found one matches
    named: located ones that got the right class; right: found ones of this class that truly are
    """

    name: str
    passed: ProportionBound
    located: ProportionBound
    named: ProportionBound
    right: ProportionBound
    in_split: bool


@dataclass(frozen=True)
class LabelPair:
    """Labels of an annotated and a found defect that match; None stands for a missing partner."""

    annotated: str | None
    called: str | None


@dataclass(frozen=True)
class Spread:
    """Median, range of the middle 80 %, and largest value, all as text."""

    middle: str
    low: str
    high: str
    largest: str


@dataclass(frozen=True)
class MeasureRow:
    """Number, sizes and severities of the found defects of a class; None where nothing was measured."""

    name: str
    count: int
    length: Spread | None
    width: Spread | None
    area: Spread | None
    severity: Spread | None


@dataclass(frozen=True)
class TimeRow:
    """Seconds of a stage of the inspection: median and 95th percentile."""

    name: str
    middle: float
    slow: float


@dataclass(frozen=True)
class Confusion:
    """Counts of defects by annotated class (rows) and found class (columns)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]


def verdict_rows(records: Sequence[ImageRecord]) -> list[VerdictRow]:
    """Verdicts on defective parts, then on good ones; none where nothing was judged.

    Parts with difficult defects alone are in neither.
    """
    rows = []
    records = [record for record in records if is_decided(record)]
    for name, defective in (("Defective parts", True), ("Good parts", False)):
        verdicts = [r.inspection.verdict for r in records if is_defective(r) is defective]
        rows.append(VerdictRow(name, {str(kind): verdicts.count(kind) for kind in Verdict}))
    return rows if records else []


def kind_rows(records: Sequence[ImageRecord], class_names: Iterable[str] = ()) -> list[KindRow]:
    """Rows of the classes annotated or found, by name, and a row for all of them when there are several.

    class_names: of the data, which get a row in any case
    """
    judged = [record for record in records if record.inspection.verdict is not Verdict.ERROR]
    pairs = [pair for record in judged if is_placed(record) for pair in paired(record)]
    annotated = {name for record in judged for name in kinds_on(record)}
    called = {pair.called for pair in pairs if pair.called is not None}
    names = sorted(annotated | called | {*class_names})
    rows = [kind_row(name, {name}, judged, pairs) for name in names]
    return [*rows, kind_row("all", set(names), judged, pairs)] if len(names) > 1 else rows


def kind_row(
    name: str, kinds: set[str], records: Sequence[ImageRecord], pairs: Sequence[LabelPair]
) -> KindRow:
    """Row of a class, or of several classes together."""
    with_it = [record for record in records if kinds & kinds_on(record)]
    of_kind = [pair for pair in pairs if pair.annotated in kinds]
    located = [pair for pair in of_kind if pair.called is not None]
    called = [pair for pair in pairs if pair.called in kinds]
    return KindRow(
        name=name,
        passed=proportion_bound(sum(r.inspection.verdict is Verdict.OK for r in with_it), len(with_it)),
        located=proportion_bound(len(located), len(of_kind)),
        named=proportion_bound(sum(pair.annotated == pair.called for pair in located), len(located)),
        right=proportion_bound(sum(pair.annotated == pair.called for pair in called), len(called)),
        in_split=bool(with_it),
    )


def kinds_on(record: ImageRecord) -> set[str]:
    """Classes of a part: of its defects, or of its image labels where no place is annotated."""
    if record.truth:
        return {defect.label for defect in record.truth}
    return labels_on(record)


def paired(record: ImageRecord) -> list[LabelPair]:
    """Every annotated and every found defect of an image once, in pairs of labels."""
    found = record.inspection.defects
    return [
        LabelPair(
            None if row is None else record.truth[row].label,
            None if column is None else found[column].label,
        )
        for row, column in pairings(record)
    ]


def measure_rows(records: Sequence[ImageRecord]) -> list[MeasureRow]:
    """Sizes and severities of found defects by class; in mm where the scale of all images is known."""
    by_kind: dict[str, list[Defect]] = {}
    for record in records:
        for defect in record.inspection.defects:
            by_kind.setdefault(defect.label, []).append(defect)
    in_mm = all(defect.mm_per_px for defects in by_kind.values() for defect in defects)
    return [measure_row(name, by_kind[name], in_mm=in_mm) for name in sorted(by_kind)]


def measure_row(name: str, defects: Sequence[Defect], *, in_mm: bool) -> MeasureRow:
    sizes = [
        (defect.length_mm, defect.width_mm, defect.area_mm2)
        if in_mm
        else (defect.rectangle.length, defect.rectangle.width, defect.area)
        for defect in defects
    ]
    lengths, widths, areas = zip(*sizes, strict=True)
    units = (" mm", " mm²") if in_mm else (" px", " px²")
    return MeasureRow(
        name=name,
        count=len(defects),
        length=spread_of(lengths, unit=units[0]),
        width=spread_of(widths, unit=units[0]),
        area=spread_of(areas, unit=units[1]),
        severity=spread_of([defect.severity_max for defect in defects], unit=""),
    )


def spread_of(values: Sequence[float | None], *, unit: str) -> Spread | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return None
    low, middle, high = np.quantile(known, [0.1, 0.5, 0.9])
    texts = [measured(float(value)) for value in (middle, low, high, max(known))]
    return Spread(texts[0] + unit, texts[1], texts[2] + unit, texts[3] + unit)


def measured(value: float) -> str:
    """A size to three significant digits, without exponent."""
    return number(round(value)) if abs(value) >= 100 else f"{value:.3g}"


def stage_times(records: Sequence[ImageRecord]) -> list[TimeRow]:
    """Median and 95th percentile of each stage, in seconds, in the stages' own order."""
    stages: dict[str, list[float]] = {}
    for record in records:
        for stage, milliseconds in record.inspection.timings_ms.items():
            stages.setdefault(stage, []).append(milliseconds / 1000)
    return [
        TimeRow(stage, float(np.median(values)), float(np.quantile(values, 0.95)))
        for stage, values in stages.items()
    ]


def slowest_images(records: Sequence[ImageRecord], *, count: int = 5) -> list[tuple[str, str, float]]:
    """Name, size as text and seconds of the images that took longest."""
    timed = [(seconds(record), record) for record in records if record.inspection.timings_ms]
    timed.sort(key=lambda pair: (-pair[0], pair[1].sample.id))
    slowest = []
    for time, record in timed[:count]:
        size = record.inspection.size
        slowest.append((record.sample.id, "" if size is None else f"{size[1]} × {size[0]}", time))
    return slowest


def seconds(record: ImageRecord) -> float:
    """Seconds of the whole inspection: its "total" where that was measured, else the sum of its stages."""
    timings = record.inspection.timings_ms
    return float(timings["total"] if "total" in timings else sum(timings.values())) / 1000


def confusion_table(confusion: Mapping[str, Any] | None) -> Confusion | None:
    """Confusion of the metrics, truth → found → count, as a table with columns in the order of its rows."""
    if not confusion:
        return None
    found = [name for row in confusion.values() for name in row]
    columns = tuple(dict.fromkeys([name for name in confusion if name in found] + found))
    return Confusion(
        columns,
        tuple((truth, tuple(int(row.get(c) or 0) for c in columns)) for truth, row in confusion.items()),
    )
