"""Cost of caches in a stage, from their use in a rehearsal: a few steps on some of the images.

On all images, steps go on for long to compute what they need for the first time, and what finds no room is
computed again and again. Neither shows in a rehearsal's few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.methods.contract import CacheUse
from blemish.training.time_plan import Filling


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

    seconds_per_step: for what finds no room; fillings: the first time that results are computed
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
    end, computed = use.end, use.end.computed - use.start.computed
    seconds = end.seconds / max(1, end.computed)
    views = end.views or 0
    rehearsed = views * sum(kind.rehearsed for kind in kinds)
    missing = max(0.0, 1 - use.before.kept / rehearsed) if rehearsed else 0.0
    drawn = [
        Filling(results=kind.images * views * missing, per_step=kind.per_step * missing, seconds=seconds)
        for kind in kinds
        if views and missing and kind.images
    ]
    added = sum(each.computed(full_steps) for each in drawn)
    if not views:
        added = full_steps * computed / use.steps
    bytes_each = end.num_bytes / max(1, end.kept)
    wanted = bytes_each * (use.before.kept * ratio + added)
    without_room = max(0.0, 1 - end.max_bytes / wanted) if wanted else 0.0
    requests = (end.requests - use.start.requests) / use.steps
    return CacheCost(
        seconds_per_step=requests * without_room * seconds,
        fillings=tuple(each.model_copy(update={"seconds": seconds * (1 - without_room)}) for each in drawn),
        num_bytes=int(min(end.max_bytes, wanted)),
    )
