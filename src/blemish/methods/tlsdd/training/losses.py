"""Losses of the detector on a batch: the RPN's two, class and box.

Source: TL-SDD eqs. 2-5; Faster R-CNN (Ren et al. 2015), section 3.1. Letters: B images, K classes, R sampled
regions, S supports, m width, D embedding, h length of the hidden vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from blemish.methods.tlsdd.network.class_tensors import ClassTensors
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.extractor import FeatureMaps
from blemish.methods.tlsdd.network.map_cache import MapCache, SupportMaps
from blemish.methods.tlsdd.network.reweighting import class_means, means_of_others
from blemish.methods.tlsdd.network.scores import MetricScores, branch_loss, classification_loss, prototypes
from blemish.methods.tlsdd.training.sampling import SampledRegions, Truth, sample_regions, truths_of

Batch = Mapping[str, Tensor]  # see `episodes.EpisodeSampler.draw` and `episodes.ImageSampler.draw`


def total_loss(detector: Detector, batch: Batch, maps: MapCache) -> Tensor:
    """Sum of the detector's losses on a batch."""
    # The images come first: autocast may keep what it cast under no_grad, and their gradient would be lost.
    image_maps = maps.of_batch(batch["images"], batch["sizes"])
    supports = None
    if detector.settings.metric_head:
        supports = maps.of_supports(
            batch["support_images"],
            batch["support_sizes"],
            batch["support_boxes"],
            gradient=detector.settings.support_gradient,
        )
    return torch.stack(list(losses(detector, batch, image_maps, supports).values())).sum()


def losses(
    detector: Detector, batch: Batch, maps: FeatureMaps, supports: SupportMaps | None
) -> dict[str, Tensor]:
    """Losses by name: the paper's L = L_loc + L_cla (eqs. 4, 5) and the RPN's two.

    maps: the extractor's of "images"; supports: `MapCache.of_supports`
    """
    truths = truths_of(batch["boxes"], batch["labels"])
    classes, own = episode_vectors(detector, batch)
    proposals, rpn_loss = proposals_and_loss(detector, maps, batch["sizes"], truths, classes)
    sampled = sample_regions(
        proposals,
        truths,
        background=detector.classes,
        count=detector.settings.region_samples,
        positive_share=detector.settings.positive_share,
        moved=detector.settings.moved_boxes,
    )
    regions = detector.pool(maps, [image.boxes for image in sampled], batch["sizes"])
    labels = torch.cat([image.labels for image in sampled])
    hidden = detector.region_head(regions)
    if detector.settings.metric_head:
        observe_regions(detector, hidden.detach(), labels)
        assert supports is not None
        classes = with_prototypes(detector, batch, supports, classes, own)
    return {
        "rpn": rpn_loss,
        **class_losses(detector, regions, hidden, labels, classes),
        "box": box_loss(detector, hidden, sampled, labels),
    }


def proposals_and_loss(
    detector: Detector, maps: FeatureMaps, sizes: Tensor, truths: Sequence[Truth], classes: ClassTensors
) -> tuple[list[Tensor], Tensor]:
    """Proposals [N, 4] of each image, and the RPN's loss."""
    boxes, ignored = [truth.boxes for truth in truths], [truth.ignored for truth in truths]
    count = None
    if detector.settings.on_class_features:
        maps, count = detector.folded(maps, classes)
        sizes = sizes.repeat_interleave(count, 0)
        boxes, ignored = ([each for each in items for _ in range(count)] for items in (boxes, ignored))
    outputs = detector.rpn.predict(maps, sizes)
    return detector.rpn.propose(outputs, sizes, count), detector.rpn.loss(outputs, boxes, ignored)


def episode_vectors(detector: Detector, batch: Batch) -> tuple[ClassTensors, Tensor]:
    """Classes with vectors from an episode's supports, yet without prototypes, and the vectors [S, m] that
    the supports themselves are embedded under: those of the others.
    """
    settings, device = detector.settings, batch["boxes"].device
    vectors = torch.ones(detector.classes, settings.width, device=device)
    points = torch.zeros(detector.classes, settings.embedding, device=device)
    known = torch.ones(detector.classes, dtype=torch.bool, device=device)
    if not settings.episodic:
        return ClassTensors(vectors, points, known), vectors[:0]
    labels = batch["support_labels"]
    own = torch.ones(len(labels), settings.width, device=device)
    if settings.reweight:
        each = detector.support_encoder(batch["supports"]).float()
        vectors, known = class_means(each, labels, detector.classes)
        own = vectors[labels]
        if settings.leave_one_out:
            others, has_others = means_of_others(each, labels)
            own = torch.where(has_others[:, None], others, own)
    return ClassTensors(vectors, points, known), own


def with_prototypes(
    detector: Detector, batch: Batch, supports: SupportMaps, classes: ClassTensors, own: Tensor
) -> ClassTensors:
    """Classes with prototypes from an episode's supports. classes, own: see `episode_vectors`"""
    embedded = detector.embed_supports(*supports, own)
    points, known = prototypes(
        embedded, batch["support_labels"], detector.classes, normalize=detector.settings.normalize
    )
    moved, biases = cast(MetricScores, detector.scores).moved(points)
    return ClassTensors(classes.class_vectors, moved, known, biases=biases)


def observe_regions(detector: Detector, hidden: Tensor, labels: Tensor) -> None:
    """Update what the metric head keeps of the regions it sees. hidden: [R, h]; labels: [R] in 0…K"""
    scores = cast(MetricScores, detector.scores)
    detector.embedding.observe(hidden[labels >= 0])
    background = hidden[labels == detector.classes]
    if scores.background == "rpn_negatives":
        scores.observe_background(detector.embedding(background))
    if scores.starts:
        scores.start_background(detector.embedding(background))


def class_losses(
    detector: Detector, regions: Tensor, hidden: Tensor, labels: Tensor, classes: ClassTensors
) -> dict[str, Tensor]:
    """Mean of −log P(y), eq. 5, of the scores and of the linear head beside them; with `logits: branch` over
    every branch.

    regions: [R, m, s, s]; hidden: [R, h] of the plain regions; labels: [R] in 0…K, K the background
    """
    known = torch.cat([classes.known, classes.known.new_ones(1)])
    labels = torch.where(known[labels], labels, -1)  # a class without supports has no distance
    of_classes = detector.class_hidden(regions, hidden, classes)
    arguments = detector.score_arguments(of_classes, hidden, classes)
    if detector.settings.logits == "branch":
        found = {"class": branch_loss(detector.scores.branches(*arguments), labels, classes.known)}
    else:
        found = {"class": classification_loss(detector.scores(*arguments), labels)}
    if detector.settings.has_linear_head:
        found["linear"] = classification_loss(detector.linear_head(of_classes, hidden, classes.known), labels)
    return found


def box_loss(detector: Detector, hidden: Tensor, sampled: Sequence[SampledRegions], labels: Tensor) -> Tensor:
    """Smooth L1 over the positive regions, per sampled region. hidden: [R, h]; labels: [R] in 0…K"""
    boxes = torch.cat([image.boxes for image in sampled])
    matched = torch.cat([image.matched for image in sampled])
    positive = labels < detector.classes
    deltas = detector.box_deltas(hidden)[positive]
    if detector.settings.box_regression == "specific":
        deltas = deltas.view(-1, detector.classes, 4)[torch.arange(len(deltas)), labels[positive]]
    targets = detector.box_coder.encode_single(matched[positive], boxes[positive])
    loss = nn.functional.smooth_l1_loss(deltas, targets, beta=1 / 9, reduction="sum")
    return loss / max(1, len(labels))
