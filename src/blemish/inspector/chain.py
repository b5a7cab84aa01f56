"""Several bundles as a cascade with one answer for each image.

What a stage is follows from what its bundle can do, not from its method: a *gate* answers for the image, an
*outliner* finds regions, a *namer* finds boxes with names. A chain is any two or all three of them in this
order. An image that the gate calls OK passes without the later stages; else the outliner's regions take the
namer's names (see `naming`), and boxes that name no region are defects of their own: nothing that these two
find is lost.

**Score and verdict are the first stage's.** Its thresholds were chosen on validation images, with bounds; so
that these go on to hold, a later stage may only send an image to a person, and never passes or rejects one:

- NG or REVIEW of the first stage, and no stage finds a defect: REVIEW, as there is nothing to show for it.
- OK of an outliner that comes first, and the namer finds a defect: REVIEW. A gate's OK is not asked again.
- Else the first stage's verdict.

So what the chain passes the first stage passed, and what it rejects the first stage rejected: behind a gate
the escapes are just the gate's, and overkill is at most the gate's. AUROC and all else that follows the
scores are the first stage's, whatever comes after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isinf
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.store import Bundle
from blemish.decision.decision import GRADES
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.images.decode import with_channels
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.inspector import Inspector, in_scale, inspector_of, judged_file
from blemish.inspector.naming import naming
from blemish.methods.contract import Inference, Pixels
from blemish.regions.filled_boxes import filled_boxes


class Role(StrEnum):
    """What a stage does, in the order of a chain."""

    GATE = "gate"
    OUTLINER = "outliner"
    NAMER = "namer"


Answers = Mapping[Role, Inspection]


@dataclass(frozen=True)
class Abilities:
    """What a chain can do, in the words of `Inference`; a chain is given images as they are stored."""

    mm_per_px: float | None
    names_types: bool
    finds_outlines: bool
    pixel_threshold: float | None
    severity_top: float | None
    threshold_score: float | None
    channels: None = None


@dataclass(frozen=True)
class Together:
    """What the outliner and the namer found, as one list: regions, some named, then boxes without a region.

    regions, boxes: of that list; unnamed: the regions that keep the outliner's name
    """

    regions: tuple[Defect, ...]
    boxes: tuple[Defect, ...]
    unnamed: tuple[Defect, ...]

    @property
    def defects(self) -> tuple[Defect, ...]:
        return self.regions + self.boxes


@dataclass(frozen=True)
class Chain:
    """Inspectors one behind the other, asked as one `Inspector` is. stages: as `chain_of` allows them"""

    stages: tuple[Inspector, ...]

    @property
    def bundle(self) -> str:
        """The ids of all bundles, whether they were asked or not."""
        return "+".join(stage.bundle for stage in self.stages)

    @property
    def inference(self) -> Abilities:
        outliner = next((one.inference for one in self.stages if one.inference.finds_outlines), None)
        return Abilities(
            mm_per_px=next((one.scale for one in self.stages if one.scale is not None), None),
            names_types=any(stage.inference.names_types for stage in self.stages),
            finds_outlines=outliner is not None,
            pixel_threshold=outliner.pixel_threshold if outliner else None,
            severity_top=outliner.severity_top if outliner else None,
            threshold_score=self.stages[0].inference.threshold_score,
        )

    def verdict(self, score: float) -> Verdict:
        """The first stage's for a score, before the later ones are asked."""
        return self.stages[0].verdict(score)

    def inspect(self, path: Path, *, with_maps: bool = False) -> Inspection:
        """The answer for one image file, decoded once; see `Inspector.inspect`."""
        return judged_file(path, self.judge, channels=None, bundle=self.bundle, with_maps=with_maps)

    def judge(
        self, pixels: Pixels, name: str, *, with_maps: bool = False, decode_ms: float | None = None
    ) -> Inspection:
        """The answer for pixels as stored, [H, W] or [H, W, 3]; ERROR where any stage that is asked fails."""
        answers: dict[Role, Inspection] = {}
        for stage in self.stages:
            own = with_channels(pixels, stage.inference.channels)
            role, answer = role_of(stage.inference), stage.judge(own, name, with_maps=with_maps)
            if answer.verdict is Verdict.ERROR:
                return failed(name, f"{role} {stage.bundle}: {answer.error}", bundle=self.bundle)
            answers[role] = answer
            if role is Role.GATE and answer.verdict is Verdict.OK:
                break
        return self.combined(answers, with_maps=with_maps, decode_ms=decode_ms)

    def combined(self, answers: Answers, *, with_maps: bool, decode_ms: float | None) -> Inspection:
        """The answers of the stages that were asked as one; of the first, what is not said otherwise here."""
        first, namer, scale = next(iter(answers.values())), answers.get(Role.NAMER), self.inference.mm_per_px
        found = together(answers, scale)
        verdict, reasons = decided(answers, found.defects)
        decode = {} if decode_ms is None else {"decode": decode_ms}
        return replace(
            first,
            verdict=verdict,
            reasons=(*first.reasons, *reasons, *reasons_of_later(answers)),
            grade=worst_of(answer.grade for answer in answers.values()),
            defects=found.defects,
            bundle=self.bundle,
            timings_ms={**decode, **stage_timings(answers)},
            mm_per_px=scale,
            maps=self.maps(answers, found, first.size or (0, 0)) if with_maps else {},
            candidates=(*namer.candidates, *found.unnamed) if namer else (),
        )

    def maps(
        self, answers: Answers, found: Together, size: tuple[int, int]
    ) -> dict[str, NDArray[np.generic]]:
        """The outliner's maps, with boxes that have no region behind its numbers, and the gate's own ones.

        Where no outliner was asked all is sound: severity 0.
        """
        gate, outliner = answers.get(Role.GATE), answers.get(Role.OUTLINER)
        maps = {name: each for name, each in gate.maps.items() if name != "defects"} if gate else {}
        if self.inference.severity_top is not None:
            maps["severity"] = outliner.maps["severity"] if outliner else np.zeros(size, np.float32)
        boxes = filled_boxes(found.boxes, size)
        numbers = outliner.maps["defects"] if outliner else np.zeros(size, np.int32)
        maps["defects"] = np.where((numbers == 0) & (boxes > 0), boxes + len(found.regions), numbers)
        return maps


Judge = Inspector | Chain


def judge_of(bundles: Sequence[Bundle], *, device: str = "auto", mm_per_px: float | None = None) -> Judge:
    """The inspector of one loaded bundle, or of several the chain; mm_per_px: see `inspector_of`.

    Raises BlemishError for a bundle that is refused and for bundles that make no chain.
    """
    return as_judge([inspector_of(bundle, device=device, mm_per_px=mm_per_px) for bundle in bundles])


def as_judge(stages: Sequence[Inspector]) -> Judge:
    """The one inspector that there is, or the chain. Raises BlemishError for those that make none."""
    return stages[0] if len(stages) == 1 else chain_of(stages)


def stages_of(judge: Judge) -> tuple[Inspector, ...]:
    return judge.stages if isinstance(judge, Chain) else (judge,)


def chain_of(stages: Sequence[Inspector]) -> Chain:
    """The chain of two inspectors or three. Raises BlemishError where they make none, naming the bundles."""
    refuse_twice(stages)
    refuse_order(stages)
    refuse_open_gate(stages[0])
    refuse_scales(stages)
    return Chain(tuple(stages))


def role_of(inference: Inference) -> Role:
    """What a bundle does in a chain, by what it can do."""
    if inference.finds_outlines:
        return Role.OUTLINER
    return Role.NAMER if inference.names_types else Role.GATE


def refuse_twice(stages: Sequence[Inspector]) -> None:
    for index, stage in enumerate(stages):
        if stage.bundle in [other.bundle for other in stages[:index]]:
            raise BlemishError(f"A chain must have each bundle once. Received: {stage.bundle} twice.")


def refuse_order(stages: Sequence[Inspector]) -> None:
    roles = [role_of(stage.inference) for stage in stages]
    places = [list(Role).index(role) for role in roles]
    if places == sorted(set(places)):
        return
    received = ", then ".join(f"{stage.bundle} ({role})" for stage, role in zip(stages, roles, strict=True))
    double = next((role for role in Role if roles.count(role) > 1), None)
    late = next((one for one, place in enumerate(places) if place < max(places[: one + 1])), 0)
    remedy = f"Leave out one {double}" if double else f"Put the {roles[late]} before the {roles[late - 1]}"
    raise BlemishError(
        "A chain must be a gate (answers for the image), an outliner (finds regions) and a namer (boxes with "
        f"names), in this order, each at most once. Received: {received}. {remedy}."
    )


def refuse_open_gate(first: Inspector) -> None:
    if role_of(first.inference) is Role.GATE and isinf(first.review):
        raise BlemishError(
            f"{first.bundle} must have thresholds to be a gate; without them it lets everything pass. "
            "Train it again with validation images."
        )


def refuse_scales(stages: Sequence[Inspector]) -> None:
    """One scale that is known serves the stages that know none."""
    scales = {stage.bundle: stage.scale for stage in stages if stage.scale is not None}
    if len(set(scales.values())) > 1:
        received = ", ".join(f"{scale:g} of {bundle}" for bundle, scale in scales.items())
        raise BlemishError(
            f"The bundles of a chain must have one scale, in mm per pixel. Received: {received}. "
            "Train one of them again with the other's mm_per_px."
        )


def together(answers: Answers, scale: float | None) -> Together:
    """The outliner's regions under the namer's names. scale: mm per pixel of every defect"""
    outliner, namer = answers.get(Role.OUTLINER), answers.get(Role.NAMER)
    regions = in_scale(outliner.defects if outliner else (), scale)
    boxes = in_scale(namer.defects if namer else (), scale)
    names = naming(regions, boxes)
    return Together(
        regions=tuple(
            region if name is None else named(region, boxes[name])
            for region, name in zip(regions, names, strict=True)
        ),
        boxes=tuple(box for index, box in enumerate(boxes) if index not in names),
        unnamed=tuple(region for region, name in zip(regions, names, strict=True) if name is None),
    )


def named(region: Defect, box: Defect) -> Defect:
    return replace(region, label=box.label, confidence=box.confidence)


def decided(answers: Answers, defects: Sequence[Defect]) -> tuple[Verdict, tuple[str, ...]]:
    """The chain's verdict by the rule in this file's header, and the reason where stages disagree."""
    role, first = next(iter(answers.items()))
    namer = answers.get(Role.NAMER)
    if first.verdict is not Verdict.OK and not defects:
        return Verdict.REVIEW, (nothing_found(role, first),)
    if first.verdict is Verdict.OK and role is Role.OUTLINER and namer and namer.defects:
        surest = max(namer.defects, key=lambda defect: defect.confidence)
        found = f"{surest.label} {surest.confidence:.2f}"
        return Verdict.REVIEW, (f"the outliner calls the image OK, the namer finds a defect ({found})",)
    return first.verdict, ()


def reasons_of_later(answers: Answers) -> tuple[str, ...]:
    """What the decisions of the later stages say, each with the stage's role."""
    return tuple(
        f"{role}: {reason}" for role, answer in list(answers.items())[1:] for reason in answer.reasons
    )


def worst_of(grades: Iterable[str | None]) -> str | None:
    """The worst grade that any stage's decision gave; None where none grades."""
    given = set(grades)
    return next((grade for grade in GRADES if grade in given), None)


def nothing_found(role: Role, first: Inspection) -> str:
    """Why a person is to look, and where the gate points: its box measures nothing and is no defect."""
    text = (
        f"the {role} calls the image {first.verdict} (score {first.score:.2f}), and no stage finds a defect"
    )
    pointed = [", ".join(f"{edge:.0f}" for edge in defect.box_xyxy) for defect in first.defects]
    return f"{text}; the {role} points at {'; '.join(pointed)}" if pointed else text


def stage_timings(answers: Answers) -> dict[str, float]:
    """Milliseconds of each step of each stage that was asked, such as "gate.network"."""
    return {
        f"{role}.{step}": value
        for role, answer in answers.items()
        for step, value in answer.timings_ms.items()
    }
