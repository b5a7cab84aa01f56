"""Cost of caches in a stage, from their use in a rehearsal: a few steps on some of the images.

On all images, steps go on for long to compute what they need for the first time, and what finds no room is
computed again and again. Neither shows in a rehearsal's few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from blemish.methods.contract import CacheUse
from blemish.training.time_plan import HALVINGS, Filling


@dataclass(frozen=True)
class RehearsedUse:
    """Use of a cache when a stage began, and before and after its `steps` measured steps."""

    before: CacheUse
    start: CacheUse
    end: CacheUse
    steps: int


@dataclass(frozen=True)
class DrawnKind:
    """Kind of images that a stage draws. rehearsed, images: their number there and in the whole dataset

    per_step: that a step draws
    """

    rehearsed: int
    images: int
    per_step: float


@dataclass(frozen=True)
class CacheCost:
    """Cost of a cache in a stage on all images.

    seconds_per_step: for what finds no room; fillings: what is computed beyond that until all is there
    num_bytes: in the cache after all steps
    """

    seconds_per_step: float
    fillings: tuple[Filling, ...]
    num_bytes: int


def cost_on_all_images(
    use: RehearsedUse, kinds: Sequence[DrawnKind], *, ratio: float, full_steps: int
) -> CacheCost:
    """Carry the use of a cache over to all images. ratio: of all images to those of the rehearsal

    Where a cache does not say how many views an image has (`CacheUse.views`), its filling stays part of the
    measured steps.
    """
    end = use.end
    seconds = end.seconds / max(1, end.computed)
    bytes_each = end.num_bytes / max(1, end.kept)
    views = end.views or 0
    rehearsed = views * sum(kind.rehearsed for kind in kinds)
    missing = max(0.0, 1 - use.before.kept / rehearsed) if rehearsed else 0.0
    fillings = [
        Filling(results=kind.images * views * missing, per_step=kind.per_step * missing, seconds=seconds)
        for kind in kinds
        if views and missing and kind.images
    ]
    known = use.before.kept * ratio
    room = end.max_bytes / bytes_each if bytes_each else inf
    until = step_of_full_cache(fillings, room - known, full_steps)
    fillings = [each.model_copy(update={"until": until}) for each in fillings]
    requests = (end.requests - use.start.requests) / use.steps
    again = requests * (1 - missing) * max(0.0, 1 - room / known) if known else 0.0
    again += sum(each.without_room for each in fillings)
    added = kept_by(fillings, full_steps)
    if not views:
        added = full_steps * (end.computed - use.start.computed) / use.steps
    return CacheCost(
        seconds_per_step=again * seconds,
        fillings=tuple(fillings),
        num_bytes=int(min(room, known + added) * bytes_each) if bytes_each else 0,
    )


def kept_by(fillings: Sequence[Filling], steps: float) -> float:
    """Results that are in a cache with room for all after so many steps."""
    return sum(each.model_copy(update={"until": None}).computed(steps) for each in fillings)


def step_of_full_cache(fillings: Sequence[Filling], room: float, steps: int) -> float | None:
    """Step at which a cache with room for so many results is full; None where that is after all steps."""
    if kept_by(fillings, steps) <= room:
        return None
    low, high = 0.0, float(steps)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if kept_by(fillings, middle) <= room else (low, middle)
    return low
