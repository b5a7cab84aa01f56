"""Time of a training in progress: what is left of the whole, and how many steps a stage still has.

A stage takes the steps that were planned, unless they turn out slower or faster than measured before. Then
it moves along its schedule by more or less than a step at a time, so that it ends in time and at the end of
its schedule; but never in fewer than its least steps, which may take longer than there is time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter

from blemish.training.time_plan import RESERVE, Part, TimePlan

TOLERANCE = 0.05  # of a stage's time, within which its planned steps stay as they are
CHECKS = 20  # times that a stage's steps are held against its time
SETTLED = 5  # steps until a step's time is known
ROUNDING = 1e-6  # of a step


@dataclass
class Clock:
    """Clock of a training. plan: None where it was not measured; now: seconds that never go back"""

    plan: TimePlan | None = None
    now: Callable[[], float] = perf_counter
    place: int = -1
    started: float = field(init=False)
    entered: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.entered = self.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the training began, those before an interruption as well."""
        return self.now() - self.started

    def resume(self, elapsed: float) -> None:
        """Go on where an interrupted training had taken so many seconds."""
        self.started = min(self.started, self.now() - elapsed)

    def enter(self, title: str) -> None:
        """Note that the part with that title begins; one that was not planned changes nothing."""
        for place, part in enumerate(self.plan.parts if self.plan else ()):
            if place > self.place and part.title == title:
                self.place, self.entered = place, self.now()
                return

    def left(self, title: str, share: float) -> float | None:
        """Seconds left of the whole, a share of the part with that title being done; None if unknown."""
        if self.plan is None or self.place < 0 or self.plan.parts[self.place].title != title:
            return None
        own = self.plan.parts[self.place].seconds
        if share > 0:
            own = (self.now() - self.entered) / share
        later = self.plan.parts[self.place + 1 :]
        return own * (1 - share) + sum(part.seconds for part in later) + self.plan.rest

    def seconds_for(self, stage: str) -> float | None:
        """Seconds that a stage about to begin may take: its planned share of those left for stages.

        None without a budget, for a stage that was not planned, and for one whose steps are fixed.
        """
        if self.plan is None or self.plan.budget is None:
            return None
        places = [place for place, part in enumerate(self.plan.parts) if part.stage == stage]
        if not places or self.plan.parts[places[0]].fixed:
            return None
        coming = self.plan.parts[places[0] :]
        stages = sum(part.seconds for part in coming if part.stage is not None and not part.fixed)
        others = sum(part.seconds for part in coming) - stages + self.plan.rest
        available = max(0.0, self.plan.budget * (1 - RESERVE) - self.elapsed - others)
        return available * coming[0].seconds / max(1e-9, stages)

    def part(self, stage: str) -> Part | None:
        """Plan of a stage; None for one that was not planned."""
        stages = self.plan.stages if self.plan else ()
        return next((part for part in stages if part.stage == stage), None)


@dataclass
class Pace:
    """Steps of a stage and their places on its schedule.

    steps: of the schedule; done: steps taken; position: on the schedule, in [0, steps]
    seconds: that the stage may take, counted from here; None: no limit
    most: steps at most, where they turn out faster than planned; least: at least, where they are slower
    expected: seconds of so many steps from here, as measured before; only their ratios count
    """

    steps: int
    done: int = 0
    position: float = 0.0
    seconds: float | None = None
    most: int | None = None
    least: int = 1
    expected: Callable[[float], float] = float
    now: Callable[[], float] = perf_counter
    stride: float = 1.0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Number of each step, and its place on the schedule, in [0, steps)."""
        began = looked = self.now()
        first = self.done
        while self.position < self.steps:
            yield self.done, int(self.position)
            self.position = self.next_position
            self.done += 1
            now, taken = self.now(), self.done - first
            if self.seconds is not None and taken >= SETTLED and now - looked >= self.seconds / CHECKS:
                self.adjust(self.seconds, now - began, taken)
                looked = now

    @property
    def ended(self) -> bool:
        return self.position >= self.steps

    @property
    def next_position(self) -> float:
        """Place on the schedule after the present step."""
        position = self.position + self.stride
        return position if position < self.steps - ROUNDING else self.steps

    @property
    def is_last(self) -> bool:
        """True while the present step is the last one."""
        return self.next_position >= self.steps

    @property
    def total(self) -> int:
        """Steps that the stage takes in all, as it goes now."""
        return self.done + ceil((self.steps - self.position) / self.stride - ROUNDING)

    def adjust(self, seconds: float, spent: float, taken: int) -> None:
        """Change the stride where the steps left would take longer, or less, than the seconds left."""
        if self.position >= self.steps:
            return
        left = (self.steps - self.position) / self.stride
        pace = spent / max(1e-9, self.expected(taken))
        needed = pace * (self.expected(taken + left) - self.expected(taken))
        if abs(needed - (seconds - spent)) <= TOLERANCE * seconds:
            return
        possible = max(1.0, self.least - self.done, left * (seconds - spent) / max(1e-9, needed))
        if self.most is not None:
            possible = min(possible, max(1, self.most - self.done))
        self.stride = max(1e-9, (self.steps - self.position) / possible)
