"""Bundles of TL-SDD with random weights, and examples of a further class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import Manifest, Preprocessing, save_bundle
from blemish.dataset.convert import convert
from blemish.dataset.samples import Annotation, Dataset, Sample

OLD = ("scratch", "spot")


def is_one_line(err: str) -> bool:
    return err.startswith("blemish: ") and err.count("\n") == 1 and "Traceback" not in err


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A bundle as `train tlsdd` writes it, its weights drawn instead of trained.

    background: whether as today, or as before added classes had rows of their own
    """
    import torch

    from blemish.methods.tlsdd.class_bank.enrolled import BACKGROUND, ENROLLED, blank_tensors
    from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of
    from blemish.methods.tlsdd.network.detector import Detector
    from blemish.methods.tlsdd.settings import TlsddSettings
    from blemish.training.manifest import state_of

    def make(*, background: bool = False, **changes: Any) -> Path:
        settings = TlsddSettings(
            preset="tiny", device="cpu", proposals_test=20, score_floor=0.0, common=OLD, **changes
        )
        torch.manual_seed(0)
        detector = Detector(settings, 2)
        points = torch.nn.functional.normalize(torch.randn(2, settings.embedding), dim=1)
        vectors, made_for = torch.rand(2, settings.width) + 0.5, torch.from_numpy(digest_of(detector))
        bank = ClassTensors(vectors, points, torch.ones(2).bool(), made_for)
        manifest = Manifest(
            method="tlsdd",
            class_names=OLD,
            preprocessing=Preprocessing(channels=3),
            thresholds={"score": 0.1, "ng": 0.5, "review": 0.5},
            settings=settings.model_dump(mode="json"),
            memory={"common": list(OLD), "rare": [], "examples": {}},
            notes=("noted in training",),
        )
        networks = {"detector": state_of(detector), "bank": state_of(bank)}
        if background:
            generator, blank = np.random.default_rng(0), blank_tensors(settings, 0)
            features = generator.random((200, len(blank["background"])), np.float32)
            networks[ENROLLED] = {**blank, "background": features.T @ features / 200}
            manifest = manifest.model_copy(update={"memory": {**manifest.memory, BACKGROUND: 200}})
        path = tmp_path_factory.mktemp("untrained") / "bundle"
        return save_bundle(path, manifest, networks).path

    return make


@pytest.fixture(scope="session")
def parent(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


@pytest.fixture(scope="session")
def modern_parent(make_bundle: Callable[..., Path]) -> Path:
    """A bundle whose training kept the background that added classes are told from."""
    return make_bundle(background=True)


@pytest.fixture(scope="session")
def examples(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three boxes in three images, called "thing" there."""
    chosen = [sample for sample in tiny_dataset if sample.annotations][:3]
    boxed = [replace(one, split=None, annotations=(box_in(one),)) for one in chosen]
    out = tmp_path_factory.mktemp("examples") / "data"
    convert(replace(tiny_dataset, samples=tuple(boxed), class_names=("thing",)), out, "coco")
    return out


def box_in(sample: Sample) -> Annotation:
    return Annotation("thing", box_xyxy=(10.0, 20.0, 50.0, 60.0))
