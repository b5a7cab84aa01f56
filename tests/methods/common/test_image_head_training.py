"""The image score's head: learned from labels alone, where there are enough, and kept where it helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from blemish.dataset.samples import Annotation, Sample
from blemish.errors import UnavailableError
from blemish.inspector.torch_backend import as_networks
from blemish.methods.common.image_head import NAME, head_log_odds, squeezed
from blemish.methods.common.training import image_head
from blemish.methods.common.training.image_head import ImageScoreFitter, trained_image_head
from blemish.nn.image_head import new_image_head


class Reading:
    """As much of a trainer as the head needs: images by the number in their name, striped where defective."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def read(self, sample: Sample, channels: int | None) -> np.ndarray:
        generator = np.random.default_rng(int(sample.id))
        pixels = generator.integers(90, 130, (40, 48), dtype=np.uint8)
        if sample.is_defective:
            pixels[::4] //= 3
        return pixels

    def networks(self, modules: Mapping[str, Any]) -> Mapping[str, Any]:
        return as_networks(modules, device="cpu")

    def track(self, items: Iterable[Any], title: str) -> Iterable[Any]:
        return items

    def note(self, message: str) -> None:
        self.notes.append(message)


def samples(number: int, first: int = 0) -> list[Sample]:
    """So many images of each kind; the defective ones have a label and no place."""
    return [
        Sample(Path("a.png"), str(index), (Annotation("a"),) if index % 2 else ())
        for index in range(first, first + 2 * number)
    ]


def asked(score: str = "learned", images: int = 6) -> Any:
    return SimpleNamespace(image_score=score, image_score_images=images)


@pytest.fixture(autouse=True)
def random_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_head, "new_image_head", lambda _weights: new_image_head())


def test_a_head_learns_from_labels_without_a_place() -> None:
    head = trained_image_head(samples(8), asked(), Reading(), channels=1)
    assert head is not None
    trainer = Reading()
    networks = trainer.networks({NAME: head})
    fresh = samples(5, first=100)
    odds = [head_log_odds(trainer.read(each, 1), networks) for each in fresh]
    assert [value > 0 for value in odds] == [each.is_defective for each in fresh]


@pytest.mark.parametrize("settings", [asked("fitted"), asked("max"), asked(images=9)])
def test_there_is_none_where_it_is_not_wanted_or_images_are_too_few(settings: Any) -> None:
    assert trained_image_head(samples(8), settings, Reading(), channels=1) is None


def test_without_weights_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_weights: str) -> None:
        raise UnavailableError("The weights are not installed.")

    monkeypatch.setattr(image_head, "new_image_head", refused)
    trainer = Reading()
    assert trained_image_head(samples(8), asked(), trainer, channels=1) is None
    (line,) = trainer.notes
    assert line.endswith("there is no pretrained encoder. The weights are not installed.")


@pytest.mark.parametrize("map_tells", [True, False])
def test_the_head_is_a_network_of_the_bundle_where_the_map_does_not_tell_as_much(map_tells: bool) -> None:
    trainer, generator = Reading(), np.random.default_rng(0)
    fitter = ImageScoreFitter(samples(8), asked(), trainer, channels=1, max_value=1.0)
    for sample in samples(10, first=200):
        values = generator.random((16, 16), dtype=np.float32) * np.float32(0.4)
        values += np.float32(0.55 * (map_tells and sample.is_defective))
        head_sees = trainer.read(sample, 1) if not map_tells else np.full((40, 48), 110, np.uint8)
        fitter.update(values, head_sees, defective=sample.is_defective)
    score, modules = fitter.fit()
    assert score is not None
    assert score.uses_head == (not map_tells) == (NAME in modules)


def test_a_head_learns_from_mirror_images_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few images are seen from both sides, many as they are alone, so that the cost has a bound."""
    found: dict[str, np.ndarray] = {}
    monkeypatch.setattr(
        image_head, "fit_image_head", lambda _, features, defective, folds: found.update(seen=features)
    )
    trainer = Reading()
    head = trained_image_head(samples(6), asked(), trainer, channels=1)
    assert head is not None and found["seen"].shape[0] == 2 * 12
    whole = torch.from_numpy(squeezed(trainer.read(samples(6)[1], 1)))
    with torch.inference_mode():
        expected = head.features(torch.cat([whole, whole.flip(3)])).numpy()
    np.testing.assert_allclose(found["seen"][:2], expected, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(image_head, "MAX_VIEWS", 12)
    trained_image_head(samples(6), asked(), trainer, channels=1)
    assert found["seen"].shape[0] == 12


def test_near_copies_share_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textures of chance, each there three times with another light: its copies are held out together."""

    class Copies(Reading):
        def read(self, sample: Sample, channels: int | None) -> np.ndarray:
            texture = np.random.default_rng(int(sample.id) % 16).integers(60, 180, (12, 12), dtype=np.uint8)
            return np.clip(np.kron(texture, np.ones((8, 8))) + int(sample.id) // 16, 0, 255).astype(np.uint8)

    found: dict[str, np.ndarray] = {}
    monkeypatch.setattr(image_head, "fit_image_head", lambda *_, folds: found.update(folds=np.asarray(folds)))
    trained_image_head(samples(24), asked(), Copies(), channels=1)
    order = np.array([*range(1, 48, 2), *range(0, 48, 2)])  # defective images come first
    textures = order.repeat(2) % 16  # and each with its mirror images
    for texture in range(16):
        assert len(set(found["folds"][textures == texture])) == 1
    assert len(set(found["folds"])) == 5
