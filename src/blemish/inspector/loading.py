"""Opening a bundle as an inspector: its method, its networks by torch or by graphs, and its decision.

What does not fit this version of blemish is refused here, before an image is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Manifest
from blemish.bundle.store import DECISION, Bundle, load_bundle, refuse_not_finite, sha256_of
from blemish.decision.store import refuse_open, refuse_unfit, stored_decision
from blemish.errors import BlemishError
from blemish.inspector.graph_backend import refuse_torch_options, served_networks
from blemish.inspector.input_check import stored_input_check
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.limits import DEFAULT_LIMITS, Limits, timed
from blemish.methods import find_method
from blemish.methods.common.outputs import checked_networks
from blemish.methods.common.scores import default_label
from blemish.methods.contract import Inference, Method, Network, Networks
from blemish.optional_dependencies import MissingExtraError, require_package
from blemish.provenance import runtime_facts
from blemish.record import UsedBundle

if TYPE_CHECKING:
    from torch import nn

# Numbers that building networks may allocate: drawing weights takes some beside the weights, and of a
# ResNet, of which a bundle may hold the first stages alone, the whole is built: 45 million for the largest.
ALLOCATED_AT_LEAST, ALLOCATED_RATIO = 1 << 26, 4
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino"}  # packages that run the graphs of each kind


def open_inspector(
    path: Path, *, device: str = "auto", bfloat16: bool = False, mm_per_px: float | None = None
) -> BundleInspector:
    """Open the bundle in folder `path` as an inspector, for programs that judge one image after the other.

    Such a program gets an answer to each: where the weights are not finite, it is ERROR.
    Raises BlemishError for a bundle that is refused for anything else.
    """
    bundle = load_bundle(path, finite=False)
    inspector = inspector_of(bundle, device=device, bfloat16=bfloat16, mm_per_px=mm_per_px)
    try:
        refuse_not_finite(path, bundle.networks)
    except BlemishError as error:
        return replace(inspector, networks=dict.fromkeys(inspector.networks, refusing(str(error))))
    return inspector


def inspector_of(
    bundle: Bundle,
    *,
    device: str = "auto",
    bfloat16: bool = False,
    mm_per_px: float | None = None,
    decided: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    input_check: bool = True,
) -> BundleInspector:
    """Inspector of a loaded bundle, with the decision in its folder; torch runs what was not exported.

    mm_per_px: scale of the images instead of the decision's and the bundle's
    decided: follow that decision; else the thresholds of the manifest
    limits: of each image; input_check: whether an image unlike those of the training is REVIEW
    Raises BlemishError for a bundle whose method, settings, thresholds, tensors or graphs are not this
    blemish's, for a decision that is not this bundle's, and for a device that an exported one does not have.
    """
    decision = stored_decision(bundle.path, bundle=bundle.id) if decided else None
    method, inference = method_of(bundle)
    networks = networks_of(bundle, method, device=device, bfloat16=bfloat16, limits=limits)
    plain = assemble(inference, networks, bundle.manifest, bundle.id)
    check = stored_input_check(bundle.manifest.data, str(bundle.path))
    inspector = replace(
        plain,
        decision=decision,
        mm_per_px=mm_per_px,
        limits=limits,
        input_check=check if input_check else None,
    )
    if decision is not None:
        source = str(bundle.path / DECISION)
        refuse_unfit(
            decision,
            source,
            labels=labels_of(inference, bundle.manifest),
            scale=inspector.scale,
            severity_max=inference.score_map_max,
        )
        refuse_open(decision, source)
    elif decided:
        refuse_open_thresholds(bundle)
    file = bundle.path / DECISION if decision is not None else None
    return replace(inspector, used=used_bundle(bundle, inspector, file, device=device, bfloat16=bfloat16))


def refusing(message: str) -> Network:
    """Network that gives nothing: it raises BlemishError."""

    def refuse(_: NDArray[np.float32]) -> NDArray[np.float32]:
        raise BlemishError(message)

    return refuse


def refuse_open_thresholds(bundle: Bundle) -> None:
    """Raise BlemishError for a manifest whose thresholds call every image OK, or are out of order."""
    thresholds = bundle.manifest.thresholds
    ng = thresholds.get("ng", math.inf)
    review = thresholds.get("review", ng)
    if review > min(ng, 1):
        received = "none" if math.isinf(review) else f"{review:g}, which no score reaches"
        if review > ng:
            received = f"review {review:g} above ng {ng:g}"
        raise BlemishError(
            f"{bundle.path}: the manifest must hold 'review' and 'ng' in its thresholds, scores in [0, 1]. "
            f"Received: {received}. Run `blemish decide`, or train it again."
        )


def used_bundle(
    bundle: Bundle,
    inspector: BundleInspector,
    decision_file: Path | None,
    *,
    device: str,
    bfloat16: bool = False,
) -> UsedBundle:
    """Describe a bundle for the record of an inspection. decision_file: of the decision that is followed"""
    exported = bundle.manifest.runtime
    if exported is not None:
        runtime = runtime_facts(RUNTIMES[exported.kind], device="cpu", precision=exported.precision)
    else:
        from blemish.inspector.torch_backend import pick_device

        precision = "bf16" if bfloat16 else "fp32"
        runtime = runtime_facts("torch", device=pick_device(device), precision=precision)
    return UsedBundle(
        id=bundle.id,
        digest=bundle.digest,
        path=str(bundle.path),
        decision=inspector.decision.revision if inspector.decision else None,
        decision_sha256=sha256_of(decision_file) if decision_file else None,
        mm_per_px=inspector.scale,
        runtime=runtime,
        input_check=inspector.input_check is not None,
    )


def networks_of(
    bundle: Bundle, method: Method, *, device: str, bfloat16: bool, limits: Limits = DEFAULT_LIMITS
) -> Networks:
    """Networks of a bundle, run by its graphs where it was exported, else by torch."""
    if bundle.manifest.runtime is not None:
        refuse_torch_options(bundle, device=device, bfloat16=bfloat16)
        return served_networks(bundle, method, limits)
    refuse_without_torch(bundle)
    from blemish.inspector.torch_backend import as_networks, pick_device
    from blemish.nn.runtime import prepare_runtime

    prepare_runtime()
    return as_networks(loaded_modules(bundle, method), device=pick_device(device), bfloat16=bfloat16)


def refuse_without_torch(bundle: Bundle) -> None:
    """Raise BlemishError for a bundle that torch alone can run, where torch is not installed."""
    if bundle.manifest.runtime is None:
        try:
            require_package("torch", f"{bundle.path}, a bundle that was not exported,")
        except MissingExtraError as error:
            raise BlemishError(f"{error}, or export it (`blemish export`) where that is.") from error


def labels_of(inference: Inference, manifest: Manifest) -> tuple[str, ...]:
    """Names of defects: the bundle's classes, or a single name where types are not told apart."""
    names = manifest.class_names
    return names if inference.classifies else (default_label(names),)


def class_names_of(stages: Sequence[BundleInspector], bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """Every label that a defect can have, in the order of the bundles' classes. stages: of the bundles"""
    pairs = zip(stages, bundles, strict=True)
    labels = [labels_of(stage.inference, bundle.manifest) for stage, bundle in pairs]
    return tuple(dict.fromkeys(chain.from_iterable(labels)))


def loaded_modules(bundle: Bundle, method: Method) -> dict[str, nn.Module]:
    """Networks of a bundle with its tensors, for torch.

    Raises BlemishError where they do not go together, and for an exported bundle.
    """
    refuse_exported(bundle)
    from blemish.inspector.torch_backend import load_tensors
    from blemish.nn.lazy_import import defer_torch_dynamo

    source = str(bundle.path)
    with defer_torch_dynamo():
        modules = built_modules(bundle, method)
    load_tensors(modules, bundle.networks, source=source)
    method.check_compatible(modules, source=str(bundle.path))
    return modules


def built_modules(bundle: Bundle, method: Method) -> dict[str, nn.Module]:
    """Networks as a bundle's settings describe them, with initial weights.

    Raises BlemishError where none can be, and for networks far larger than the bundle's tensors.
    """
    from blemish.inspector.torch_backend import AllocationLimit

    stored = sum(tensor.size for tensors in bundle.networks.values() for tensor in tensors.values())
    try:
        with AllocationLimit(ALLOCATED_AT_LEAST + ALLOCATED_RATIO * stored):
            return method.modules(bundle.manifest)
    except BlemishError:
        raise
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BlemishError(
            f"{bundle.path}: no network can be built by its settings: {reason}. Train it again."
        ) from error


def refuse_exported(bundle: Bundle) -> None:
    """Raise BlemishError for an exported bundle, where the weights of its networks are needed."""
    if bundle.manifest.runtime is not None:
        raise BlemishError(
            f"{bundle.path} is an exported bundle, which has graphs in place of weights. "
            f"Name the bundle that it was exported from, {bundle.manifest.runtime.source}."
        )


def method_of(bundle: Bundle) -> tuple[Method, Inference]:
    """Method of a bundle, and its inference. Raises BlemishError for a manifest that it cannot read."""
    manifest = bundle.manifest
    try:
        method = find_method(manifest.method)
        for part, kind in (
            ("settings", method.settings_type),
            ("memory", method.memory_type),
            ("curves", method.curves_type),
        ):
            kind.model_validate(getattr(manifest, part))
        return method, method.inference(manifest)
    except BlemishError as error:
        raise BlemishError(f"{bundle.path}: {error}") from error
    except ValidationError as error:
        fault = first_fault(error, kind.model_fields)
        raise BlemishError(f"{bundle.path}: {part}: {fault} Train it again.") from error
    except KeyError as error:
        raise BlemishError(
            f"{bundle.path}: the manifest's thresholds and tiling must hold {error}. Train it again."
        ) from error


def assemble(inference: Inference, networks: Networks, manifest: Manifest, name: str) -> BundleInspector:
    """Inspector made of its parts, which checks what the networks give; without thresholds in the manifest
    nothing is called NG.
    """
    thresholds = manifest.thresholds
    ng = thresholds.get("ng", math.inf)
    networks = checked_networks({name: timed(each) for name, each in networks.items()}, inference)
    review, bits = thresholds.get("review", ng), manifest.settings.get("bits")
    return BundleInspector(inference, networks, review=review, ng=ng, bundle=name, bits=bits)
