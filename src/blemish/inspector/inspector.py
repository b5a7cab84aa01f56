"""The one forward path: decode → normalise → tile → network → merge → decide → measure → Inspection.

Training-time evaluation, `inspect` and the tests all come through here; what differs between methods is their
`Inference`, what differs between machines is the networks behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import ValidationError

from blemish.bundle.manifest import Manifest, first_fault
from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.layouts import detect_layout, load_dataset
from blemish.dataset.layouts.common import list_files
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, read_image
from blemish.inspection import Inspection, Verdict, failed
from blemish.methods import find_method
from blemish.methods.contract import Inference, Method, Networks, Pixels

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Inspector:
    """A method's inference half with its networks and the two thresholds of the verdict.

    review, ng: image scores from which the verdict is REVIEW and NG; review ≤ ng
    bundle: id of the bundle, written into every inspection
    """

    inference: Inference
    networks: Networks
    review: float
    ng: float
    bundle: str

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
        start = perf_counter()
        raw = self.inference.forward(pixels, self.networks)
        forwarded = perf_counter()
        if not np.isfinite(raw.max(initial=0.0)):
            message = f"{name}: the network's output is not finite. Train the bundle again."
            return failed(name, message, bundle=self.bundle)
        findings = self.inference.decide(raw, pixels, self.networks, with_maps=with_maps)
        decided = perf_counter()
        timings = {"network": 1e3 * (forwarded - start), "decide": 1e3 * (decided - forwarded)}
        return Inspection(
            image=name,
            size=(pixels.shape[0], pixels.shape[1]),
            verdict=self.verdict(findings.score),
            score=findings.score,
            defects=findings.defects,
            bundle=self.bundle,
            timings_ms=timings if decode_ms is None else {"decode": decode_ms, **timings},
            mm_per_px=self.inference.mm_per_px,
            maps=findings.maps,
            candidates=findings.candidates,
            spread=findings.spread,
        )

    def verdict(self, score: float) -> Verdict:
        """OK below the review threshold, NG from the NG threshold on, REVIEW between."""
        if score >= self.ng:
            return Verdict.NG
        return Verdict.REVIEW if score >= self.review else Verdict.OK


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
    try:
        return judge(pixels, str(path), with_maps=with_maps, decode_ms=decode_ms)
    except (MemoryError, RuntimeError, cv2.error) as error:
        # torch runs out of memory with a RuntimeError; any other one is a bug, and to be seen.
        if type(error) is RuntimeError and "memory" not in str(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        return failed(str(path), f"{path} could not be judged: {reason}", bundle=bundle)


def open_inspector(path: Path, *, device: str = "auto", bfloat16: bool = False) -> Inspector:
    """The inspector of the bundle in folder `path`. Raises BlemishError for a bundle that is refused."""
    return inspector_of(load_bundle(path), device=device, bfloat16=bfloat16)


def inspector_of(bundle: Bundle, *, device: str = "auto", bfloat16: bool = False) -> Inspector:
    """The inspector of a loaded bundle, its networks run by torch.

    Raises BlemishError for a bundle whose method, settings, thresholds or tensors are not this blemish's.
    """
    from blemish.inspector.torch_backend import as_networks, pick_device
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    method, inference = method_of(bundle)
    modules = loaded_modules(bundle, method)
    networks = as_networks(modules, device=pick_device(device), bfloat16=bfloat16)
    return assemble(inference, networks, bundle.manifest, bundle.id)


def loaded_modules(bundle: Bundle, method: Method) -> dict[str, nn.Module]:
    """The networks of a bundle with its tensors. Raises BlemishError where they do not go together."""
    from blemish.inspector.torch_backend import load_tensors
    from blemish.nn.quick_import import compiler_deferred

    with compiler_deferred():
        modules = method.modules(bundle.manifest)
    load_tensors(modules, bundle.networks, source=str(bundle.path))
    method.refuse_misfits(modules, source=str(bundle.path))
    return modules


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


def image_paths(paths: list[Path], note: Callable[[str], None]) -> Iterator[Path]:
    """The files given, and the images of every folder given, in alphabetical order.

    note: is told in one line when pictures of a folder are left out
    Raises BlemishError for a path that does not exist and for a folder without images.
    """
    for path in paths:
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from images_below(path, note)
        else:
            raise BlemishError(f"{path} does not exist. Give an image or a folder of images.")


def images_below(folder: Path, note: Callable[[str], None]) -> list[Path]:
    """A dataset's images without its masks and templates; of any other folder all image files."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise BlemishError(f"{folder} holds no image. Looked for {', '.join(sorted(SUFFIXES))}.")
    if not (folder / SETTINGS_NAME).is_file() and not detect_layout(list_files(folder)):
        return found
    try:
        dataset = load_dataset(folder, skip_broken=True)
    except BlemishError as error:
        note(f"all {len(found)} pictures in {folder} are inspected, masks too if there are any: {error}")
        return found
    unread = (dataset.root / name for name in dataset.skipped)  # an image without its mask is still an image
    images = sorted({sample.image for sample in dataset} | set(unread) & set(found))
    if left_out := len(set(found) - set(images)):
        note(
            f"{folder} is a dataset ({dataset.layout}: {dataset.reason}): its {len(images)} images are "
            f"inspected and {left_out} other pictures, such as masks, are not."
        )
    return images
