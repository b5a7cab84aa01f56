from __future__ import annotations

from dataclasses import dataclass

import pytest

from blemish.training.clock import Clock, Pace
from blemish.training.time_plan import RESERVE, Filling, Part, TimePlan


@dataclass
class Watch:
    """A clock that moves when it is told to."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def plan(**changes: object) -> TimePlan:
    parts = (
        Part(title="reading", seconds=10),
        Part(title="training first", seconds=60, stage="first", steps=600, full_steps=1200),
        Part(title="threshold", seconds=20),
        Part(title="training second", seconds=30, stage="second", steps=300, full_steps=300),
    )
    return TimePlan.model_validate({"parts": parts, "rest": 10, **changes})


def taken(pace: Pace, watch: Watch, each: float) -> list[tuple[int, int]]:
    """Steps and places of a stage whose steps take so long."""
    result = []
    for step in pace:
        result.append(step)
        watch.seconds += each
    return result


def test_without_a_limit_every_step_is_one_of_the_schedule() -> None:
    assert list(Pace(4)) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert list(Pace(4, done=2, position=2.0)) == [(2, 2), (3, 3)]


def test_steps_as_fast_as_measured_stay_as_planned() -> None:
    watch = Watch()
    steps = taken(Pace(100, seconds=100, now=watch), watch, each=1.03)
    assert steps == [(number, number) for number in range(100)]


@pytest.mark.parametrize("each", [0.3, 0.8, 1.5, 4.0])
def test_other_steps_end_in_time_and_at_the_end_of_the_schedule(each: float) -> None:
    watch = Watch()
    steps = taken(Pace(200, seconds=200, most=2000, now=watch), watch, each)
    assert watch.seconds == pytest.approx(200, rel=0.06)
    assert [step for step, _ in steps] == list(range(len(steps)))
    places = [place for _, place in steps]
    assert places == sorted(places) and places[0] == 0 and 200 - 10 * each < places[-1] < 200


def test_faster_steps_never_become_more_than_a_full_training() -> None:
    watch = Watch()
    assert len(taken(Pace(200, seconds=200, most=240, now=watch), watch, each=0.1)) == 240


def test_the_last_step_is_known_as_such() -> None:
    watch = Watch()
    pace = Pace(50, seconds=50, now=watch)
    last = []
    for _ in pace:
        last.append(pace.is_last)
        watch.seconds += 2.7
    assert last == [False] * (len(last) - 1) + [True]
    assert pace.ended and pace.done == len(last)


def test_a_stage_gets_its_share_of_the_time_left_for_stages() -> None:
    watch = Watch()
    clock = Clock(plan(budget=200), watch)
    watch.seconds = 15
    # 190 s, less 15 s gone and 30 s for threshold and rest; two thirds of what is left.
    assert clock.seconds_for("first") == pytest.approx((200 * (1 - RESERVE) - 15 - 30) * 2 / 3)
    assert clock.seconds_for("unplanned") is None
    assert Clock(plan(), watch).seconds_for("first") is None


def test_a_stage_of_fixed_steps_has_no_limit_and_the_others_pay_for_it() -> None:
    watch = Watch()
    clock = Clock(plan(budget=200).with_fixed({"first"}), watch)
    assert clock.seconds_for("first") is None
    clock.plan = plan(budget=200).with_fixed({"second"})
    assert clock.seconds_for("first") == pytest.approx(200 * (1 - RESERVE) - 10 - 30 - 20 - 10 + 10)


def test_a_resumed_training_has_used_the_time_it_took_before() -> None:
    watch = Watch(1000)
    clock = Clock(plan(budget=200), watch)
    clock.resume(40)
    assert clock.elapsed == 40


def test_the_time_left_is_of_the_whole() -> None:
    watch = Watch()
    clock = Clock(plan(), watch)
    clock.enter("reading")
    assert clock.left("reading", 0) == 10 + 60 + 20 + 30 + 10
    clock.enter("training first")
    watch.seconds = 50  # for half of what was to take 60 s
    assert clock.left("training first", 0.5) == 50 + 20 + 30 + 10
    clock.enter("something unplanned")
    assert clock.left("something unplanned", 0.5) is None
    assert Clock(now=watch).left("reading", 0.5) is None


def test_a_stage_takes_its_least_steps_however_slow_they_are() -> None:
    watch = Watch()
    steps = taken(Pace(200, seconds=200, least=120, now=watch), watch, each=4.0)
    assert len(steps) == 120 and watch.seconds == 480
    assert steps[-1][1] < 200, "the schedule is run through all the same"


def test_steps_that_fill_a_cache_as_measured_stay_as_planned() -> None:
    """The first steps take twenty times as long as the last, and were measured so."""
    filling = Filling(results=100, per_step=10, seconds=0.5)
    part = Part(title="", seconds=20 + 0.5 * filling.computed(200), steps=200, fillings=(filling,))
    watch = Watch()
    pace = Pace(200, seconds=part.seconds, expected=part.seconds_of, now=watch)
    for step, place in pace:
        assert step == place
        watch.seconds = part.seconds_of(step + 1)
    assert pace.done == 200
    watch.seconds, slower = 0.0, Pace(200, seconds=part.seconds, expected=part.seconds_of, now=watch)
    for step, _ in slower:
        watch.seconds = 1.5 * part.seconds_of(step + 1)
    assert watch.seconds == pytest.approx(part.seconds, rel=0.06) and slower.done < 130
