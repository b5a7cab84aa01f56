"""Choice of cases for a person to look at: the worst misses and false alarms, and a few typical hits.

At most a case of each kind per image, so that a single bad image does not fill the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.arrays import Box
from blemish.evaluation.defects import MATCH_IOU, is_placed, matched_pairs, pairings
from blemish.evaluation.image import is_decided, is_defective
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Verdict

GRAVITY = {Verdict.NG: 0, Verdict.REVIEW: 1, Verdict.OK: 2, Verdict.ERROR: 3}


@dataclass(frozen=True)
class Case:
    """A case to look at. truth, found: index of the record's defect, None where there is none"""

    record: ImageRecord
    truth: int | None = None
    found: int | None = None

    @property
    def box_xyxy(self) -> Box | None:
        """Box of the true defect, else of the found one, else None."""
        return self.record.box_of(self.truth, self.found)

    @property
    def iou(self) -> float | None:
        """IoU of the true and the found defect; of a miss or false alarm, the largest with any defect."""
        overlaps = self.record.iou
        if overlaps.size == 0:
            return None
        if self.truth is None:
            return None if self.found is None else float(overlaps[:, self.found].max())
        return float(overlaps[self.truth].max() if self.found is None else overlaps[self.truth, self.found])


@dataclass(frozen=True)
class ChosenCases:
    """Cases of a report. hits: best first, the others: worst first; *_total: number of all

    passed: defects on parts that were called OK; misses: defects not found on parts that were caught
    """

    passed: tuple[Case, ...]
    misses: tuple[Case, ...]
    false_alarms: tuple[Case, ...]
    hits: tuple[Case, ...]
    passed_total: int
    misses_total: int
    false_alarms_total: int


def choose_cases(records: Sequence[ImageRecord], *, limit: int = 12, hits: int = 3) -> ChosenCases:
    """At most `limit` cases: `hits` typical hits, the rest shared evenly between the other kinds."""

    def miss_order(case: Case) -> tuple[bool, float, float, str]:
        # Defects that no finding covers come first, then large ones, then those on parts with low scores.
        area = 0.0 if case.truth is None else case.record.truth[case.truth].area
        covered = (case.iou or 0.0) >= MATCH_IOU
        return covered, -area, case.record.inspection.score or 0.0, case.record.sample.id

    def alarm_order(case: Case) -> tuple[bool, bool, int, float, str]:
        # Good parts come before defective ones, findings where nothing is before others, then rejected before
        # reviewed parts, then confident findings: the score of a defective part is that of its own defects.
        inspection = case.record.inspection
        score = inspection.score if case.found is None else inspection.defects[case.found].confidence
        gravity = GRAVITY[inspection.verdict]
        return is_defective(case.record), bool(case.iou), gravity, -(score or 0.0), case.record.sample.id

    every = sorted((case for record in records for case in missed(record)), key=miss_order)
    passed = [case for case in every if case.record.inspection.verdict is Verdict.OK]
    misses = [case for case in every if case.record.inspection.verdict is not Verdict.OK]
    alarms = sorted((case for record in records for case in falsely_found(record)), key=alarm_order)
    typical = typical_hits(records, count=hits)
    kinds = [one_per_image(cases) for cases in (passed, misses, alarms)]
    shares = even_shares([*map(len, kinds)], limit - len(typical))
    shown = [tuple(cases[:number]) for cases, number in zip(kinds, shares, strict=True)]
    return ChosenCases(
        passed=shown[0],
        misses=shown[1],
        false_alarms=shown[2],
        hits=tuple(typical),
        passed_total=len(passed),
        misses_total=len(misses),
        false_alarms_total=len(alarms),
    )


def even_shares(sizes: Sequence[int], room: int) -> list[int]:
    """Numbers to take of lists of these lengths, `room` in all, as even as the lengths allow."""
    shares = [0] * len(sizes)
    while room > 0 and any(share < size for share, size in zip(shares, sizes, strict=True)):
        for index, size in enumerate(sizes):
            if shares[index] < size and room > 0:
                shares[index], room = shares[index] + 1, room - 1
    return shares


def missed(record: ImageRecord) -> list[Case]:
    """Annotated defects that no found one matches; without places, a defective image that passed."""
    if record.inspection.verdict is Verdict.ERROR:
        return []
    if not record.truth:
        passed = is_defective(record) and record.inspection.verdict is Verdict.OK
        return [Case(record)] if passed else []
    return [Case(record, truth=row) for row, column in pairings(record) if column is None]


def falsely_found(record: ImageRecord) -> list[Case]:
    """Found defects that match no annotated one; without any, a clean image rejected by its score."""
    if not is_placed(record):
        return []
    if not record.inspection.defects:
        clean = is_decided(record) and not is_defective(record)
        return [Case(record)] if clean and record.inspection.verdict is Verdict.NG else []
    return [Case(record, found=column) for row, column in pairings(record) if row is None]


def typical_hits(records: Sequence[ImageRecord], *, count: int) -> list[Case]:
    """Hits spread evenly over the range from best to worst overlap, each in another image.

    Where there are too few: rejected images whose defects have no known place, highest scores first.
    """
    best = [hit for record in records if (hit := best_hit(record)) is not None]
    best.sort(key=lambda case: case.iou or 0.0, reverse=True)
    wanted = min(count, len(best))
    located = [best[int((index + 0.5) * len(best) / wanted)] for index in range(wanted)]
    rejected = [
        Case(record)
        for record in records
        if not record.truth and is_defective(record) and record.inspection.verdict is Verdict.NG
    ]
    rejected.sort(key=lambda case: (-(case.record.inspection.score or 0.0), case.record.sample.id))
    return [*located, *rejected[: count - wanted]]


def best_hit(record: ImageRecord) -> Case | None:
    """Matched pair of an image with the largest IoU; None without any."""
    pairs = matched_pairs(record, MATCH_IOU)
    if not pairs:
        return None
    truth, found = max(pairs, key=lambda pair: float(record.iou[pair]))
    return Case(record, truth=truth, found=found)


def one_per_image(cases: Sequence[Case]) -> list[Case]:
    """First case of each image, in their order."""
    first: dict[str, Case] = {}
    for case in cases:
        first.setdefault(case.record.sample.id, case)
    return list(first.values())
