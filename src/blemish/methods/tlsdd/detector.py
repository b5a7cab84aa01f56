"""The M-SDD model: extractor → reweighting → proposals → regions → distances to prototypes.

Source: TL-SDD section III-A, Fig. 2, eqs. 1-5. The four switches of `Settings` turn it into each of the
paper's baselines. Reweighting commutes with RoIAlign, so regions are pooled once from the shared maps and
reweighted afterwards. Letters: B images, K classes, R regions, S supports, m width, D embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import MultiScaleRoIAlign, clip_boxes_to_image

from blemish.methods.tlsdd.bank import ClassBank
from blemish.methods.tlsdd.extractor import new_extractor
from blemish.methods.tlsdd.proposals import Maps, ProposalNetwork
from blemish.methods.tlsdd.region_head import RegionHead
from blemish.methods.tlsdd.reweighting import SupportEncoder, class_means, means_of_others, reweighted
from blemish.methods.tlsdd.sampling import SampledRegions, Truth, sample_regions, truths_of
from blemish.methods.tlsdd.scores import (
    Embedding,
    LinearScores,
    MetricScores,
    branch_loss,
    classification_loss,
    prototypes,
)
from blemish.methods.tlsdd.settings import Settings
from blemish.methods.tlsdd.views import MULTIPLE

Batch = Mapping[str, Tensor]
Sides = TypeVar("Sides", int, Tensor)


@dataclass(frozen=True)
class Classes:
    """What classification needs of the classes: vectors [K, m], prototypes [K, D], known [K]."""

    vectors: Tensor
    prototypes: Tensor
    known: Tensor


@dataclass(frozen=True)
class MapsOfSize:
    """Maps [n, m, h, w] of those pictures of a batch that have as many cells. places: [n], which they are."""

    places: Tensor
    maps: Maps


class Detector(nn.Module):
    """All learned parts, for K classes.

    Of Fig. 2, E is `extractor`, P `support_encoder`, M `region_head`, `embedding` and `scores`.
    """

    def __init__(self, settings: Settings, classes: int) -> None:
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
            MetricScores(settings) if settings.metric_head else LinearScores(settings, classes)
        )
        self.box_regressor = nn.Linear(
            settings.hidden, 4 if settings.box_regression == "agnostic" else 4 * classes
        )
        nn.init.normal_(self.box_regressor.weight, std=0.001)
        nn.init.zeros_(self.box_regressor.bias)
        self.box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        names = [name for name in self.extractor.names if name != "pool"]
        self.align = MultiScaleRoIAlign(names, settings.region_size, sampling_ratio=2)

    # Training

    def grow_from(self, base: Detector) -> None:
        """Take over the base's weights; what it has for each class goes to the first classes here.

        New rows of a linear classifier and of class-specific regressors keep their initial values.
        """
        own = self.state_dict()
        for name, tensor in base.state_dict().items():
            if own[name].shape == tensor.shape:
                own[name].copy_(tensor)
            elif name.startswith("scores."):
                own[name][: len(tensor) - 1].copy_(tensor[:-1])
                own[name][-1].copy_(tensor[-1])  # the background
            else:
                own[name][: len(tensor)].copy_(tensor)

    def losses(
        self, batch: Batch, maps: Maps, support_maps: Sequence[MapsOfSize] | None
    ) -> dict[str, Tensor]:
        """The paper's L = L_loc + L_cla (eqs. 4, 5) and the RPN's two, by name.

        batch: see `episodes`; maps, support_maps: the extractor's of "images" and "support_images"
        """
        truths = truths_of(batch["boxes"], batch["labels"])
        classes = self.classes_of(batch, support_maps)
        proposals, rpn_loss = self.proposals_and_loss(maps, batch["sizes"], truths, classes)
        sampled = sample_regions(
            proposals,
            truths,
            background=self.classes,
            count=self.settings.region_samples,
            positive_share=self.settings.positive_share,
        )
        regions = self.pool(maps, [one.boxes for one in sampled], batch["sizes"])
        labels = torch.cat([one.labels for one in sampled])
        hidden = self.region_head(regions)
        return {
            "rpn": rpn_loss,
            "class": self.class_loss(regions, hidden, labels, classes),
            "box": self.box_loss(hidden, sampled, labels),
        }

    def proposals_and_loss(
        self, maps: Maps, sizes: Tensor, truths: Sequence[Truth], classes: Classes
    ) -> tuple[list[Tensor], Tensor]:
        boxes, ignored = [truth.boxes for truth in truths], [truth.ignored for truth in truths]
        # The loss comes first: autocast may keep what it cast under no_grad, and the gradient would be lost.
        if not self.settings.on_class_features:
            loss = self.rpn.losses(maps, sizes, boxes, ignored)
            with torch.no_grad():
                return self.rpn(maps, sizes), loss
        folded, count = self.folded(maps, classes)
        loss = self.rpn.losses(
            folded,
            sizes.repeat_interleave(count, 0),
            [one for one in boxes for _ in range(count)],
            [one for one in ignored for _ in range(count)],
        )
        with torch.no_grad():
            return self.rpn.per_class(folded, sizes, count), loss

    def classes_of(self, batch: Batch, support_maps: Sequence[MapsOfSize] | None) -> Classes:
        """Class vectors and prototypes from an episode's supports, each seen under the others' vector."""
        settings, device = self.settings, batch["boxes"].device
        vectors = torch.ones(self.classes, settings.width, device=device)
        points = torch.zeros(self.classes, settings.embedding, device=device)
        known = torch.ones(self.classes, dtype=torch.bool, device=device)
        if not settings.episodic:
            return Classes(vectors, points, known)
        labels = batch["support_labels"]
        own = torch.ones(len(labels), settings.width, device=device)
        if settings.reweight:
            each = self.support_encoder(batch["supports"]).float()
            vectors, known = class_means(each, labels, self.classes)
            own = vectors[labels]
            if settings.leave_one_out:
                others, has_others = means_of_others(each, labels)
                own = torch.where(has_others[:, None], others, own)
        if settings.metric_head:
            assert support_maps is not None
            embedded = self.embed_supports(support_maps, batch["support_boxes"], batch["support_sizes"], own)
            points, known = prototypes(embedded, labels, self.classes, normalize=settings.normalize)
        return Classes(vectors, points, known)

    def embed_supports(
        self, maps: Sequence[MapsOfSize], boxes: Tensor, sizes: Tensor, vectors: Tensor
    ) -> Tensor:
        """Embeddings of one box on each image, under its class's vector. boxes: [S, 4]; returns: [S, D]"""
        pooled = [
            self.pool(alike.maps, list(boxes[alike.places][:, None]), sizes[alike.places]) for alike in maps
        ]
        regions = torch.cat(pooled)[torch.cat([alike.places for alike in maps]).argsort()]
        hidden = (
            self.region_head.paired(regions, vectors) if self.settings.reweight else self.region_head(regions)
        )
        embedded: Tensor = self.embedding(hidden)
        return embedded

    def class_loss(self, regions: Tensor, hidden: Tensor, labels: Tensor, classes: Classes) -> Tensor:
        """−log P(y), eq. 5; in the branch reading over every branch. labels: [R] in 0…K"""
        if isinstance(self.scores, MetricScores) and self.settings.background == "rpn_negatives":
            self.scores.observe_background(self.embedding(hidden[labels == self.classes]))
        known = torch.cat([classes.known, classes.known.new_ones(1)])
        labels = torch.where(known[labels], labels, -1)  # a class without supports cannot be told
        arguments = self.score_arguments(regions, hidden, classes)
        if self.settings.logits == "branch":
            return branch_loss(self.scores.branches(*arguments), labels, classes.known)
        return classification_loss(self.scores(*arguments), labels)

    def box_loss(self, hidden: Tensor, sampled: Sequence[SampledRegions], labels: Tensor) -> Tensor:
        """Smooth L1 over the positive regions, per sampled region."""
        boxes = torch.cat([one.boxes for one in sampled])
        matched = torch.cat([one.matched for one in sampled])
        positive = labels < self.classes
        deltas = self.box_deltas(hidden)[positive]
        if self.settings.box_regression == "specific":
            deltas = deltas.view(-1, self.classes, 4)[torch.arange(len(deltas)), labels[positive]]
        targets = self.box_coder.encode_single(matched[positive], boxes[positive])
        loss = nn.functional.smooth_l1_loss(deltas, targets, beta=1 / 9, reduction="sum")
        return loss / max(1, len(labels))

    # Both

    def folded(self, maps: Maps, classes: Classes) -> tuple[dict[str, Tensor], int]:
        """F_i of eq. 1 for every known class i, [B·K, m, h, w], and how many classes those are."""
        vectors = classes.vectors[classes.known]
        repeated = {name: features.repeat_interleave(len(vectors), 0) for name, features in maps.items()}
        images = len(next(iter(maps.values())))
        return reweighted(repeated, vectors.repeat(images, 1)), len(vectors)

    def pool(self, maps: Maps, boxes: Sequence[Tensor], sizes: Tensor) -> Tensor:
        """RoIAlign in fp32. boxes: [R, 4] of each image; sizes: [B, 2] (h, w); returns: [R, m, s, s]"""
        # As padded: RoIAlign takes the maps' scales from its first call's sizes, and keeps them for good.
        image_sizes = [(whole_cells(int(height)), whole_cells(int(width))) for height, width in sizes]
        with torch.autocast(boxes[0].device.type, enabled=False):
            features = {name: one.float() for name, one in maps.items()}
            regions: Tensor = self.align(features, [box.float() for box in boxes], image_sizes)
        return regions

    def classify(self, regions: Tensor, hidden: Tensor, classes: Classes) -> Tensor:
        """Log-probabilities [R, K + 1], the background last. hidden: [R, hidden] of the plain regions"""
        scored: Tensor = self.scores(*self.score_arguments(regions, hidden, classes))
        return scored

    def score_arguments(self, regions: Tensor, hidden: Tensor, classes: Classes) -> tuple[Tensor, ...]:
        """What `MetricScores` or `LinearScores` is called with."""
        of_classes = (
            self.region_head.per_class(regions, classes.vectors)
            if self.settings.reweight
            else hidden[:, None]
        )
        if not self.settings.metric_head:
            return of_classes, hidden, classes.known
        return self.embedding(of_classes), self.embedding(hidden), classes.prototypes, classes.known

    def box_deltas(self, hidden: Tensor) -> Tensor:
        deltas: Tensor = self.box_regressor(hidden).float()
        return deltas

    # Inference

    def serve(self, bank: ClassBank) -> None:
        """Set the classes that `forward` looks for. The bank stays a module of its own."""
        self.bank = (bank,)  # in a tuple, so that its tensors are not counted among the detector's

    def forward(self, images: Tensor) -> Tensor:
        """`detect` for the classes of the bank served."""
        (bank,) = self.bank
        return self.detect(images, Classes(bank.class_vectors, bank.prototypes, bank.known))

    def detect(self, images: Tensor, classes: Classes) -> Tensor:
        """Boxes and class probabilities of every proposal of one image, before any NMS between them.

        images: [1, 3, H, W] in [0, 1]; returns: [R, 4 + K] fp32, boxes in pixels
        """
        height, width = images.shape[-2:]
        return self.detect_on(self.extractor(padded(images)), (height, width), classes)

    def detect_on(self, maps: Maps, size: tuple[int, int], classes: Classes) -> Tensor:
        """The same from the image's maps. size: (H, W) of it without padding"""
        sizes = torch.tensor([size])
        if self.settings.on_class_features:
            folded, count = self.folded(maps, classes)
            proposals = self.rpn.per_class(folded, sizes, count)[0]
        else:
            proposals = self.rpn(maps, sizes)[0]
        regions = self.pool(maps, [proposals], sizes)
        hidden = self.region_head(regions)
        probabilities = self.classify(regions, hidden, classes).exp()[:, :-1]
        boxes = self.refined(proposals, hidden, probabilities)
        return torch.cat([clip_boxes_to_image(boxes, size), probabilities], 1)

    def refined(self, proposals: Tensor, hidden: Tensor, probabilities: Tensor) -> Tensor:
        """The proposals moved by the regressor: that of all classes, or of each region's likeliest."""
        deltas = self.box_deltas(hidden)
        if self.settings.box_regression == "specific":
            each = deltas.view(-1, self.classes, 4)  # as in `box_loss`, whatever the number of regions
            deltas = each[torch.arange(len(each)), probabilities.argmax(1)]
        refined: Tensor = self.box_coder.decode_single(deltas, proposals)
        return refined


def padded(images: Tensor) -> Tensor:
    """Black right of and below the images, to whole cells of the deepest map, as in training."""
    height, width = images.shape[-2:]
    return nn.functional.pad(images, (0, whole_cells(width) - width, 0, whole_cells(height) - height))


def whole_cells(side: Sides) -> Sides:
    """Pixels of a side, or of each, with what pads it to whole cells of the deepest map."""
    return -(-side // MULTIPLE) * MULTIPLE
