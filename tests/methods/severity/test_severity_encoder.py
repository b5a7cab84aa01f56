"""Severity regression with a pretrained encoder: no seams between tiles, in images as in webs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from blemish.bundle.manifest import first_fault
from blemish.bundle.store import load_bundle
from blemish.dataset.samples import Dataset
from blemish.images.tiling import Tiling, planes
from blemish.inspector.line_scan.outlines import OutlineScan
from blemish.inspector.loading import inspector_of
from blemish.inspector.torch_backend import as_network
from blemish.methods import find_method
from blemish.methods.contract import Networks
from blemish.methods.severity.inference import SeverityInference, inference_from
from blemish.methods.severity.network import new_network
from blemish.methods.severity.settings import SeveritySettings
from blemish.nn.efficientnet_lite import efficientnet_lite_stages
from blemish.nn.encoder import EncoderDecoder
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train


def settings_with(**changes: Any) -> SeveritySettings:
    given = {
        "encoder": "efficientnet-lite0",
        "encoder_weights": "none",
        "encoder_level": "layer2",
        "decoder_width": 8,
    }
    return SeveritySettings.model_validate({**given, "types": False, **changes})


def small_tiles(settings: SeveritySettings) -> tuple[SeverityInference, Networks]:
    """Inference by the smallest tiles that fit, on a network whose map has detail."""
    inference = inference_from(settings, ("defect",), threshold=6.0, drop_above=1.0)
    tiling = inference.tiles
    narrow = Tiling(tile=2 * tiling.halo + 32, halo=tiling.halo, stride=tiling.stride)
    torch.manual_seed(0)
    network = new_network(settings).eval()
    assert isinstance(network, EncoderDecoder)
    network.decoder.output.weight.data *= 300
    network.decoder.output.bias.data += 5.0
    return replace(inference, tiles=narrow), {"severity": as_network(network, device="cpu", bfloat16=False)}


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_tiles_give_the_map_of_the_whole_image(cell: int) -> None:
    inference, networks = small_tiles(settings_with(cell=cell))
    image = noise(inference.tiles.tile + 77, 90)
    raw = inference.forward(image, networks)
    padded = np.pad(image, ((0, -image.shape[0] % 8), (0, -image.shape[1] % 8)), "edge")
    whole = networks["severity"](planes(padded)[None])[0, 0].clip(0, 12)
    height, width = (-(-side // cell) for side in image.shape)
    assert raw.shape == (height, width)
    assert whole.std() > 0.1
    np.testing.assert_allclose(raw.clip(0, 12), whole[:height, :width], rtol=0, atol=1e-3)


def test_a_web_is_judged_as_the_image_of_all_its_rows() -> None:
    inference, networks = small_tiles(settings_with())
    image = noise(inference.tiles.tile + 141, 64)
    scan = OutlineScan(inference, networks, max_rows=10_000, with_pixels=False)
    pieces = [piece for start in range(0, len(image), 50) for piece in scan.push(image[start : start + 50])]
    pieces += scan.finish()
    found = [defect for piece in pieces if piece.findings for defect in piece.findings.defects]
    raw = inference.forward(image, networks)
    expected = inference.decide(raw, image, networks, with_maps=False).defects
    assert len(expected) > 3
    assert sorted(defect.box_xyxy for defect in found) == sorted(defect.box_xyxy for defect in expected)


def test_patches_lie_on_the_encoders_grid() -> None:
    with pytest.raises(ValidationError) as caught:
        settings_with(encoder_level="layer3", patch=120)
    assert first_fault(caught.value, SeveritySettings.model_fields) == (
        "patch must be a multiple of 16 with encoder=efficientnet-lite0. Received: 120. Use 128."
    )


def test_a_bundle_holds_the_encoder_that_auto_found(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """Of the installed weights; its weights move at their share of the rate, and are in the bundle."""
    settings = settings_with(
        encoder="auto", encoder_weights="imagenet", encoder_level="layer1", patch=64, batch=2, steps=3,
        device="cpu", precision="fp32",
    )  # fmt: skip
    request = Request(find_method("severity"), tiny_dataset, settings, tmp_path / "run")
    bundle = train(request, Reporter(quiet=True))
    assert bundle.manifest.settings["encoder"] == "efficientnet-lite0"
    pretrained, _ = efficientnet_lite_stages("imagenet", deepest="stage2", setting="encoder_weights")
    for name, before in pretrained.state_dict().items():
        moved = np.abs(bundle.networks["severity"][f"encoder.body.{name}"] - before.numpy()).max()
        assert moved < 1e-3
        assert moved > 0 or before.ndim < 4  # norms keep their statistics
    assert (
        inspector_of(load_bundle(bundle.path), device="cpu").inspect(tiny_dataset.samples[0].image).error
        is None
    )
