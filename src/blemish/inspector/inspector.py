"""The one forward path: decode → normalise → tile → network → merge → decide → measure → Inspection.

Training-time evaluation, `inspect` and the tests all come through here; what differs between methods is their
`Inference`, what differs between machines is the networks behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from blemish.bundle.manifest import Manifest, first_fault
from blemish.bundle.store import DECISION, Bundle, load_bundle
from blemish.decision.decision import Decision, Judged
from blemish.decision.store import refuse_unfit, stored_decision
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.extras import MissingExtraError, refuse_without
from blemish.images.decode import read_image
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.graph_backend import refuse_torch_options, served_networks
from blemish.methods import find_method
from blemish.methods.common.scores import default_label
from blemish.methods.contract import Findings, Inference, Method, Networks, Pixels

if TYPE_CHECKING:
    from torch import nn

Maps = Mapping[str, NDArray[np.generic]]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Forwarded:
    """An image behind the network, before anything is decided.

    raw: see `Inference.forward`; timings_ms: of the steps so far
    """

    name: str
    pixels: Pixels
    raw: NDArray[np.float32]
    timings_ms: Mapping[str, float]


@dataclass(frozen=True)
class Inspector:
    """A method's inference half with its networks and what makes the verdict.

    review, ng: image scores from which the verdict is REVIEW and NG; review ≤ ng
    bundle: id of the bundle, written into every inspection
    decision: instead of the two; mm_per_px: instead of the bundle's scale
    """

    inference: Inference
    networks: Networks
    review: float
    ng: float
    bundle: str
    decision: Decision | None = None
    mm_per_px: float | None = None

    @property
    def scale(self) -> float | None:
        """mm per pixel: as given, else the decision's, else the bundle's; None where none is known."""
        own = self.decision.mm_per_px if self.decision else None
        return self.mm_per_px or own or self.inference.mm_per_px

    def inspect(self, path: Path, *, with_maps: bool = False) -> Inspection:
        """The answer for one image file.

        One that cannot be read, or is too large for the memory, gives an ERROR answer and no exception.
        """
        return judged_file(
            path, self.judge, channels=self.inference.channels, bundle=self.bundle, with_maps=with_maps
        )

    def judge(
        self, pixels: Pixels, name: str, *, with_maps: bool = False, decode_ms: float | None = None
    ) -> Inspection:
        """The answer for decoded pixels, [H, W] or [H, W, 3] as the method's channels say."""
        return self.decide(self.forward(pixels, name, decode_ms=decode_ms), with_maps=with_maps)

    def forward(self, pixels: Pixels, name: str, *, decode_ms: float | None = None) -> Forwarded:
        """The first half of `judge`: the network's output."""
        start = perf_counter()
        raw = self.inference.forward(pixels, self.networks)
        decode = {} if decode_ms is None else {"decode": decode_ms}
        return Forwarded(name, pixels, raw, {**decode, "network": 1e3 * (perf_counter() - start)})

    def decide(self, forwarded: Forwarded, *, with_maps: bool = False) -> Inspection:
        """The second half of `judge`: what follows from the output."""
        start = perf_counter()
        if not np.isfinite(forwarded.raw.max(initial=0.0)):
            return self.not_finite(forwarded.name)
        pixels = forwarded.pixels
        findings = self.inference.decide(forwarded.raw, pixels, self.networks, with_maps=with_maps)
        inspection = self.inspection(findings, forwarded.name, (pixels.shape[0], pixels.shape[1]))
        timings = {**forwarded.timings_ms, "decide": 1e3 * (perf_counter() - start)}
        return replace(inspection, timings_ms=timings)

    def not_finite(self, name: str) -> Inspection:
        """The ERROR answer for an output that holds what is no number."""
        message = f"{name}: the network's output is not finite. Train the bundle again."
        return failed(name, message, bundle=self.bundle)

    def inspection(self, findings: Findings, name: str, size: tuple[int, int]) -> Inspection:
        """The answer that follows from the findings, without timings. size: (height, width)"""
        judged, defects, maps = self.judged(findings)
        return Inspection(
            image=name,
            size=size,
            verdict=judged.verdict,
            score=judged.score,
            defects=defects,
            bundle=self.bundle,
            mm_per_px=self.scale,
            maps=maps,
            candidates=findings.candidates,
            spread=findings.spread,
            reasons=judged.reasons,
            grade=judged.grade,
            decision=self.decision.revision if self.decision else None,
        )

    def judged(self, findings: Findings) -> tuple[Judged, tuple[Defect, ...], Maps]:
        """What is decided on the findings, the defects that count, and the maps with these alone."""
        defects = in_scale(findings.defects, self.scale)
        if self.decision is None:
            verdict = self.verdict(findings.score)
            return Judged(verdict, None, (), findings.score, ()), defects, findings.maps
        judged = self.decision.judge(findings.score, defects, without_defects=self.without_defects)
        if len(judged.kept) == len(defects):
            return judged, defects, findings.maps
        kept = tuple(defects[index] for index in judged.kept)
        return judged, kept, with_defects(findings.maps, judged.kept, len(defects))

    @property
    def without_defects(self) -> float:
        """The highest score of an image on which nothing is found; 1 where the score is not the defects'."""
        threshold = self.inference.threshold_score
        of_defects = self.inference.names_types or self.inference.pixel_threshold is not None
        return float(np.nextafter(threshold, 0.0)) if of_defects and threshold is not None else 1.0

    def verdict(self, score: float) -> Verdict:
        """OK below the review threshold, NG from the NG threshold on, REVIEW between."""
        if score >= self.ng:
            return Verdict.NG
        return Verdict.REVIEW if score >= self.review else Verdict.OK


def in_scale(defects: tuple[Defect, ...], scale: float | None) -> tuple[Defect, ...]:
    """The defects measured in that scale, mm per pixel."""
    return tuple(one if one.mm_per_px == scale else replace(one, mm_per_px=scale) for one in defects)


def with_defects(maps: Maps, kept: tuple[int, ...], count: int) -> Maps:
    """The maps with "defects" numbered anew: those kept from 1 on, the others 0. count: of all defects"""
    if "defects" not in maps:
        return maps
    numbers = np.zeros(count + 1, np.int32)
    numbers[np.array(kept, dtype=np.intp) + 1] = np.arange(1, len(kept) + 1)
    return {**maps, "defects": numbers[maps["defects"]]}


def judged_file(
    path: Path,
    judge: Callable[..., Inspection],
    *,
    channels: int | None,
    bundle: str,
    with_maps: bool,
) -> Inspection:
    """What `judge` answers for an image file, see `Inspector.inspect` and `Inspector.judge`.

    channels: that it is decoded with; bundle: id for an image that cannot be read
    """
    start = perf_counter()
    try:
        pixels = read_image(path, channels=channels)
    except BlemishError as error:
        return failed(str(path), str(error), bundle=bundle)
    decode_ms = 1e3 * (perf_counter() - start)
    return or_failed(
        lambda: judge(pixels, str(path), with_maps=with_maps, decode_ms=decode_ms), str(path), bundle
    )


def or_failed(judge: Callable[[], Answer], name: str, bundle: str) -> Answer | Inspection:
    """What `judge` answers, or the ERROR answer for an image that is too large for the memory or OpenCV."""
    try:
        return judge()
    except BlemishError as error:  # of an exported bundle: a size that its graphs do not have
        return failed(name, f"{name} could not be judged: {error}", bundle=bundle)
    except (MemoryError, RuntimeError, cv2.error) as error:
        # torch runs out of memory with a RuntimeError; any other one is a bug, and to be seen.
        if type(error) is RuntimeError and "memory" not in str(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        return failed(name, f"{name} could not be judged: {reason}", bundle=bundle)


def open_inspector(
    path: Path, *, device: str = "auto", bfloat16: bool = False, mm_per_px: float | None = None
) -> Inspector:
    """The inspector of the bundle in folder `path`. Raises BlemishError for a bundle that is refused."""
    return inspector_of(load_bundle(path), device=device, bfloat16=bfloat16, mm_per_px=mm_per_px)


def inspector_of(
    bundle: Bundle,
    *,
    device: str = "auto",
    bfloat16: bool = False,
    mm_per_px: float | None = None,
    decided: bool = True,
) -> Inspector:
    """The inspector of a loaded bundle, with the decision in its folder; torch runs what was not exported.

    mm_per_px: scale of the images instead of the decision's and the bundle's
    decided: whether that decision is followed; else the thresholds of the manifest are
    Raises BlemishError for a bundle whose method, settings, thresholds, tensors or graphs are not this
    blemish's, for a decision that is not this bundle's, and for a device that an exported one does not have.
    """
    decision = stored_decision(bundle.path, bundle=bundle.id) if decided else None
    method, inference = method_of(bundle)
    networks = networks_of(bundle, method, device=device, bfloat16=bfloat16)
    plain = assemble(inference, networks, bundle.manifest, bundle.id)
    inspector = replace(plain, decision=decision, mm_per_px=mm_per_px)
    if decision is not None:
        source = str(bundle.path / DECISION)
        refuse_unfit(decision, source, labels=labels_of(inference, bundle.manifest), scale=inspector.scale)
    return inspector


def networks_of(bundle: Bundle, method: Method, *, device: str, bfloat16: bool) -> Networks:
    """The bundle's networks, by its graphs where it was exported, else by torch."""
    if bundle.manifest.runtime is not None:
        refuse_torch_options(bundle, device=device, bfloat16=bfloat16)
        return served_networks(bundle, method)
    refuse_without_torch(bundle)
    from blemish.inspector.torch_backend import as_networks, pick_device
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    return as_networks(loaded_modules(bundle, method), device=pick_device(device), bfloat16=bfloat16)


def refuse_without_torch(bundle: Bundle) -> None:
    """Raises BlemishError for a bundle that torch alone can run, where it is not installed."""
    if bundle.manifest.runtime is None:
        try:
            refuse_without("torch", f"{bundle.path}, a bundle that was not exported,")
        except MissingExtraError as error:
            raise BlemishError(f"{error}, or export it (`blemish export`) where that is.") from error


def labels_of(inference: Inference, manifest: Manifest) -> tuple[str, ...]:
    """What defects are called: the bundle's classes, or one name where types are not told apart."""
    names = manifest.class_names
    return names if inference.names_types else (default_label(names),)


def loaded_modules(bundle: Bundle, method: Method) -> dict[str, nn.Module]:
    """The networks of a bundle with its tensors, for torch.

    Raises BlemishError where they do not go together, and for an exported bundle.
    """
    refuse_exported(bundle)
    from blemish.inspector.torch_backend import load_tensors
    from blemish.nn.lazy_import import defer_torch_dynamo

    with defer_torch_dynamo():
        modules = method.modules(bundle.manifest)
    load_tensors(modules, bundle.networks, source=str(bundle.path))
    method.refuse_misfits(modules, source=str(bundle.path))
    return modules


def refuse_exported(bundle: Bundle) -> None:
    """Raises BlemishError for an exported bundle, where the weights of its networks are needed."""
    if bundle.manifest.runtime is not None:
        raise BlemishError(
            f"{bundle.path} is an exported bundle, which has graphs in place of weights. "
            f"Give the one that it was exported from, {bundle.manifest.runtime.source}."
        )


def method_of(bundle: Bundle) -> tuple[Method, Inference]:
    """The bundle's method and its numpy half, once the manifest holds all that the method reads in it."""
    manifest = bundle.manifest
    try:
        method = find_method(manifest.method)
        method.settings_type.model_validate(manifest.settings)
        return method, method.inference(manifest)
    except BlemishError as error:
        raise BlemishError(f"{bundle.path}: {error}") from error
    except ValidationError as error:
        fault = first_fault(error, method.settings_type.model_fields)
        raise BlemishError(f"{bundle.path}: settings: {fault} Train it again.") from error
    except KeyError as error:
        raise BlemishError(
            f"{bundle.path}: the manifest's thresholds and tiling must hold {error}. Train it again."
        ) from error


def assemble(inference: Inference, networks: Networks, manifest: Manifest, name: str) -> Inspector:
    """An inspector from its parts; without thresholds in the manifest nothing is called NG."""
    thresholds = manifest.thresholds
    ng = thresholds.get("ng", math.inf)
    return Inspector(inference, networks, review=thresholds.get("review", ng), ng=ng, bundle=name)
