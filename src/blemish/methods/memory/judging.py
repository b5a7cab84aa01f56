"""Judgement of an image's patches: by the memory, by the head, and by what was corrected since.

Where a patch is like one that was accepted, the head has no say; near one that was rejected it alarms.
Letters: P patches, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.methods.memory.nearest import PatchMemory
from blemish.methods.memory.positives import Positives
from blemish.methods.memory.scale import in_unit_range, standardised, unusual
from blemish.methods.memory.state import MemoryState

Floats = NDArray[np.float32]
SILENT = np.float32(-1e6)  # deviations of a place that the head has no say on
SILENCE = 0.5  # distance from an accepted patch within which that is, as a share of good images' highest


@dataclass(frozen=True, eq=False)
class HeadWord:
    """Deviations above good images by the head. places: of each patch, [P]; image: of the image as a whole"""

    places: Floats
    image: float


@dataclass(frozen=True, eq=False)
class Judgement:
    """Scores in [0, 1]. places: of each patch, [P]; image: at least the highest of them

    by_head: of each patch by the head and by what was rejected alone; None without a head
    """

    places: Floats
    image: float
    by_head: Floats | None = None


@dataclass(frozen=True, eq=False)
class PatchJudge:
    """Judges patches. memory: of good ones, those accepted last; positives: rejected ones

    usual: mean and deviation of good images' distances at each place, [2, p], see `network.Usual`
    """

    memory: PatchMemory
    positives: Positives
    state: MemoryState
    usual: Floats

    @classmethod
    def of(cls, rows: Floats, state: MemoryState, usual: Floats, *, neighbours: int) -> PatchJudge:
        """Judge by a bundle's patches. rows: good ones, and behind them the rejected, [M + N, D]"""
        memory = PatchMemory(np.ascontiguousarray(rows[: state.patches]), neighbours)
        return cls(memory, Positives.beside(memory, rows[state.patches :]), state, usual)

    def judged(
        self, patches: Floats, head: HeadWord | None, *, places: NDArray[np.int32] | None = None
    ) -> Judgement:
        """Scores of an image's patches, and of the image.

        patches: [P, D], all of them, or those of some places; head: None without one
        places: numbers of these, row by row, [P]; None: all
        """
        alarms = self.positives.alarms(patches)
        deviations_here = unusual(self.memory.distances(patches), self.usual_at(places))
        by_memory = standardised(deviations_here, self.state.distance)
        word = None if head is None else self.heard(patches, head)
        deviations = by_memory if word is None else np.maximum(by_memory, word.places)
        values = np.maximum(in_unit_range(deviations), alarms).astype(np.float32)
        image = float(values.max()) if word is None else max(float(values.max()), in_unit_range(word.image))
        if word is None:
            return Judgement(values, image)
        return Judgement(values, image, np.maximum(in_unit_range(word.places), alarms).astype(np.float32))

    def usual_at(self, places: NDArray[np.int32] | None) -> Floats:
        """Usual distances at some places, [2, P]; at all of them, or [2, 1] where all are alike."""
        alike = self.usual.shape[1] == 1
        return self.usual if places is None or alike else self.usual[:, places]

    def heard(self, patches: Floats, head: HeadWord) -> HeadWord:
        """The head's word, silent where a patch is like one that was accepted."""
        silent = self.like_accepted(patches)
        image = SILENT if silent[int(head.places.argmax())] else head.image
        return HeadWord(np.where(silent, SILENT, head.places), float(image))

    def like_accepted(self, patches: Floats) -> NDArray[np.bool_]:
        """Patches that are like one that was accepted, [P]. patches: [P, D]"""
        if not self.state.accepted:
            return np.zeros(len(patches), np.bool_)
        accepted = PatchMemory(self.memory.rows[self.state.patches - self.state.accepted :], neighbours=1)
        return accepted.distances(patches) <= self.silence_within

    @property
    def silence_within(self) -> float:
        """Distance from an accepted patch within which the head has no say."""
        mean, deviation = self.usual.mean(axis=1)
        return SILENCE * float(mean + self.state.distance.mean * deviation)


def word_of(log_odds: Floats, state: MemoryState) -> HeadWord:
    """Deviations by the head's log odds, [2, h, w]: of each place, and everywhere that of the image."""
    assert state.place is not None and state.image is not None
    return HeadWord(
        standardised(log_odds[0].ravel(), state.place), standardised(float(log_odds[1].max()), state.image)
    )
