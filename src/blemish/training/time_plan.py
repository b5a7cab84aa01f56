"""Plan of a training in time: its parts with their seconds, and the steps that fit a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, expm1

from pydantic import Field

from blemish.bundle.manifest import Strict
from blemish.methods.contract import StageSteps

HALVINGS = 30  # of the shares between which the one that fits is sought
RESERVE = 0.05  # of a budget, for what was measured too short
# Seconds that a preset may take on a CPU and on a GPU; the others have no limit.
PRESET_SECONDS: Mapping[str, tuple[int, int]] = {
    "quick": (300, 60),
    "default": (900, 180),
    "thorough": (7200, 1200),
}


@dataclass(frozen=True)
class Budget:
    """Time that a training may take.

    seconds: at most; None: no limit. source: what set it, for messages
    required: whether a training that cannot keep it is refused
    fixed: settings that were given, which the plan does not change
    """

    seconds: float | None
    source: str
    required: bool = False
    fixed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class StepCount:
    """Steps of a stage. ended_early: by early stopping, before the end of its schedule"""

    planned: int
    taken: int
    ended_early: bool = False


class Filling(Strict):
    """Filling of a cache by the steps of a stage: each result is computed in the first step that needs it.

    results: that there may be; per_step: drawn in a step, each as likely; seconds: of computing one
    until: step at which the cache is full; None: it has room for all
    """

    results: float
    per_step: float
    seconds: float
    until: float | None = None

    @property
    def without_room(self) -> float:
        """Results that each step computes anew once the cache is full."""
        if self.until is None:
            return 0.0
        return self.per_step * exp(-self.until * self.per_step / self.results)

    def computed(self, steps: float) -> float:
        """Results that so many steps compute, as expected, beyond those of each step that find no room."""
        filling = steps if self.until is None else min(steps, self.until)
        first = self.results * -expm1(-filling * self.per_step / self.results)
        return first - filling * self.without_room


class Part(Strict):
    """A part of a training. title: of its progress bar; seconds: of all of it

    stage: name of the stage where the part is one; steps: planned for it; full_steps: without a budget
    least: steps that are taken in any case; fixed: whether all are, however long each turns out to be
    fillings: of caches, one for each kind of image; their seconds are among those of the part
    """

    title: str
    seconds: float
    stage: str | None = None
    steps: int = 0
    full_steps: int = 0
    least: int = 0
    fixed: bool = False
    fillings: tuple[Filling, ...] = ()

    @property
    def seconds_per_step(self) -> float:
        """Seconds of a step that finds all it needs in the cache."""
        return (self.seconds - self.filling_seconds(self.steps)) / self.steps if self.steps else 0.0

    def filling_seconds(self, steps: float) -> float:
        """Seconds in which so many steps fill caches."""
        return sum(filling.seconds * filling.computed(steps) for filling in self.fillings)

    def seconds_of(self, steps: float) -> float:
        """Seconds of the first so many steps."""
        return steps * self.seconds_per_step + self.filling_seconds(steps)

    def with_steps(self, steps: int) -> Part:
        """Part with so many steps, which take as long each."""
        return self.model_copy(update={"steps": steps, "seconds": self.seconds_of(steps)})


class TimePlan(Strict):
    """Parts of a training in their order, as measured on a few steps and images before it.

    rest: seconds outside of all parts; memory: greatest number of bytes in use while measuring
    budget: seconds, None: no limit; source: what set it; changed: settings changed to fit into it
    """

    parts: tuple[Part, ...]
    rest: float = 0.0
    memory: int = 0
    budget: float | None = None
    source: str = ""
    changed: dict[str, int | float | str | bool | None] = Field(default={})

    @property
    def seconds(self) -> float:
        """Seconds of the whole."""
        return self.rest + sum(part.seconds for part in self.parts)

    @property
    def stages(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.stage is not None)

    def with_steps(self, steps: Mapping[str, int]) -> TimePlan:
        """Plan with other numbers of steps, by stage."""
        parts = tuple(
            part.with_steps(steps[part.stage]) if part.stage is not None and part.stage in steps else part
            for part in self.parts
        )
        return self.model_copy(update={"parts": parts})

    def with_least(self, adjustable: Iterable[StageSteps]) -> TimePlan:
        """Plan in which each of these stages takes its least steps, however long they turn out to be."""
        least = {stage.stage: stage.least for stage in adjustable}
        parts = tuple(
            part.model_copy(update={"least": least[part.stage]}) if part.stage in least else part
            for part in self.parts
        )
        return self.model_copy(update={"parts": parts})

    def with_fixed(self, stages: Iterable[str | None]) -> TimePlan:
        """Plan in which so named stages take all their steps, however long each turns out to be."""
        names = {*stages}
        parts = tuple(
            part.model_copy(update={"fixed": True})
            if part.stage is not None and part.stage in names
            else part
            for part in self.parts
        )
        return self.model_copy(update={"parts": parts})


def fitted(plan: TimePlan, adjustable: Iterable[StageSteps], seconds: float) -> TimePlan:
    """Plan whose stages keep their shares of the time and fit into so many seconds, as far as they can.

    adjustable: stages whose steps may fall, each to its `least`. No stage gets more steps than it has.
    """
    least = {stage.stage: stage.least for stage in adjustable}
    full = {part.stage: part.steps for part in plan.stages if part.stage is not None and part.stage in least}

    def of_share(share: float) -> TimePlan:
        return plan.with_steps(
            {name: max(int(steps * share), min(steps, least[name])) for name, steps in full.items()}
        )

    available = seconds * (1 - RESERVE)
    low, high = 0.0, 1.0
    if plan.seconds <= available:
        return plan
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if of_share(middle).seconds <= available else (low, middle)
    return of_share(low)


def steps_by_stage(counts: Mapping[str, StepCount]) -> dict[str, dict[str, int]]:
    """Steps planned and taken, by stage: JSON of run.json and of a bundle's provenance."""
    return {
        "steps_planned": {name: count.planned for name, count in counts.items()},
        "steps_taken": {name: count.taken for name, count in counts.items()},
    }


def preset_seconds(preset: str, *, on_gpu: bool) -> float | None:
    """Seconds that training with a preset may take; None: no limit."""
    allowed = PRESET_SECONDS.get(preset)
    return None if allowed is None else float(allowed[on_gpu])
