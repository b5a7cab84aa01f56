"""Figures by their dotted path, also of rows that were stored under former names."""

from __future__ import annotations

import pytest

from benchmarks.tables.lines import value_at

FORMER = {"outliner": "segmenter", "namer": "detector"}  # of stages, in rows stored earlier


@pytest.mark.parametrize(("former", "today"), FORMER.items())
def test_a_stage_is_found_under_its_former_name_and_todays(former: str, today: str) -> None:
    for stored in (former, today):
        figures = {"chain": {"seconds": {stored: 0.5, "gate": 0.25}}}
        assert value_at(figures, f"chain.seconds.{former}") == 0.5
        assert value_at(figures, f"chain.seconds.{today}") == 0.5
    assert value_at({"chain": {"seconds": {"gate": 0.25}}}, f"chain.seconds.{today}") is None


def test_a_name_may_hold_a_dot() -> None:
    assert value_at({"ap": {"rolled-in.scale": 0.5}}, "ap.rolled-in.scale") == 0.5
    assert value_at({"ap": 0.5}, "ap.dent") is None
