"""Inspectors with random weights behind each runtime, as `runtime_speed` times them.

Thresholds are such that nothing is found, where the method has one: post-processing then costs its search.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.tables.speed import SEED
from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.bundle.store import Bundle, load_bundle, save_bundle
from blemish.dataset.samples import Dataset
from blemish.exporting.request import ExportRequest, Precision
from blemish.exporting.run import Export
from blemish.inspector.inspector import Inspector
from blemish.inspector.loading import assemble, inspector_of, loaded_modules, method_of
from blemish.inspector.torch_backend import as_networks
from blemish.methods import find_method
from blemish.methods.contract import MethodSettings, Networks
from blemish.methods.medetection.settings import Settings as MedetectionSettings
from blemish.methods.severity.geometry import default_tiling
from blemish.methods.severity.settings import Settings as SeveritySettings
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of
from blemish.progress import Reporter

if TYPE_CHECKING:
    from benchmarks.tables.runtime_speed import RuntimeSpeedSettings

CLASSES = tuple(f"class {number}" for number in range(6))
CALIBRATION = 32  # inputs of each graph: time does not depend on what int8's ranges are
THRESHOLDS: Mapping[str, dict[str, float]] = {  # that random weights do not reach
    "severity": {"severity": 11.9, "drop_above": 1.0},
    "casae": {"probability": 0.999},
    "medetection": {"score": 0.999},
    "tlsdd": {"score": 0.999},
}
WITHOUT_DOWNLOADS: Mapping[str, dict[str, str]] = {
    "medetection": {"stem_weights": "none"},
    "tlsdd": {"backbone_weights": "none"},
}


def new_inspector(settings: RuntimeSpeedSettings, device: str, surfaces: Dataset, folder: Path) -> Inspector:
    """The method behind the runtime. surfaces: that int8 is calibrated on; folder: for what is written"""
    bundle = random_bundle(settings.method, settings.settings, folder / "bundle")
    if settings.runtime in ("onnx", "openvino"):
        request = ExportRequest(
            bundle,
            settings.runtime,
            cast(Precision, settings.precision),
            folder / "exported",
            dataset=surfaces,
            calibration=CALIBRATION,
        )
        return inspector_of(exported(request, folder / "drafts"))
    method, inference = method_of(bundle)
    if settings.runtime == "torchvision":
        networks = faster_rcnn(bundle, settings, device)
    else:
        networks = torch_networks(loaded_modules(bundle, method), settings, device)
    return assemble(inference, networks, bundle.manifest, bundle.id)


def random_bundle(name: str, chosen: Mapping[str, Any], path: Path) -> Bundle:
    """A bundle as training would leave it, but for its weights. chosen: settings of the method"""
    torch.manual_seed(SEED)
    method = find_method(name)
    settings = method.settings_type.model_validate({**WITHOUT_DOWNLOADS.get(name, {}), **chosen})
    manifest = Manifest(
        method=name,
        class_names=CLASSES,
        preprocessing=Preprocessing(channels=getattr(settings, "channels", 3)),
        thresholds=THRESHOLDS[name],
        settings=settings.model_dump(mode="json"),
        **told(settings),
    )
    modules = method.modules(manifest)
    if name == "tlsdd":
        fill_bank(modules["detector"], cast(ClassTensors, modules["bank"]))
    tensors = {
        network: {key: value.numpy() for key, value in module.state_dict().items()}
        for network, module in modules.items()
    }
    return save_bundle(path, manifest, tensors)


def told(settings: MethodSettings) -> dict[str, Any]:
    """What else the manifest of a method holds, by name of the field."""
    if isinstance(settings, SeveritySettings):
        tiling = default_tiling(settings.cell, settings.tile, network=settings.network)
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


def exported(request: ExportRequest, drafts: Path) -> Bundle:
    """With graphs as `blemish export` writes them, but without a certificate: random weights say nothing."""
    drafts.mkdir()
    export = Export(request, Reporter(quiet=True), drafts)
    files = export.graph_files(export.plans)
    runtime = export.runtime(request.kind, request.precision, files)
    return load_bundle(export.saved("draft", runtime, files).path)


def torch_networks(modules: Mapping[str, nn.Module], settings: RuntimeSpeedSettings, device: str) -> Networks:
    """The modules as the row says that torch runs them."""
    if settings.runtime in ("compiled", "cuda-graphs"):
        mode = "reduce-overhead" if settings.runtime == "cuda-graphs" else "default"
        for module in modules.values():
            if any(True for _ in module.parameters()):  # not what is data alone
                module.compile(mode=mode)
    layout = torch.contiguous_format if settings.runtime == "eager" else torch.channels_last
    return as_networks(modules, device=device, bfloat16=settings.precision == "bf16", layout=layout)


def faster_rcnn(bundle: Bundle, settings: RuntimeSpeedSettings, device: str) -> Networks:
    """torchvision's Faster R-CNN of the bundle's backbone in place of its detector, boxes to rows.

    Boxes under one half are dropped before its suppression, which untrained weights would otherwise flood.
    """
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    torch.manual_seed(SEED)
    backbone = resnet_fpn_backbone(backbone_name=bundle.manifest.settings["backbone"], weights=None)
    sides = settings.size
    model = FasterRCNN(
        backbone, len(CLASSES) + 1, min_size=min(sides), max_size=max(sides), box_score_thresh=0.5
    )
    model.eval().to(device)

    def detector(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found = model(list(torch.from_numpy(inputs).to(device)))[0]
        rows = np.zeros((len(found["boxes"]), 4 + len(CLASSES)), np.float32)
        rows[:, :4] = found["boxes"].cpu().numpy()
        rows[np.arange(len(rows)), 3 + found["labels"].cpu().numpy()] = found["scores"].cpu().numpy()
        return rows

    return {"detector": detector}
