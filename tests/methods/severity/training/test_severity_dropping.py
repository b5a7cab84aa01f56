"""Background probability from which stage 4 drops a region."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.methods.severity.training.dropping import JudgedRegion, f1_drop, lossless_drop

REGIONS = st.lists(
    st.builds(
        JudgedRegion,
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 0.99]),
        st.frozensets(st.integers(1, 4), max_size=2),
    ),
    max_size=12,
)


def f1_of(regions: list[JudgedRegion], limit: float, num_defects: int) -> float:
    kept = [region for region in regions if region.background < limit]
    if not kept or not num_defects:
        return 0.0
    precision = sum(bool(region.defects) for region in kept) / len(kept)
    recall = len({number for region in kept for number in region.defects}) / num_defects
    return 2 * precision * recall / (precision + recall) if precision * recall else 0.0


@given(REGIONS)
def test_no_other_limit_has_a_greater_f1(regions: list[JudgedRegion]) -> None:
    found = f1_of(regions, f1_drop(regions, 4), 4)
    assert found == pytest.approx(max(f1_of(regions, limit / 200, 4) for limit in range(201)))


def test_one_true_region_is_given_up_for_many_false_ones() -> None:
    """Ten defects, of which one looks like background, and thirty false regions that do."""
    true = [JudgedRegion(0.1, frozenset([number])) for number in range(9)]
    regions = [*true, JudgedRegion(0.95, frozenset([9])), *[JudgedRegion(0.9, frozenset())] * 30]
    assert f1_drop(regions, 10) == pytest.approx(0.5)
    assert lossless_drop(regions) == pytest.approx(0.951)


def test_without_a_region_on_a_defect_the_limit_is_a_half() -> None:
    for regions in ([], [JudgedRegion(0.8, frozenset())]):
        assert f1_drop(regions, 3) == lossless_drop(regions) == 0.5
