"""The one forward path: decode → normalise → tile → network → merge → decide → measure → Inspection.

Training-time evaluation, `inspect` and the tests all come through here; what differs between methods is their
`Inference`, what differs between machines is the networks behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.decision.decision import Decision, Judged, reasons_under_limit
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.images.bit_depth import full_range
from blemish.images.decode import read_image, with_channels
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.input_check import InputCheck, reviewed
from blemish.inspector.limits import DEFAULT_LIMITS, Limits, time_limit
from blemish.methods.contract import ImageFindings, Inference, Networks
from blemish.record import UsedBundle

InspectionMaps = Mapping[str, NDArray[np.generic]]
T = TypeVar("T")


@dataclass(frozen=True)
class Forwarded:
    """Network output of an image, before anything is decided.

    pixels: in the method's channels; raw: see `Inference.forward`; timings_ms: of the steps so far
    unlike: ways in which the image is unlike those of the training
    """

    name: str
    pixels: Pixels
    raw: NDArray[np.float32]
    timings_ms: Mapping[str, float]
    unlike: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundleInspector:
    """A method's inference half with its networks, and the thresholds or decision that make the verdict.

    review, ng: image scores from which the verdict is REVIEW and NG; review ≤ ng
    bundle: id of the bundle, written into every inspection
    decision: instead of the two; mm_per_px: instead of the bundle's scale
    limited: findings of an image whose score stays under `review` are no defects, unless they meet a rule of
        the decision; False: all are. Without thresholds (`review` is infinite) there is no such limit
    bits: that 16-bit images use; None: all, which is asked about where an image uses 12 at most
    used: the bundle as a record names it; None for one that is not on disk, as in training
    limits: of each image; one that takes more is an ERROR
    input_check: tells images unlike those of the training, which are not OK but REVIEW; None: takes any
    """

    inference: Inference
    networks: Networks
    review: float
    ng: float
    bundle: str
    decision: Decision | None = None
    mm_per_px: float | None = None
    bits: int | None = None
    used: UsedBundle | None = None
    limits: Limits = DEFAULT_LIMITS
    input_check: InputCheck | None = None
    limited: bool = True

    @property
    def scale(self) -> float | None:
        """Scale in mm per pixel: the user's, else the decision's, else the bundle's; None if unknown."""
        own = self.decision.mm_per_px if self.decision else None
        return self.mm_per_px or own or self.inference.mm_per_px

    def inspect(self, path: Path, *, with_maps: bool = False) -> Inspection:
        """Inspect an image file.

        A file that cannot be read, or is too large for the memory, gives an ERROR answer and no exception.
        """
        return judged_file(
            path,
            self.judge,
            bits=self.bits,
            bundle=self.bundle,
            with_maps=with_maps,
        )

    def judge(
        self,
        pixels: Pixels,
        name: str,
        *,
        with_maps: bool = False,
        decode_ms: float | None = None,
        whole: bool = True,
    ) -> Inspection:
        """Inspect pixels as stored, [H, W] or [H, W, 3]. whole: False for a part of an image, of any size"""
        forwarded = self.forward(pixels, name, decode_ms=decode_ms, whole=whole)
        return self.decide(forwarded, with_maps=with_maps)

    def forward(
        self, pixels: Pixels, name: str, *, decode_ms: float | None = None, whole: bool = True
    ) -> Forwarded:
        """Run the network on pixels as stored: the first half of `judge`."""
        unlike = self.input_check.reasons(pixels, whole=whole) if self.input_check else ()
        pixels = with_channels(pixels, self.inference.channels)
        start = perf_counter()
        with time_limit(self.limits.seconds_for(pixels.shape[0] * pixels.shape[1])):
            raw = self.inference.forward(pixels, self.networks)
        decode = {} if decode_ms is None else {"decode": decode_ms}
        timings = {**decode, "network": 1e3 * (perf_counter() - start)}
        return Forwarded(name, pixels, raw, timings, unlike)

    def decide(self, forwarded: Forwarded, *, with_maps: bool = False) -> Inspection:
        """Decide on the network's output: the second half of `judge`."""
        start = perf_counter()
        if not np.isfinite(forwarded.raw).all():
            return self.not_finite(forwarded.name)
        pixels = forwarded.pixels
        seconds = self.limits.seconds_for(pixels.shape[0] * pixels.shape[1])
        with time_limit(seconds - 1e-3 * forwarded.timings_ms["network"]):
            findings = self.inference.decide(forwarded.raw, pixels, self.networks, with_maps=with_maps)
        if not all_finite(findings):
            return self.not_finite(forwarded.name)
        inspection = self.inspection(findings, forwarded.name, (pixels.shape[0], pixels.shape[1]))
        inspection = reviewed(inspection, forwarded.unlike)
        timings = {**forwarded.timings_ms, "decide": 1e3 * (perf_counter() - start)}
        return replace(inspection, timings_ms=timings)

    def not_finite(self, name: str) -> Inspection:
        """ERROR answer for a network output with values that are not finite."""
        message = f"{name}: the network's output is not finite. Train the bundle again."
        return failed(name, message, bundle=self.bundle)

    def inspection(self, findings: ImageFindings, name: str, size: tuple[int, int]) -> Inspection:
        """Answer that follows from the findings, without timings. size: (height, width)"""
        found = in_scale(findings.defects, self.scale)
        judged = self.judged(findings.score, found)
        return Inspection(
            image=name,
            size=size,
            verdict=judged.verdict,
            score=judged.score,
            defects=tuple(found[index] for index in judged.listed),
            bundle=self.bundle,
            mm_per_px=self.scale,
            maps=with_defects(findings.maps, judged.listed, len(found)),
            candidates=findings.candidates,
            spread=findings.spread,
            reasons=judged.reasons,
            grade=judged.grade,
            decision=self.decision.revision if self.decision else None,
            under_limit=tuple(found[index] for index in judged.under_limit),
        )

    def judged(self, score: float, found: Sequence[Defect]) -> Judged:
        """Verdict on an image, and which of its findings are defects."""
        if self.decision is not None:
            return self.decision.judge(
                score, found, without_defects=self.without_defects, limited=self.limited
            )
        every = tuple(range(len(found)))
        if not self.limited or score >= self.review or math.isinf(self.review):
            return Judged(self.verdict(score), None, (), score, every)
        reasons = tuple(reasons_under_limit(len(found), score, self.review))
        return Judged(Verdict.OK, None, reasons, score, (), every)

    @property
    def without_defects(self) -> float:
        """Highest score of an image without a defect; 1 where the score does not come from defects."""
        threshold = self.inference.threshold_score
        of_defects = self.inference.classifies or self.inference.pixel_threshold is not None
        return float(np.nextafter(threshold, 0.0)) if of_defects and threshold is not None else 1.0

    def verdict(self, score: float) -> Verdict:
        """OK below the review threshold, NG from the NG threshold on, REVIEW between."""
        if score >= self.ng:
            return Verdict.NG
        return Verdict.REVIEW if score >= self.review else Verdict.OK


def all_finite(findings: ImageFindings) -> bool:
    """True where the score is a number from 0 on, and each defect's confidence and box are finite."""
    numbers = [(each.confidence, *each.box_xyxy) for each in (*findings.defects, *findings.candidates)]
    return 0 <= findings.score < math.inf and bool(np.isfinite(numbers).all())


def in_scale(defects: tuple[Defect, ...], scale: float | None) -> tuple[Defect, ...]:
    """Defects measured in that scale, mm per pixel."""
    return tuple(
        defect if defect.mm_per_px == scale else replace(defect, mm_per_px=scale) for defect in defects
    )


def with_defects(maps: InspectionMaps, kept: tuple[int, ...], count: int) -> InspectionMaps:
    """Renumber the map "defects": those kept from 1 on, the others 0. count: of all defects"""
    if "defects" not in maps or len(kept) == count:
        return maps
    numbers = np.zeros(count + 1, np.int32)
    numbers[np.array(kept, dtype=np.intp) + 1] = np.arange(1, len(kept) + 1)
    return {**maps, "defects": numbers[maps["defects"]]}


def judged_file(
    path: Path,
    judge: Callable[..., Inspection],
    *,
    bits: int | None,
    bundle: str,
    with_maps: bool,
) -> Inspection:
    """Answer of `judge` for an image file, see `BundleInspector.inspect` and `BundleInspector.judge`.

    bits: see `BundleInspector`; bundle: id for an image that cannot be read
    """
    start = perf_counter()
    try:
        pixels = full_range(read_image(path), bits, str(path))
    except BlemishError as error:
        return failed(str(path), str(error), bundle=bundle)
    decode_ms = 1e3 * (perf_counter() - start)
    return or_failed(
        lambda: judge(pixels, str(path), with_maps=with_maps, decode_ms=decode_ms), str(path), bundle
    )


def or_failed(judge: Callable[[], T], name: str, bundle: str) -> T | Inspection:
    """Answer of `judge`, or an ERROR answer for an image that is too large for the memory or OpenCV."""
    try:
        return judge()
    except BlemishError as error:  # of an exported bundle: a size that its graphs do not have
        return failed(name, f"{name} could not be judged: {error}", bundle=bundle)
    except (MemoryError, RuntimeError, cv2.error) as error:
        # torch runs out of memory with a RuntimeError; any other RuntimeError is a bug and must show.
        if type(error) is RuntimeError and "memory" not in str(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        return failed(name, f"{name} could not be judged: {reason}", bundle=bundle)


def __getattr__(name: str) -> Any:
    """Find `open_inspector`, which stood here in 0.1: it is in `loading` now, which needs this module."""
    if name == "open_inspector":
        from blemish.inspector.loading import open_inspector

        return open_inspector
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
