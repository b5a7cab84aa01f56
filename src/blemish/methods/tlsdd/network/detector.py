"""The M-SDD model: extractor → reweighting → proposals → regions → distances to prototypes.

Source: TL-SDD section III-A, Fig. 2, eqs. 1-5. The four switches of `TlsddSettings` turn it into each of the
paper's baselines. Reweighting commutes with RoIAlign, so regions are pooled once from the shared maps and
reweighted afterwards. Letters: B images, K classes, R regions, S supports, m width, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import MultiScaleRoIAlign, clip_boxes_to_image

from blemish.arrays import Size
from blemish.methods.tlsdd.data.views import Padding, whole_cells
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, EnrolledTensors
from blemish.methods.tlsdd.network.extractor import FeatureMaps, new_extractor
from blemish.methods.tlsdd.network.proposals import ProposalNetwork
from blemish.methods.tlsdd.network.region_head import RegionHead
from blemish.methods.tlsdd.network.reweighting import SupportEncoder, reweighted
from blemish.methods.tlsdd.network.scores import (
    Embedding,
    LinearScores,
    MetricScores,
    averaged_with_linear,
)
from blemish.methods.tlsdd.runtime.anchors import POOL
from blemish.methods.tlsdd.runtime.enrolled_rows import enrolled_rows, grid_boxes
from blemish.methods.tlsdd.settings import TlsddSettings


@dataclass(frozen=True)
class FeatureGroup:
    """Maps of those images of a batch that have as many cells.

    places: which images they are, [n]; maps: [n, m, h, w]
    """

    places: Tensor
    maps: FeatureMaps


class Detector(nn.Module):
    """All learned parts, for K classes.

    Of Fig. 2, E is `extractor`, P `support_encoder`, M `region_head`, `embedding` and `scores`.
    """

    def __init__(self, settings: TlsddSettings, classes: int) -> None:
        super().__init__()
        self.settings, self.classes = settings, classes
        self.extractor, self.origin = new_extractor(settings)
        self.rpn = ProposalNetwork(settings, self.extractor.strides)
        self.region_head = RegionHead(settings)
        if settings.reweight:
            self.support_encoder = SupportEncoder(settings)
        if settings.metric_head:
            self.embedding = Embedding(settings)
        self.scores: MetricScores | LinearScores = (
            MetricScores(settings, classes) if settings.metric_head else LinearScores(settings, classes)
        )
        if settings.has_linear_head:
            self.linear_head = LinearScores(settings.model_copy(update={"logits": "diagonal"}), classes)
        self.box_regressor = nn.Linear(
            settings.hidden, 4 if settings.box_regression == "agnostic" else 4 * classes
        )
        nn.init.normal_(self.box_regressor.weight, std=0.001)
        nn.init.zeros_(self.box_regressor.bias)
        self.box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        names = [name for name in self.extractor.names if name != POOL]
        self.align = MultiScaleRoIAlign(
            names, settings.region_size, sampling_ratio=2, canonical_scale=settings.roi_canonical_size
        )

    def grow_from(self, base: Detector) -> None:
        """Copy the base's weights; what it has for each class goes to the first classes here.

        New rows of linear classifiers, offsets and class-specific regressors keep their initial values.
        """
        own = self.state_dict()
        for name, tensor in base.state_dict().items():
            if own[name].shape == tensor.shape:
                own[name].copy_(tensor)
            elif name.startswith(("scores.linear.", "linear_head.")):
                own[name][: len(tensor) - 1].copy_(tensor[:-1])
                own[name][-1].copy_(tensor[-1])  # the background
            else:
                own[name][: len(tensor)].copy_(tensor)

    def embed_supports(
        self, maps: Sequence[FeatureGroup], boxes: Tensor, sizes: Tensor, vectors: Tensor
    ) -> Tensor:
        """Embeddings of one box on each image, under its class's vector. boxes: [S, 4]; returns: [S, D]"""
        pooled = [
            self.pool(group.maps, list(boxes[group.places][:, None]), sizes[group.places]) for group in maps
        ]
        regions = torch.cat(pooled)[torch.cat([group.places for group in maps]).argsort()]
        hidden = (
            self.region_head.paired(regions, vectors) if self.settings.reweight else self.region_head(regions)
        )
        embedded: Tensor = self.embedding(hidden)
        return embedded

    def folded(self, maps: FeatureMaps, classes: ClassTensors) -> tuple[dict[str, Tensor], int]:
        """F_i of eq. 1 for every known class i, [B·K, m, h, w], and how many classes those are."""
        vectors = classes.class_vectors[classes.known]
        repeated = {name: features.repeat_interleave(len(vectors), 0) for name, features in maps.items()}
        images = len(next(iter(maps.values())))
        return reweighted(repeated, vectors.repeat(images, 1)), len(vectors)

    def pool(self, maps: FeatureMaps, boxes: Sequence[Tensor], sizes: Tensor) -> Tensor:
        """RoIAlign in fp32. boxes: [R, 4] of each image; sizes: [B, 2] (h, w); returns: [R, m, s, s]"""
        # As padded: RoIAlign takes the maps' scales from its first call's sizes, and keeps them for good.
        image_sizes = [(whole_cells(int(height)), whole_cells(int(width))) for height, width in sizes]
        with torch.autocast(boxes[0].device.type, enabled=False):
            features = {name: of_map.float() for name, of_map in maps.items()}
            regions: Tensor = self.align(features, [box.float() for box in boxes], image_sizes)
        return regions

    def classify(self, regions: Tensor, hidden: Tensor, classes: ClassTensors) -> Tensor:
        """Log-probabilities [R, K + 1], the background last. hidden: [R, hidden] of the plain regions"""
        of_classes = self.class_hidden(regions, hidden, classes)
        scored: Tensor = self.scores(*self.score_arguments(of_classes, hidden, classes))
        if not self.settings.has_linear_head:
            return scored
        return averaged_with_linear(scored, self.linear_head, of_classes, hidden, classes.known)

    def class_hidden(self, regions: Tensor, hidden: Tensor, classes: ClassTensors) -> Tensor:
        """Hidden vectors of regions under each class's weights, [R, K, h]; [R, 1, h] without reweighting."""
        if not self.settings.reweight:
            return hidden[:, None]
        return self.region_head.per_class(regions, classes.class_vectors)

    def score_arguments(
        self, of_classes: Tensor, hidden: Tensor, classes: ClassTensors
    ) -> tuple[Tensor, ...]:
        """Arguments that `MetricScores` or `LinearScores` is called with. of_classes: see `class_hidden`"""
        if not self.settings.metric_head:
            return of_classes, hidden, classes.known
        embedded = self.embedding(of_classes), self.embedding(hidden)
        arguments = *embedded, classes.prototypes, classes.known
        return arguments if classes.biases is None else (*arguments, classes.biases)

    def box_deltas(self, hidden: Tensor) -> Tensor:
        """Output of the box regressor in fp32, [R, 4] or [R, 4·K]. hidden: [R, hidden]"""
        deltas: Tensor = self.box_regressor(hidden).float()
        return deltas

    # Inference

    def serve(self, bank: ClassTensors, enrolled: EnrolledTensors | None = None) -> None:
        """Set the classes that `forward` looks for. They stay modules of their own."""
        self.bank = (bank, enrolled)  # in a tuple, so that their tensors are not counted among the detector's

    def forward(self, images: Tensor) -> Tensor:
        """Boxes and class probabilities for the classes served, see `detect`."""
        return self.detect(images, *self.bank)

    def detect(
        self, images: Tensor, classes: ClassTensors, enrolled: EnrolledTensors | None = None
    ) -> Tensor:
        """Boxes and class probabilities of every proposal of one image, before any NMS between them.

        images: [1, 3, H, W] in [0, 1]; returns: [R, 4 + K] fp32, boxes in pixels
        enrolled: classes behind `classes`, added without training, see `enrolled_rows`
        """
        height, width = images.shape[-2:]
        maps = self.extractor(padded(images, self.settings.padding))
        return self.detect_on(maps, (height, width), classes, enrolled)

    def detect_on(
        self, maps: FeatureMaps, size: Size, classes: ClassTensors, enrolled: EnrolledTensors | None = None
    ) -> Tensor:
        """Boxes and class probabilities from an image's maps, see `detect`. size: (H, W) without padding"""
        proposals, sizes = self.propose(maps, size, classes), torch.tensor([size])
        regions = self.pool(maps, [proposals], sizes)
        hidden = self.region_head(regions)
        probabilities = self.classify(regions, hidden, classes).exp()[:, :-1]
        boxes = self.refined(proposals, hidden, probabilities)
        rows = torch.cat([clip_boxes_to_image(boxes, size), probabilities], 1)
        if enrolled is None or not len(enrolled.weights):
            return rows
        boxes = self.with_grid(proposals, size)
        features = self.region_head(self.pool(maps, [boxes], sizes)).float()
        own = enrolled_rows(
            boxes.cpu().numpy(),
            features.cpu().numpy(),
            enrolled.weights.cpu().numpy(),
            size=size,
            trained=probabilities.shape[1],
            settings=self.settings,
        )
        wide = nn.functional.pad(rows, (0, len(enrolled.weights)))
        return torch.cat([wide, torch.from_numpy(own).to(wide)])

    def with_grid(self, proposals: Tensor, size: Size) -> Tensor:
        """Proposals [R, 4], and behind them the boxes of the grid, see `enrolled_rows`."""
        return torch.cat([proposals, torch.from_numpy(grid_boxes(size)).to(proposals)])

    def propose(self, maps: FeatureMaps, size: Size, classes: ClassTensors) -> Tensor:
        """Proposals [R, 4] of one image, the best first. size: (H, W) without padding"""
        sizes = torch.tensor([size])
        if self.settings.on_class_features:
            folded, count = self.folded(maps, classes)
            return self.rpn.per_class(folded, sizes, count)[0]
        return self.rpn(maps, sizes)[0]

    def refined(self, proposals: Tensor, hidden: Tensor, probabilities: Tensor) -> Tensor:
        """Move proposals by the box regressor: that of all classes, or of each region's likeliest."""
        deltas = self.box_deltas(hidden)
        if self.settings.box_regression == "specific":
            each = deltas.view(-1, self.classes, 4)  # as in `box_loss`, whatever the number of regions
            deltas = each[torch.arange(len(each)), probabilities.argmax(1)]
        refined: Tensor = self.box_coder.decode_single(deltas, proposals)
        return refined


def padded(images: Tensor, padding: Padding) -> Tensor:
    """Images [B, 3, H, W] to whole cells of the deepest map, padded right and below as in training."""
    height, width = images.shape[-2:]
    beyond = (0, whole_cells(width) - width, 0, whole_cells(height) - height)
    return nn.functional.pad(images, beyond, mode="replicate" if padding == "edge" else "constant")
