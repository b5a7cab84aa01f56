"""A detector on EfficientNet-Lite0 with an image head: exported with a certificate, the same answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from blemish.bundle import Bundle, Manifest, Preprocessing, load_bundle, save_bundle
from blemish.bundle.store import CERTIFICATE
from blemish.exporting.request import ExportRequest
from blemish.exporting.run import export_bundle
from blemish.inspector.loading import inspector_of
from blemish.methods.common.image_head import NAME
from blemish.nn.image_head import ImageHead
from blemish.progress import Reporter
from blemish.training.manifest import state_of
from tests.methods.tlsdd.graphs import lively

SHIFT = {"weight": 0.4, "mean": 0.0, "limit": 3.0}
SIZES = ((40, 57), (33, 80), (64, 64))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    detector, bank = lively(classes=2, backbone="efficientnet-lite0", proposals_test=20)
    head = ImageHead()
    torch.nn.init.normal_(head.cells.output.weight, std=0.3)
    manifest = Manifest(
        method="tlsdd",
        class_names=("scratch", "spot"),
        preprocessing=Preprocessing(channels=3),
        thresholds={"score": 0.3, "ng": 0.5, "review": 0.4},
        settings=detector.settings.model_dump(mode="json"),
        memory={"common": ["scratch", "spot"], "image_shift": SHIFT},
    )
    networks = {name: state_of(each) for name, each in (("detector", detector), ("bank", bank), (NAME, head))}
    return save_bundle(tmp_path_factory.mktemp("source") / "bundle", manifest, networks)


def test_the_exported_bundle_gives_the_same_and_says_so(
    source: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blemish.exporting.comparison_images.IMAGES", 6)
    monkeypatch.setattr("blemish.exporting.comparison_images.MIN_SYNTHETIC", 3)
    monkeypatch.setattr("blemish.exporting.comparison_images.SMALL", SIZES)
    out = export_bundle(ExportRequest(source, "onnx", "fp32", tmp_path / "bundle"), Reporter(quiet=True))
    exported = load_bundle(out)
    assert exported.manifest.runtime is not None
    assert {*exported.manifest.runtime.graphs} == {"maps", "regions", "support", NAME}
    assert json.loads((out / CERTIFICATE).read_text())["passed"] is True
    without = source.manifest.model_copy(update={"memory": {"common": ["scratch", "spot"]}})
    plain = inspector_of(
        save_bundle(
            tmp_path / "plain", without, {name: source.networks[name] for name in ("detector", "bank")}
        ),
        device="cpu",
    )
    by_torch, by_graphs = inspector_of(source, device="cpu"), inspector_of(exported)
    generator = np.random.default_rng(0)
    scores = []
    for size in SIZES:
        pixels = generator.integers(0, 256, (*size, 3), np.uint8)
        first, second = by_torch.judge(pixels, "a"), by_graphs.judge(pixels, "a")
        assert second.score == pytest.approx(first.score, abs=1e-4)
        assert len(second.candidates) == len(first.candidates)
        scores.append((first.score, plain.judge(pixels, "a").score))
    assert all(abs(moved - own) > 1e-3 for moved, own in scores), "the head counts"
