"""Corrections as data: patches of an accepted image become good ones, patches of a rejected one alarm.

Nothing is trained, and no torch is needed. A correction is undone by taking its patches away again, which are
the last of their kind. Letters: P patches, D dimensions, M good and N defective patches, V validation images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.store import Tensors
from blemish.errors import BlemishError
from blemish.methods.capabilities import CorrectedBundle, CorrectedImage, CorrectionKind, KnownScore
from blemish.methods.contract import Networks
from blemish.methods.memory.inference import PATCHES, USUAL, MemoryInference, patches_of
from blemish.methods.memory.judging import HeadWord, PatchJudge
from blemish.methods.memory.nearest import PatchMemory, highest
from blemish.methods.memory.scale import from_unit_range
from blemish.methods.memory.state import Correction, MemoryState

Floats = NDArray[np.float32]
QUIET = -1.0  # deviations that no patch of an accepted image is above afterwards, at most
BELOW = 0.5  # deviations that they stay below those of REVIEW, at least
MOST_ACCEPTED = 256  # patches of an image at most
REJECTED = 5  # patches of a rejected image without boxes, its highest
IN_BOX = 0.25  # share of a box's patches, its highest
WORDS = {"accept": "accepted", "reject": "rejected"}


@dataclass(frozen=True)
class Corrector:
    """Corrects a bundle. tensors: of all its networks that are kept as tensors"""

    inference: MemoryInference
    networks: Networks
    tensors: Mapping[str, Tensors]
    memory: Mapping[str, Any]

    def corrected(
        self,
        kind: CorrectionKind,
        images: Sequence[CorrectedImage],
        *,
        review: float,
        by: str,
        on: str,
    ) -> CorrectedBundle:
        """Bundle with the images' patches among the good or the defective ones.

        review: score from which an image is not OK
        Raises BlemishError for an image that the same correction was made for before.
        """
        state = self.inference.state
        self.refuse_known(kind, images)
        held = self.tensors[PATCHES]
        judge = self.judge(held, state)
        added: list[Floats] = []
        for image in images:
            features, _ = self.inference.features(image.pixels, self.networks)
            word = self.inference.head_word(features, self.networks)
            if kind == "accept":
                rows = accepted_patches(judge, patches_of(features), word, review)
            else:
                rows = self.rejected_patches(judge, features, word, image)
            added.append(rows)
            judge = extended(judge, kind, rows)
        name = "good" if kind == "accept" else "defective"
        rows = np.concatenate(added)
        correction = Correction(
            kind=kind,
            images={image.digest: image.name for image in images},
            patches=len(rows),
            by=by,
            on=on,
        )
        corrections = [*self.memory.get("corrections", ()), correction.model_dump(mode="json")]
        changed = {**held, name: np.concatenate([held[name], rows])}
        return self.bundle(changed, corrections)

    def undone(self, kind: CorrectionKind) -> CorrectedBundle:
        """Bundle without its last correction of a kind. Raises BlemishError where it has none."""
        state = self.inference.state
        numbers = [number for number, each in enumerate(state.corrections) if each.kind == kind]
        if not numbers:
            raise BlemishError(f"This bundle has no image that was {WORDS[kind]}. Leave --undo out.")
        last = numbers[-1]
        held = self.tensors[PATCHES]
        name = "good" if kind == "accept" else "defective"
        left = held[name][: len(held[name]) - state.corrections[last].patches]
        corrections = list(self.memory["corrections"])
        del corrections[last]
        return self.bundle({**held, name: left}, corrections)

    def bundle(self, held: Tensors, corrections: Sequence[Mapping[str, Any]]) -> CorrectedBundle:
        """Bundle of these tensors and corrections, with what it makes of the validation images."""
        counts = {"patches": len(held["good"]), "positives": len(held["defective"])}
        memory = {**self.memory, **counts, "corrections": list(corrections)}
        for name in ("positives", "corrections"):
            if not memory[name]:  # as a training leaves it, so that nothing of what is undone remains
                del memory[name]
        state = MemoryState.model_validate(memory)
        before, after = (
            known_scores(self.judge(tensors, own), tensors)
            for tensors, own in ((self.tensors[PATCHES], self.inference.state), (held, state))
        )
        known = tuple(
            KnownScore(image.id, image.defective, was, now)
            for image, was, now in zip(state.validation, before, after, strict=True)
        )
        return CorrectedBundle({PATCHES: held}, memory, known)

    def judge(self, held: Tensors, state: MemoryState) -> PatchJudge:
        rows = np.concatenate([held["good"], held["defective"]])
        usual = self.tensors[USUAL]["distance"].astype(np.float32)
        return PatchJudge.of(rows, state, usual, neighbours=self.inference.neighbours)

    def refuse_known(self, kind: CorrectionKind, images: Sequence[CorrectedImage]) -> None:
        """Raise BlemishError for an image that is corrected already, or is given twice."""
        known = {digest: each.kind for each in self.inference.state.corrections for digest in each.images}
        for image in images:
            if known.get(image.digest) == kind:
                raise BlemishError(f"{image.name} was {WORDS[kind]} before. Leave it out.")
            if image.digest in known:
                other: CorrectionKind = "reject" if kind == "accept" else "accept"
                raise BlemishError(
                    f"{image.name} was {WORDS[other]} before. Undo that first: blemish {other} BUNDLE --undo."
                )

    def rejected_patches(
        self, judge: PatchJudge, features: Floats, word: HeadWord | None, image: CorrectedImage
    ) -> Floats:
        """Highest patches of an image, or of each of its boxes, [·, D]. features: [D, h, w]"""
        patches = patches_of(features)
        values = judge.judged(patches, word).places
        if image.boxes is None:
            return patches[highest(values, REJECTED)]
        size = (image.pixels.shape[0], image.pixels.shape[1])
        chosen: set[int] = set()
        for box in image.boxes:
            inside = self.inference.places_in(box, size, features.shape[1:])
            count = max(1, round(IN_BOX * len(inside)))
            chosen |= {int(inside[number]) for number in highest(values[inside], count)}
        return patches[sorted(chosen)]


def accepted_patches(judge: PatchJudge, patches: Floats, word: HeadWord | None, review: float) -> Floats:
    """Patches of an image after whose adding none alarms, by the memory or by the head, [·, D].

    The farthest from what is known is added, again and again.
    patches: [P, D]; review: see `Corrector.corrected`
    """
    standard = judge.state.distance
    quiet = min(QUIET, from_unit_range(review) - BELOW) if 0 < review < 1 else QUIET
    mean, deviation = judge.usual
    limit = mean + (standard.mean + quiet * standard.deviation) * deviation
    loud = np.zeros(len(patches), np.bool_)
    if word is not None:
        loud = word.places > quiet
        loud[int(word.places.argmax())] |= word.image > quiet
    to_memory = PatchMemory(judge.memory.rows, neighbours=1).distances(patches)
    to_chosen = np.full(len(patches), np.inf, np.float32)
    chosen: list[int] = []
    while len(chosen) < MOST_ACCEPTED:
        open_ = (np.minimum(to_memory, to_chosen) > limit) | (loud & (to_chosen > judge.silence_within))
        if not open_.any():
            break
        chosen.append(int(np.where(open_, np.minimum(to_memory, to_chosen), -np.inf).argmax()))
        to_last = np.linalg.norm(patches - patches[chosen[-1]], axis=1)
        to_chosen = np.minimum(to_chosen, to_last).astype(np.float32)
    return patches[chosen]


def extended(judge: PatchJudge, kind: CorrectionKind, rows: Floats) -> PatchJudge:
    """Judge that knows patches of one more image, so that the next one adds no more than it must."""
    if kind == "reject" or not len(rows):
        return judge
    return replace(judge, memory=replace(judge.memory, rows=np.concatenate([judge.memory.rows, rows])))


def known_scores(judge: PatchJudge, held: Tensors) -> list[float]:
    """Score of each validation image by its highest patches, [V]."""
    scores = []
    for number, image in enumerate(judge.state.validation):
        patches = held["far"][number].astype(np.float32)
        word = None if image.head is None else HeadWord(held["far_words"][number], image.head)
        scores.append(judge.judged(patches, word, places=held["far_places"][number]).image)
    return scores
