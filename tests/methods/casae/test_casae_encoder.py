"""CASAE with a pretrained encoder: no seams between tiles, and a bundle that needs no weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from blemish.bundle.store import Bundle, load_bundle
from blemish.dataset.samples import Dataset
from blemish.exporting.request import ExportRequest
from blemish.exporting.run import export_bundle
from blemish.images.tiling import planes
from blemish.inspector.loading import inspector_of
from blemish.inspector.torch_backend import as_network
from blemish.methods import find_method
from blemish.methods.casae.inference import inference_from
from blemish.methods.casae.network import Cascade
from blemish.methods.casae.settings import CasaeSettings
from blemish.nn.resnets import resnet_stages
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

SHALLOW = {"encoder_level": "layer1", "decoder_width": 8}


def settings_with(**changes: Any) -> CasaeSettings:
    return CasaeSettings.model_validate({"preset": "tiny", "encoder": "resnet18", **SHALLOW, **changes})


@pytest.mark.parametrize("cascade", [True, False])
@pytest.mark.parametrize("encoder", ["resnet18", "efficientnet-lite0"])
def test_tiles_give_the_map_of_the_whole_image(encoder: str, *, cascade: bool) -> None:
    settings = settings_with(
        encoder=encoder, encoder_weights="none", tiled=True, cascade=cascade, atrous=False
    )
    inference = inference_from(settings, ("defect",), threshold=0.5)
    assert inference.tiling is not None
    tile = 2 * inference.tiling.halo + 64
    inference = inference_from(settings.model_copy(update={"tile": tile}), ("defect",), threshold=0.5)
    torch.manual_seed(0)
    cascaded = Cascade(settings).eval()
    for part in (cascaded.first.decoder, cascaded.second):
        if part is not None:
            part.output.weight.data *= 30  # so that the map has detail
    network = as_network(cascaded, device="cpu", bfloat16=False)
    image = np.random.default_rng(1).integers(0, 256, (tile + 77, 90), np.uint8)
    image[: tile // 2] //= 3
    raw = inference.forward(image, {"cascade": network})
    padded = np.pad(image, ((0, -image.shape[0] % 16), (0, -image.shape[1] % 16)), "edge")
    whole = network(planes(padded)[None])[0, 0, : image.shape[0], : image.shape[1]]
    assert whole.std() > 0.01
    np.testing.assert_allclose(raw, whole, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def bundle(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Trained with "auto" from a file that is gone afterwards."""
    folder = tmp_path_factory.mktemp("encoder")
    file = folder / "weights.safetensors"
    torch.manual_seed(1)
    stages, _ = resnet_stages("resnet18", "none", deepest="layer1", setting="weights")
    stem = {"0": "conv1", "1": "bn1"}
    save_file(
        {
            ".".join([stem[name.split(".")[1]], *name.split(".")[2:]]) if name.startswith("stem") else name: t
            for name, t in stages.state_dict().items()
        },
        file,
    )
    settings = settings_with(
        encoder="auto", encoder_weights=str(file), steps=3, second_steps=2, types_steps=2, device="cpu",
        precision="fp32",
    )  # fmt: skip
    request = Request(find_method("casae"), tiny_dataset, settings, folder / "run")
    path = train(request, Reporter(quiet=True)).path
    file.unlink()
    return load_bundle(path)


def test_the_manifest_holds_the_encoder_that_was_found(bundle: Bundle, tiny_dataset: Dataset) -> None:
    assert bundle.manifest.settings["encoder"] == "resnet18"
    inspection = inspector_of(bundle, device="cpu").inspect(tiny_dataset.samples[0].image)
    assert inspection.error is None


@pytest.mark.usefixtures("few_pictures", "graphs_once")
@pytest.mark.parametrize(("kind", "precision"), [("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32")])
def test_its_graphs_answer_as_the_bundle(
    bundle: Bundle, tiny_dataset: Dataset, tmp_path: Path, kind: Any, precision: Any
) -> None:
    request = ExportRequest(
        bundle,
        kind,
        precision,
        tmp_path / "exported",
        dataset=tiny_dataset,
        calibration=8,
        max_drop=1.0,  # three steps of training are not enough for figures that int8 keeps
    )
    exported = export_bundle(request, Reporter(quiet=True))
    sides = [inspector_of(each, device="cpu") for each in (bundle, load_bundle(exported))]
    for sample in tiny_dataset.samples[:3]:
        ours, theirs = (side.inspect(sample.image) for side in sides)
        assert theirs.error is None
        if precision == "fp32":
            assert theirs.score == pytest.approx(ours.score, abs=1e-4)
