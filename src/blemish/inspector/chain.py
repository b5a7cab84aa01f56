"""Several bundles as a cascade with one answer for each image.

The role of a stage follows from what its bundle can do, not from its method: a *gate* answers for the image,
a *segmenter* finds regions, a *detector* finds boxes with names. A chain is any two or all three of them in
this order. An image that the gate calls OK passes without the later stages; else the segmenter's regions take
the detector's names (see `naming`), and boxes that name no region are defects of their own: nothing that
these two find is lost.

**Score and verdict are the first stage's.** Its thresholds were chosen on validation images, with bounds; so
that these go on to hold, a later stage may only send an image to a person, and never passes or rejects one:

- NG or REVIEW of the first stage, and no stage finds a defect: REVIEW, as there is nothing to show for it.
- OK of a segmenter that comes first, and the detector finds a defect: REVIEW. A gate's OK is not asked again.
- OK, and the image is unlike the training images of a stage that was asked: REVIEW.
- Else the first stage's verdict.

What a later stage finds under its own limit is a defect where the first stage calls the image NG or REVIEW,
and none where it calls it OK.

So what the chain passes the first stage passed, and what it rejects the first stage rejected: behind a gate
the escapes are just the gate's, and overkill is at most the gate's. AUROC and all else that follows the
scores are the first stage's, whatever comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.bundle.store import Bundle
from blemish.decision.decision import GRADES
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.chain_data import refuse_unrelated
from blemish.inspector.chain_order import (
    Role,
    refuse_bits,
    refuse_open_gate,
    refuse_order,
    refuse_scales,
    roles_of,
)
from blemish.inspector.inspector import BundleInspector, in_scale, judged_file
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.loading import inspector_of
from blemish.inspector.naming import naming
from blemish.regions.filled_boxes import filled_boxes

StageAnswers = Mapping[Role, Inspection]


@dataclass(frozen=True)
class Abilities:
    """Capabilities of a chain, in the words of `Inference`; it is given images as they are stored."""

    mm_per_px: float | None
    classifies: bool
    segments: bool
    pixel_threshold: float | None
    score_map_max: float | None
    threshold_score: float | None
    channels: None = None


@dataclass(frozen=True)
class MergedDefects:
    """Defects of the segmenter and the detector as one list: regions, some named, then boxes alone.

    regions, boxes: of that list; unnamed: the regions that keep the segmenter's name
    """

    regions: tuple[Defect, ...]
    boxes: tuple[Defect, ...]
    unnamed: tuple[Defect, ...]

    @property
    def defects(self) -> tuple[Defect, ...]:
        return self.regions + self.boxes


@dataclass(frozen=True)
class Chain:
    """Inspectors one behind the other that give one answer. stages: as `chain_of` allows them"""

    stages: tuple[BundleInspector, ...]

    @property
    def bundle(self) -> str:
        """Ids of all bundles, joined by "+"."""
        return "+".join(stage.bundle for stage in self.stages)

    @property
    def bits(self) -> int | None:
        """Bits that 16-bit images use, see `BundleInspector`."""
        return self.stages[0].bits

    @property
    def inference(self) -> Abilities:
        roles = dict(zip(roles_of(self.stages), self.stages, strict=True))
        segmenter = roles[Role.SEGMENTER].inference if Role.SEGMENTER in roles else None
        return Abilities(
            mm_per_px=next((stage.scale for stage in self.stages if stage.scale is not None), None),
            classifies=any(stage.inference.classifies for stage in self.stages),
            segments=segmenter is not None,
            pixel_threshold=segmenter.pixel_threshold if segmenter else None,
            score_map_max=segmenter.score_map_max if segmenter else None,
            threshold_score=self.stages[0].inference.threshold_score,
        )

    def verdict(self, score: float) -> Verdict:
        """Verdict of the first stage for a score, before a later stage is asked."""
        return self.stages[0].verdict(score)

    def inspect(self, path: Path, *, with_maps: bool = False) -> Inspection:
        """Inspect an image file, decoded once; see `BundleInspector.inspect`."""
        return judged_file(path, self.judge, bits=self.bits, bundle=self.bundle, with_maps=with_maps)

    def judge(
        self,
        pixels: Pixels,
        name: str,
        *,
        with_maps: bool = False,
        decode_ms: float | None = None,
        whole: bool = True,
    ) -> Inspection:
        """Inspect pixels as stored, [H, W] or [H, W, 3]; ERROR where any stage that is asked fails.

        whole: see `BundleInspector.judge`
        """
        answers: dict[Role, Inspection] = {}
        like = True
        for stage, role in zip(self.stages, roles_of(self.stages), strict=True):
            first = next(iter(answers.values()), None)
            passed = first is None or first.verdict is Verdict.OK
            asked = replace(stage, limited=stage.limited and passed)
            forwarded = asked.forward(pixels, name, whole=whole)
            answer = asked.decide(forwarded, with_maps=with_maps)
            like = like and not forwarded.unlike
            if answer.verdict is Verdict.ERROR:
                return failed(name, f"{role} {stage.bundle}: {answer.error}", bundle=self.bundle)
            answers[role] = answer
            if role is Role.GATE and answer.verdict is Verdict.OK:
                break
        combined = self.combined(answers, with_maps=with_maps, decode_ms=decode_ms)
        if combined.verdict is Verdict.OK and not like:
            return combined.with_verdict(Verdict.REVIEW)
        return combined

    def combined(self, answers: StageAnswers, *, with_maps: bool, decode_ms: float | None) -> Inspection:
        """Merge the answers of the stages that were asked; fields not named here are the first stage's."""
        first, detector = next(iter(answers.values())), answers.get(Role.DETECTOR)
        scale = self.inference.mm_per_px
        found = merged_defects(answers, scale)
        every = merged_defects({role: with_all_findings(each) for role, each in answers.items()}, scale)
        verdict, reasons = decided(answers, found.defects)
        later = [
            f"{role}: {reason}" for role, answer in list(answers.items())[1:] for reason in answer.reasons
        ]
        grades = {answer.grade for answer in answers.values()}
        worst = next((grade for grade in GRADES if grade in grades), None)
        decode = {} if decode_ms is None else {"decode": decode_ms}
        return replace(
            replace(first, grade=worst).with_verdict(verdict, *reasons, *later),
            defects=found.defects,
            under_limit=under_limit(answers, scale),
            bundle=self.bundle,
            timings_ms={**decode, **stage_timings(answers)},
            mm_per_px=scale,
            maps=self.maps(answers, found, first.size or (0, 0)) if with_maps else {},
            candidates=(*detector.candidates, *every.unnamed) if detector else (),
        )

    def maps(
        self, answers: StageAnswers, found: MergedDefects, size: tuple[int, int]
    ) -> dict[str, NDArray[np.generic]]:
        """Maps of the segmenter, with boxes that have no region numbered behind its own, and of the gate.

        Where no segmenter was asked all is sound: severity 0.
        """
        gate, segmenter = answers.get(Role.GATE), answers.get(Role.SEGMENTER)
        maps = {name: each for name, each in gate.maps.items() if name != "defects"} if gate else {}
        if self.inference.score_map_max is not None:
            maps["score_map"] = segmenter.maps["score_map"] if segmenter else np.zeros(size, np.float32)
        boxes = filled_boxes(found.boxes, size)
        numbers = segmenter.maps["defects"] if segmenter else np.zeros(size, np.int32)
        maps["defects"] = np.where((numbers == 0) & (boxes > 0), boxes + len(found.regions), numbers)
        return maps


Judge = BundleInspector | Chain


def judge_of(
    bundles: Sequence[Bundle],
    *,
    device: str = "auto",
    mm_per_px: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
    input_check: bool = True,
) -> Judge:
    """Inspector of a loaded bundle, or the chain of several; the options: see `inspector_of`.

    Raises BlemishError for a bundle that is refused and for bundles that make no chain.
    """
    if input_check:
        refuse_unrelated(bundles)
    return as_judge(
        [
            inspector_of(bundle, device=device, mm_per_px=mm_per_px, limits=limits, input_check=input_check)
            for bundle in bundles
        ]
    )


def as_judge(stages: Sequence[BundleInspector]) -> Judge:
    """The inspector itself, or the chain of several. Raises BlemishError for those that make no chain."""
    return stages[0] if len(stages) == 1 else chain_of(stages)


def stages_of(judge: Judge) -> tuple[BundleInspector, ...]:
    """Inspectors of a chain in their order, or the inspector alone."""
    return judge.stages if isinstance(judge, Chain) else (judge,)


def unlimited(judge: Judge) -> Judge:
    """The judge without a limit of the score under which findings are no defects."""
    return as_judge([replace(stage, limited=False) for stage in stages_of(judge)])


def chain_of(stages: Sequence[BundleInspector]) -> Chain:
    """Chain of two or three inspectors. Raises BlemishError, naming the bundles, where they make none."""
    for index, stage in enumerate(stages):
        if stage.bundle in [other.bundle for other in stages[:index]]:
            raise BlemishError(f"A chain must have each bundle once. Received: {stage.bundle} twice.")
    refuse_order(stages)
    refuse_open_gate(stages)
    refuse_scales(stages)
    refuse_bits(stages)
    return Chain(tuple(stages))


def merged_defects(answers: StageAnswers, scale: float | None) -> MergedDefects:
    """Merge regions of the segmenter with the names of the detector's boxes. scale: mm per pixel of all"""
    segmenter, detector = answers.get(Role.SEGMENTER), answers.get(Role.DETECTOR)
    regions = in_scale(segmenter.defects if segmenter else (), scale)
    boxes = in_scale(detector.defects if detector else (), scale)
    names = naming(regions, boxes)
    return MergedDefects(
        regions=tuple(
            region
            if name is None
            else replace(region, label=boxes[name].label, confidence=boxes[name].confidence)
            for region, name in zip(regions, names, strict=True)
        ),
        boxes=tuple(box for index, box in enumerate(boxes) if index not in names),
        unnamed=tuple(region for region, name in zip(regions, names, strict=True) if name is None),
    )


def with_all_findings(answer: Inspection) -> Inspection:
    """Answer whose findings under the limit are defects, too."""
    return replace(answer, defects=(*answer.defects, *answer.under_limit))


def under_limit(answers: StageAnswers, scale: float | None) -> tuple[Defect, ...]:
    """Findings of the segmenter and the detector that are no defects. scale: mm per pixel of all"""
    later = [answers[role] for role in (Role.SEGMENTER, Role.DETECTOR) if role in answers]
    return in_scale(tuple(each for answer in later for each in answer.under_limit), scale)


def decided(answers: StageAnswers, defects: Sequence[Defect]) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict of a chain by the rule in this module's text, and the reason where stages disagree."""
    role, first = next(iter(answers.items()))
    detector = answers.get(Role.DETECTOR)
    if first.verdict is not Verdict.OK and not defects:
        return Verdict.REVIEW, (nothing_found(role, first),)
    if first.verdict is Verdict.OK and role is Role.SEGMENTER and detector and detector.defects:
        surest = max(detector.defects, key=lambda defect: defect.confidence)
        found = f"{surest.label} {surest.confidence:.2f}"
        return Verdict.REVIEW, (f"the segmenter calls the image OK, the detector finds a defect ({found})",)
    return first.verdict, ()


def nothing_found(role: Role, first: Inspection) -> str:
    """Reason for REVIEW without a defect, with the gate's boxes, which measure nothing and are no defects."""
    text = (
        f"the {role} calls the image {first.verdict} (score {first.score:.2f}), and no stage finds a defect"
    )
    pointed = [", ".join(f"{edge:.0f}" for edge in defect.box_xyxy) for defect in first.defects]
    return f"{text}; the {role} points at {'; '.join(pointed)}" if pointed else text


def stage_timings(answers: StageAnswers) -> dict[str, float]:
    """Milliseconds of each step of each stage that was asked, such as "gate.network"."""
    return {
        f"{role}.{step}": value
        for role, answer in answers.items()
        for step, value in answer.timings_ms.items()
    }
