from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.methods.contract import StageSteps
from blemish.training.time_plan import RESERVE, Part, TimePlan, fitted, preset_seconds


def stage(name: str, steps: int, each: float) -> Part:
    return Part(title=f"training {name}", seconds=steps * each, stage=name, steps=steps, full_steps=steps)


FULL = TimePlan(
    parts=(
        Part(title="reading", seconds=10),
        stage("first", 1000, 0.5),
        stage("second", 500, 0.2),
        Part(title="threshold", seconds=20),
    ),
    rest=5,
)
ADJUSTABLE = StageSteps("first", "steps", least=100), StageSteps("second", "second_steps", least=50)


def steps(plan: TimePlan) -> list[int]:
    return [part.steps for part in plan.stages]


def test_all_steps_are_taken_where_there_is_time() -> None:
    assert FULL.seconds == 10 + 500 + 100 + 20 + 5
    assert fitted(FULL, ADJUSTABLE, 700) == FULL


def test_stages_keep_their_shares_of_less_time() -> None:
    # 0.95 × 300 s, less 35 s that do not change, are 250 of 600 s: five twelfths of the steps.
    plan = fitted(FULL, ADJUSTABLE, 300)
    assert steps(plan) == [416, 208]
    assert plan.seconds == pytest.approx(35 + 416 * 0.5 + 208 * 0.2)
    assert [part.full_steps for part in plan.stages] == [1000, 500]


def test_a_stage_keeps_its_least_steps_and_the_others_pay_for_it() -> None:
    adjustable = StageSteps("first", "steps", least=100), StageSteps("second", "second_steps", least=400)
    plan = fitted(FULL, adjustable, 300)
    assert steps(plan) == [340, 400]  # 250 s less 80 s for the second stage
    assert plan.seconds <= 300 * (1 - RESERVE)


def test_steps_that_were_given_stay() -> None:
    plan = fitted(FULL, ADJUSTABLE[1:], 560)
    assert steps(plan)[0] == 1000 and steps(plan)[1] == 50


@given(
    seconds=st.floats(1, 2000),
    first=st.tuples(st.integers(1, 3000), st.floats(0.001, 3)),
    second=st.tuples(st.integers(1, 3000), st.floats(0.001, 3)),
    floors=st.tuples(st.integers(1, 500), st.integers(1, 500)),
)
def test_a_plan_fits_or_takes_the_least_steps(
    seconds: float, first: tuple[int, float], second: tuple[int, float], floors: tuple[int, int]
) -> None:
    full = TimePlan(parts=(stage("a", *first), stage("b", *second)), rest=3)
    plan = fitted(full, [StageSteps("a", "x", floors[0]), StageSteps("b", "y", floors[1])], seconds)
    least = [min(floors[0], first[0]), min(floors[1], second[0])]
    for number, floor, most in zip(steps(plan), least, [first[0], second[0]], strict=True):
        assert floor <= number <= most
    assert plan.seconds <= seconds or steps(plan) == least


def test_presets_say_what_they_may_take() -> None:
    assert preset_seconds("default", on_gpu=False) == 15 * 60
    assert preset_seconds("default", on_gpu=True) == 3 * 60
    assert preset_seconds("paper", on_gpu=False) is None
