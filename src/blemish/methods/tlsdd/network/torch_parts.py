"""Parts of the detector for adding and embedding classes, run by torch; see `runtime.parts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.arrays import Boxes, Floats, Size
from blemish.methods.contract import Network
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED, EnrolledClasses
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, EnrolledTensors
from blemish.methods.tlsdd.network.detector import Detector, padded
from blemish.methods.tlsdd.network.map_cache import RememberedMaps
from blemish.methods.tlsdd.network.scores import MetricScores
from blemish.methods.tlsdd.settings import TlsddSettings


@dataclass(frozen=True)
class TorchParts:
    """`runtime.parts.Parts` of a detector in eval mode. extractor: its own, or one that remembers"""

    detector: Detector
    extractor: nn.Module

    @property
    def settings(self) -> TlsddSettings:
        return self.detector.settings

    @torch.inference_mode()
    def class_vectors(self, supports: Floats) -> Floats:
        return array_of(self.detector.support_encoder(self.tensor_of(supports)))

    @torch.inference_mode()
    def regions_at(self, images: Floats, size: Size, boxes: Boxes) -> Tensor:
        """Pooled features [R, m, s, s]."""
        maps = self.extractor(self.tensor_of(images))
        return self.detector.pool(maps, [self.tensor_of(boxes)], torch.tensor([size]))

    @torch.inference_mode()
    def embeddings(self, regions: Sequence[Tensor], vectors: Floats) -> Floats:
        head, together = self.detector.region_head, torch.cat(list(regions))
        if not self.settings.reweight:
            plain = self.detector.embedding(head(together))
            return array_of(plain[:, None].expand(-1, len(vectors), -1))
        return array_of(self.detector.embedding(head.per_class(together, self.tensor_of(vectors))))

    def distance_scale(self, regions: Tensor, bank: ClassBank) -> float:
        return float(torch.as_tensor(cast(MetricScores, self.detector.scores).scale()).detach())

    @torch.inference_mode()
    def features(self, regions: Sequence[Tensor]) -> Floats:
        return array_of(self.detector.region_head(torch.cat(list(regions))))

    @torch.inference_mode()
    def boxes_to_score(self, images: Floats, size: Size, bank: ClassBank) -> Boxes:
        maps = self.extractor(self.tensor_of(images))
        classes = bank.to_torch(next(self.detector.parameters()).device)
        return array_of(self.detector.with_grid(self.detector.propose(maps, size, classes), size))

    @torch.inference_mode()
    def rows(self, images: Floats, bank: ClassBank, enrolled: EnrolledClasses | None = None) -> Floats:
        pixels = self.tensor_of(images)
        maps = self.extractor(padded(pixels, self.settings.padding))
        height, width = images.shape[2:]
        behind = None if enrolled is None else EnrolledTensors({"weights": enrolled.weights})
        return array_of(self.detector.detect_on(maps, (height, width), bank.to_torch(pixels.device), behind))

    def tensor_of(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(next(self.detector.parameters()).device)


def open_modules(
    modules: Mapping[str, nn.Module],
) -> tuple[TorchParts, ClassBank, EnrolledClasses | None]:
    """Parts, bank and the classes behind it of a bundle's modules, put in eval mode."""
    detector = cast(Detector, modules["detector"]).eval()
    bank = cast(ClassTensors, modules["bank"]).to_bank()
    parts = TorchParts(detector, RememberedMaps(detector.extractor))
    if ENROLLED not in modules:
        return parts, bank, None
    arrays = cast(EnrolledTensors, modules[ENROLLED]).arrays()
    return parts, bank, EnrolledClasses.from_tensors(arrays, parts.settings, len(arrays["weights"]))


def head_network(head: nn.Module) -> Network:
    """Image head as a function of arrays, images [B, 3, S, S] to log odds [B, 1], in eval mode."""
    head.eval()
    device = next(head.parameters()).device

    @torch.inference_mode()
    def network(images: Floats) -> Floats:
        return array_of(head(torch.from_numpy(images).to(device)))

    return network


def array_of(tensor: Tensor) -> Floats:
    found: Floats = tensor.float().cpu().numpy()
    return found
