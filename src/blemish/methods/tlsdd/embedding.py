"""Where regions lie in the metric space, as the classes see them, and how far from each prototype.

Source: TL-SDD eqs. 2 and 3, Fig. 9. A class sees a region under its own feature weights (eq. 1), so that a
region has an embedding for each class; the diagonal reading compares each with that class's prototype.
Letters: R regions, K classes, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.errors import BlemishError
from blemish.images.resize import with_shorter_side
from blemish.methods.contract import Embedded, Pixels
from blemish.methods.tlsdd.bank import ClassBank
from blemish.methods.tlsdd.detector import Classes, Detector
from blemish.methods.tlsdd.scenes import IGNORED
from blemish.methods.tlsdd.settings import Settings
from blemish.methods.tlsdd.views import View, batched, fitted


@dataclass(frozen=True)
class RegionEmbedder:
    """The detector's embeddings for the classes of a bank. Both in eval mode and on one device."""

    detector: Detector
    bank: ClassBank

    @property
    def prototypes(self) -> NDArray[np.float32]:
        """[K, D]"""
        found: NDArray[np.float32] = self.bank.prototypes.cpu().numpy()
        return found

    @torch.inference_mode()
    def embed(self, pixels: Pixels, boxes: NDArray[np.float32]) -> Embedded:
        """Regions [R, 4] of an image [H, W, 3]. Where that is larger than a tile, each has one about it."""
        settings = self.detector.settings
        size = with_shorter_side((pixels.shape[0], pixels.shape[1]), settings.size)
        whole = max(size) <= settings.tile
        groups = [boxes] if whole else [boxes[number : number + 1] for number in range(len(boxes))]
        parts = [self.embed_view(view_of(pixels, group, settings)) for group in groups if len(group)]
        classes, depth = self.bank.prototypes.shape
        none = torch.zeros(0, classes, depth), torch.zeros(0, depth)
        per_class, shared = (torch.cat(part).numpy() for part in zip(none, *parts, strict=True))
        return Embedded(per_class, shared)

    def embed_view(self, view: View) -> tuple[Tensor, Tensor]:
        """Per class [R, K, D], and shared [R, D], of the view's boxes."""
        detector, bank = self.detector, self.bank
        device = bank.prototypes.device
        images, sizes = batched([view])
        maps = detector.extractor(torch.from_numpy(images).to(device))
        regions = detector.pool(maps, [torch.from_numpy(view.boxes).to(device)], torch.from_numpy(sizes))
        classes = Classes(bank.class_vectors, bank.prototypes, bank.known)
        per_class, shared, *_ = detector.score_arguments(regions, detector.region_head(regions), classes)
        return per_class.expand(-1, len(bank.known), -1).float().cpu(), shared.float().cpu()


def view_of(pixels: Pixels, boxes: NDArray[np.float32], settings: Settings) -> View:
    """The boxes as the network gets them, not mirrored."""
    marked = View(pixels, boxes.astype(np.float32), np.full(len(boxes), IGNORED))
    return fitted(marked, settings, 0, np.random.default_rng(0))


def refuse_no_space(settings: Settings) -> None:
    if not settings.metric_head:
        raise BlemishError(
            f"The bundle must tell classes by distances (metric_head). Received: variant {settings.variant}, "
            "which has no metric space. Give a bundle of variant tl-sdd."
        )
