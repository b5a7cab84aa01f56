"""Methods with random weights behind the one forward path and each runtime, as the speed rows time them.

Thresholds are such that nothing is found: post-processing then costs its search and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.tables.timing import SEED
from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.bundle.store import Bundle, load_bundle, save_bundle
from blemish.dataset.samples import Dataset
from blemish.exporting.request import ExportRequest, Precision
from blemish.exporting.run import Export
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import assemble, inspector_of, loaded_modules, method_of
from blemish.inspector.torch_backend import as_networks
from blemish.methods import find_method
from blemish.methods.contract import MethodSettings, Networks
from blemish.methods.medetection.network.references import References
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of
from blemish.progress import Reporter

CALIBRATION = 32  # inputs of each graph: time does not depend on what int8's ranges are
THRESHOLDS: Mapping[str, dict[str, float]] = {  # that random weights do not reach
    "severity": {"severity": 11.9, "drop_above": 1.0},
    "casae": {"probability": 0.999},
    "medetection": {"score": 0.999},
    "tlsdd": {"score": 0.999},
}
UNLESS_TOLD: Mapping[str, dict[str, Any]] = {  # no downloads, no classifier where nothing is found
    "severity": {"types": False},
    "casae": {"types": False},
    "medetection": {"backbone_weights": "none"},
    "tlsdd": {"backbone_weights": "none"},
}
WITHOUT_PRESET: Mapping[str, dict[str, Any]] = {  # the defaults that the first rows were measured with
    "severity": {"encoder": "paper", "cell": 4, "padding": "zeros"},
    "casae": {"encoder": "paper", "width": 32, "size": 512},
    "medetection": {
        "backbone": "resnet50", "backbone_level": "layer2", "linear_path": "none", "schedule": "constant",
        "early_stopping": True,
    },
    "tlsdd": {
        "backbone": "resnet101", "deepest": "layer4", "width": 256, "hidden": 1024, "anchor_sizes": (),
        "proposals_test": 300, "support_size": 224, "roi_canonical_size": 224, "padding": "black",
    },
}  # fmt: skip


def random_inspector(
    name: str, settings: Mapping[str, Any], *, classes: int, device: str, bfloat16: bool
) -> BundleInspector:
    """The method in torch, as `inspect` runs it."""
    manifest, modules = random_model(name, settings, classes)
    networks = as_networks(modules, device=device, bfloat16=bfloat16)
    return assemble(find_method(name).inference(manifest), networks, manifest, "random weights")


def random_model(
    name: str, chosen: Mapping[str, Any], classes: int
) -> tuple[Manifest, Mapping[str, nn.Module]]:
    """Manifest and networks as of a trained bundle, but for the weights. chosen: settings of the method"""
    torch.manual_seed(SEED)
    method = find_method(name)
    first = {} if "preset" in chosen else WITHOUT_PRESET[name]
    settings = method.settings_type.model_validate({**UNLESS_TOLD[name], **first, **chosen})
    manifest = Manifest(
        method=name,
        class_names=tuple(f"class {number}" for number in range(classes)),
        preprocessing=Preprocessing(channels=getattr(settings, "channels", 3)),
        thresholds=THRESHOLDS[name] | {"review": 1.0, "ng": 1.0},
        settings=settings.model_dump(mode="json"),
        **further_fields(settings),
    )
    modules = method.modules(manifest)
    for module in modules.values():
        if isinstance(module, ClassTensors):
            fill_bank(modules["detector"], module)
        if isinstance(module, References):
            noise = np.random.default_rng(SEED).integers(0, 256, tuple(module.pictures.shape), np.uint8)
            module.pictures.copy_(torch.from_numpy(noise))
    return manifest, modules


def random_bundle(name: str, chosen: Mapping[str, Any], classes: int, path: Path) -> Bundle:
    """`random_model` on disk."""
    manifest, modules = random_model(name, chosen, classes)
    tensors = {
        network: {key: value.numpy() for key, value in module.state_dict().items()}
        for network, module in modules.items()
    }
    return save_bundle(path, manifest, tensors)


def further_fields(settings: MethodSettings) -> dict[str, Any]:
    """Fields of the manifest that only some methods fill."""
    if isinstance(settings, SeveritySettings):
        tiling = settings.tiling
        return {"tiling": {"tile": tiling.tile, "halo": tiling.halo, "stride": tiling.stride}}
    if isinstance(settings, MedetectionSettings):
        references = [f"image {number}" for number in range(settings.num_kept_references)]
        return {"memory": {"product": "noise", "products": [], "references": references}}
    return {}


def fill_bank(detector: nn.Module, bank: ClassTensors) -> None:
    """Random classes, as of the detector."""
    bank.load_state_dict(
        {
            "class_vectors": 2 * torch.rand_like(bank.class_vectors),
            "prototypes": functional.normalize(torch.randn_like(bank.prototypes), dim=1),
            "known": torch.ones_like(bank.known),
            "made_for": torch.from_numpy(digest_of(detector)),
        }
    )


def runtime_inspector(
    bundle: Bundle,
    runtime: str,
    *,
    precision: str,
    size: tuple[int, int],
    device: str,
    surfaces: Dataset,
    folder: Path,
) -> BundleInspector:
    """The bundle behind a runtime, named as in `RuntimeSpeedSettings`.

    size: (height, width) of images; surfaces: that int8 is calibrated on; folder: for what is written
    """
    if runtime in ("onnx", "openvino"):
        request = ExportRequest(
            bundle, cast(Any, runtime), cast(Precision, precision), folder / "exported", dataset=surfaces,
            calibration=CALIBRATION,
        )  # fmt: skip
        return inspector_of(exported(request, folder / "drafts"))
    method, inference = method_of(bundle)
    if runtime == "torchvision":
        networks = faster_rcnn(bundle, size, device)
    else:
        bfloat16 = precision == "bf16"
        networks = torch_networks(loaded_modules(bundle, method), runtime, device=device, bfloat16=bfloat16)
    return assemble(inference, networks, bundle.manifest, bundle.id)


def exported(request: ExportRequest, drafts: Path) -> Bundle:
    """With graphs as `blemish export` writes them, but without a certificate: random weights say nothing."""
    drafts.mkdir()
    export = Export(request, Reporter(quiet=True), drafts)
    files = export.graph_files(export.plans)
    runtime = export.runtime(request.kind, request.precision, files)
    return load_bundle(export.saved("draft", runtime, files).path)


def torch_networks(
    modules: Mapping[str, nn.Module], runtime: str, *, device: str, bfloat16: bool
) -> Networks:
    """The modules as torch runs them by that name of `RuntimeSpeedSettings.runtime`."""
    if runtime in ("compiled", "cuda-graphs"):
        mode = "reduce-overhead" if runtime == "cuda-graphs" else "default"
        for module in modules.values():
            if any(True for _ in module.parameters()):  # not what is data alone
                module.compile(mode=mode)
    layout = torch.contiguous_format if runtime == "eager" else torch.channels_last
    return as_networks(modules, device=device, bfloat16=bfloat16, layout=layout)


def faster_rcnn(bundle: Bundle, size: tuple[int, int], device: str) -> Networks:
    """torchvision's Faster R-CNN of the bundle's backbone in place of its detector, boxes to rows.

    Boxes under one half are dropped before its suppression, which untrained weights would otherwise flood.
    """
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    torch.manual_seed(SEED)
    backbone = resnet_fpn_backbone(backbone_name=bundle.manifest.settings["backbone"], weights=None)
    classes = len(bundle.manifest.class_names)
    model = FasterRCNN(backbone, classes + 1, min_size=min(size), max_size=max(size), box_score_thresh=0.5)
    model.eval().to(device)

    def detector(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found = model(list(torch.from_numpy(inputs).to(device)))[0]
        rows = np.zeros((len(found["boxes"]), 4 + classes), np.float32)
        rows[:, :4] = found["boxes"].cpu().numpy()
        rows[np.arange(len(rows)), 3 + found["labels"].cpu().numpy()] = found["scores"].cpu().numpy()
        return rows

    return {"detector": detector}
