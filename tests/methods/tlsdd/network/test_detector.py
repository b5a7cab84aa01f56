"""The assembled detector: gradients, order of classes, unknown classes, metric classification end to end."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import box_iou, roi_align

from blemish.errors import BlemishError
from blemish.evaluation.detection import detection_metrics
from blemish.methods.tlsdd.class_bank.bank import ClassBank, ClassEntry
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of, refuse_other_bank
from blemish.methods.tlsdd.network.detector import Detector, FeatureGroup, padded
from blemish.methods.tlsdd.network.map_cache import MapCache
from blemish.methods.tlsdd.network.proposals import meets_ignored, without_ignored
from blemish.methods.tlsdd.training.fitting import named_parts
from blemish.methods.tlsdd.training.losses import episode_vectors, total_loss, with_prototypes
from blemish.methods.tlsdd.training.sampling import Truth, label_regions, sample_regions
from tests.methods.tlsdd.conftest import tiny

VARIANTS = ("fr-joint", "fr-ff-joint", "tl-ff", "tl-ff-fr", "tl-sdd")


def new_detector(classes=3, **changes):
    torch.manual_seed(0)
    return Detector(tiny(**changes), classes).eval()


def episode(settings, classes=3, supports=2):
    """A batch of two images and two supports of each class, all noise, boxes where they may be."""
    generator = torch.Generator().manual_seed(1)
    count = classes * supports
    side = settings.support_size
    return {
        "images": torch.rand(2, 3, 64, 96, generator=generator),
        "sizes": torch.tensor([[64, 96], [60, 90]]),
        "boxes": torch.tensor([[[4.0, 4, 40, 30], [50, 20, 90, 60]], [[10, 10, 30, 50], [0, 0, 0, 0]]]),
        "labels": torch.tensor([[0, 1], [2, -1]]),
        "support_images": torch.rand(count, 3, 64, 64, generator=generator),
        "support_sizes": torch.full((count, 2), 64),
        "support_boxes": torch.tensor([[8.0, 8, 40, 40]]).repeat(count, 1),
        "support_labels": torch.arange(classes).repeat_interleave(supports),
        "supports": torch.rand(count, 4, side, side, generator=generator),
    }


def some_classes(detector, classes=3):
    generator = torch.Generator().manual_seed(2)
    settings = detector.settings
    vectors = 0.5 + torch.rand(classes, settings.width, generator=generator)
    points = nn.functional.normalize(torch.randn(classes, settings.embedding, generator=generator), dim=1)
    return ClassTensors(vectors, points, torch.ones(classes, dtype=torch.bool))


@pytest.mark.parametrize("proposals", ["shared", "per_class"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_every_part_that_learns(variant, proposals):
    detector = new_detector(variant=variant, proposals=proposals)
    total_loss(detector, episode(detector.settings), MapCache(detector)).backward()
    without = [
        name
        for name, parameter in detector.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    # Single kernels may see a gradient of exactly zero; parts may not.
    reached = {
        name.split(".")[0] for name, p in detector.named_parameters() if p.grad is not None and p.grad.any()
    }
    assert reached == {name for name, _ in detector.named_children() if name != "align"}, without


@pytest.mark.parametrize("frozen", [("extractor", "rpn"), ("extractor",), ("support_encoder", "rpn")])
def test_no_gradient_reaches_a_frozen_part(frozen):
    detector = new_detector()
    for part in named_parts(detector, frozen):
        part.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    total_loss(detector, episode(detector.settings), MapCache(detector)).backward()
    for name, parameter in detector.named_parameters():
        assert (name.split(".")[0] in frozen) <= (parameter.grad is None), name
    torch.optim.SGD(detector.parameters(), lr=0.1, weight_decay=0.1).step()
    for name, tensor in detector.state_dict().items():
        if name.split(".")[0] in frozen:
            assert torch.equal(tensor, before[name]), name


def test_an_unknown_part_cannot_be_frozen():
    with pytest.raises(BlemishError, match=r"no part 'extracter'. Did you mean 'extractor'"):
        named_parts(new_detector(), ("extracter",))


@pytest.mark.parametrize(
    "changes", [{}, {"logits": "branch"}, {"background": "one_minus_max"}, {"reweight": False}]
)
@pytest.mark.parametrize("proposals", ["shared", "per_class"])
def test_permuting_the_classes_permutes_the_answer(changes, proposals):
    detector = new_detector(proposals=proposals, **changes)
    classes = some_classes(detector)
    image = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        rows = detector.detect(image, classes)
        for order in permutations(range(3)):
            turned = ClassTensors(
                classes.class_vectors[list(order)], classes.prototypes[list(order)], classes.known
            )
            other = detector.detect(image, turned)
            assert len(rows) > 5
            torch.testing.assert_close(other[:, :4], rows[:, :4], atol=1e-3, rtol=1e-4)
            torch.testing.assert_close(other[:, 4:], rows[:, 4:][:, list(order)], atol=1e-5, rtol=1e-4)


def test_a_class_without_examples_never_wins_and_takes_nothing_from_the_others():
    detector = new_detector()
    classes = some_classes(detector)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    without = ClassTensors(classes.class_vectors, classes.prototypes, torch.tensor([True, False, True]))
    two = ClassTensors(
        classes.class_vectors[[0, 2]], classes.prototypes[[0, 2]], torch.ones(2, dtype=torch.bool)
    )
    with torch.inference_mode():
        rows, alone = detector.detect(image, without), detector.detect(image, two)
    assert not rows[:, 5].any()
    torch.testing.assert_close(rows[:, [4, 6]], alone[:, 4:], atol=1e-6, rtol=1e-5)


def test_a_class_without_supports_gives_no_loss_and_no_gradient_that_is_no_number():
    detector = new_detector()
    batch = episode(detector.settings)
    kept = batch["support_labels"] != 1
    batch |= {key: batch[key][kept] for key in batch if key.startswith("support")}
    loss = total_loss(detector, batch, MapCache(detector))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters() if p.grad is not None)


@pytest.mark.parametrize("support_gradient", [True, False])
def test_in_bf16_the_extractor_learns_beside_supports_of_several_sizes(support_gradient):
    """What autocast has cast for supports without a gradient must not serve the images."""
    detector = new_detector(support_gradient=support_gradient).train()
    batch = episode(detector.settings)
    batch["support_sizes"] = torch.tensor([[64, 64], [40, 64], [64, 64], [64, 20], [64, 64], [40, 60]])
    batch["support_boxes"] = torch.tensor([[2.0, 2, 18, 30]]).repeat(6, 1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = total_loss(detector, batch, MapCache(detector))
    loss.backward()
    for name, parameter in detector.extractor.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.any(), name


def test_leave_one_out_keeps_a_support_from_seeing_its_own_weights():
    """Of two supports, each is embedded under the other's vector."""
    detector = new_detector(shots=2)
    batch = episode(detector.settings)
    calls = {}
    detector.embed_supports = lambda maps, boxes, sizes, vectors: calls.setdefault("vectors", vectors)[:, :16]
    width = detector.settings.width
    detector.support_encoder.forward = lambda supports: supports.mean((2, 3))[:, :1].repeat(1, width)
    supports = [], batch["support_boxes"], batch["support_sizes"]
    with_prototypes(detector, batch, supports, *episode_vectors(detector, batch))
    each = batch["supports"].mean((2, 3))[:, 0]
    expected = each.view(3, 2).flip(1).reshape(-1)
    torch.testing.assert_close(calls["vectors"][:, 0], expected)


def test_a_grown_detector_keeps_the_probabilities_of_its_old_classes():
    base = new_detector(classes=2, variant="tl-ff")
    base.scores.linear.weight.data.normal_()
    grown = new_detector(classes=3, variant="tl-ff")
    grown.grow_from(base)
    grown.scores.linear.weight.data[2], grown.scores.linear.bias.data[2] = 0, -1e9
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        torch.testing.assert_close(
            grown.detect(image, some_classes(grown))[:, :6], base.detect(image, some_classes(base, 2))
        )


def test_a_bank_of_another_detector_is_refused():
    detector, other = new_detector(), new_detector(embedding=17)
    bank = ClassBank.empty(detector.settings, 3).to_torch()
    bank.made_for.copy_(torch.from_numpy(digest_of(detector)))
    refuse_other_bank(detector, bank, source="B")
    with pytest.raises(BlemishError, match="B: its class bank was made for another detector"):
        refuse_other_bank(other, bank, source="B")


def test_a_bank_comes_back_from_torch_as_it_was_and_from_a_bundle():
    generator = np.random.default_rng(0)
    settings = tiny(width=8, embedding=3)
    entries = [ClassEntry(*(generator.random(n, np.float32) for n in (8, 3))) for _ in range(2)]
    bank = ClassBank.from_entries(entries, [True, False], np.arange(32, dtype=np.uint8))
    there = bank.to_torch()
    assert (
        list(there.state_dict())
        == list(bank.tensors())
        == ["class_vectors", "prototypes", "known", "made_for"]
    )
    for other in (there.to_bank(), ClassBank.from_tensors(bank.tensors(), settings, 2)):
        for name, array in bank.tensors().items():
            assert other.tensors()[name].dtype == array.dtype
            np.testing.assert_array_equal(other.tensors()[name], array, err_msg=name)
    there.class_vectors.zero_()
    assert bank.class_vectors.all(), "a copy"
    with pytest.raises(
        BlemishError, match=r"class bank must hold .* Received: .*Copy the whole bundle again"
    ):
        ClassBank.from_tensors(bank.tensors(), settings, 3)


def test_regions_are_what_they_meet_and_ignored_ones_are_no_background():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6], [20, 20, 30, 30], [50, 50, 60, 60], [0, 0, 10, 4]])
    truth = Truth(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([1]), torch.tensor([[20.0, 20, 30, 34]]))
    labels, nearest = label_regions(boxes, truth, 3)
    assert labels.tolist() == [1, 1, -1, 3, 3]  # IoU 1, 0.6, of the ignored 0.71, none, 0.4
    (sampled,) = sample_regions([boxes], [truth], background=3, count=4, positive_share=0.5)
    assert sorted(sampled.labels.tolist()) == [1, 1, 3, 3]
    assert (sampled.matched[sampled.labels == 1] == truth.boxes).all() and not nearest.any()


def test_moved_copies_of_true_boxes_are_positive_before_anything_is_proposed():
    torch.manual_seed(0)
    true = torch.tensor([[10.0, 10, 20, 90], [50, 50, 55, 54]])
    truth = Truth(true, torch.tensor([2, 0]), torch.zeros(0, 4))
    nothing = torch.tensor([[200.0, 200, 210, 210]]).repeat(20, 1)
    (plain,) = sample_regions([nothing], [truth], background=3, count=40, positive_share=0.5)
    (sampled,) = sample_regions([nothing], [truth], background=3, count=40, positive_share=0.5, moved=8)
    assert (plain.labels < 3).sum() == 2
    assert sorted(sampled.labels[sampled.labels < 3].tolist()) == [0] * 9 + [2] * 9
    positive = sampled.labels < 3
    assert (box_iou(sampled.boxes[positive], sampled.matched[positive]).diagonal() > 0.5).all()
    assert len(sampled.boxes[positive].unique(dim=0)) == 18
    torch.testing.assert_close(sampled.matched[positive], true[(sampled.labels[positive] == 0).long()])


def test_what_lies_in_an_undrawn_defect_is_no_background_however_small():
    patch = torch.tensor([[100.0, 100, 180, 180]])
    boxes = torch.tensor([[110.0, 110, 130, 120], [90, 100, 110, 110], [90, 100, 112, 110], [0, 0, 20, 20]])
    boxes = torch.cat([boxes[[0, 2, 3]], boxes[[1]] - 1])  # inside; 12 of 22 columns inside; far; under half
    assert meets_ignored(boxes, patch).tolist() == [True, True, False, False]
    labels, _ = label_regions(boxes, Truth(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), patch), 3)
    assert labels.tolist() == [-1, -1, 3, 3]
    assert without_ignored(torch.tensor([0, 1, 0, 0]), boxes, patch).tolist() == [-1, 1, 0, 0]
    assert not meets_ignored(boxes, torch.zeros(0, 4)).any()


# Metric classification on flat squares, with stand-ins that see only colour.

COLOURS = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]], np.float32)
SQUARES = np.array([[8, 8, 24, 24], [40, 8, 56, 24], [8, 40, 24, 56]], np.float32)
NAMES = ("red", "green", "blue")


class ColourMaps(nn.Module):
    names, strides = ("0",), (4,)

    def forward(self, images):
        return {"0": nn.functional.avg_pool2d(images, 4)}


class MeanColour(nn.Module):
    def forward(self, regions):
        return regions.mean((2, 3))

    def per_class(self, regions, vectors):
        return self(regions)[:, None].expand(-1, len(vectors), -1)

    def paired(self, regions, vectors):
        return self(regions)


class Oracle(nn.Module):
    """One-hot by the nearest colour, a fourth direction for gray."""

    def forward(self, colours):
        known = torch.cat([torch.from_numpy(COLOURS), torch.full((1, 3), 0.5)])
        nearest = torch.cdist(colours.reshape(-1, 3), known).argmin(1)
        return nn.functional.one_hot(nearest, 4).float().reshape(*colours.shape[:-1], 4)


class Squares(nn.Module):
    """Proposes every square and two places beside them."""

    def forward(self, maps, sizes):
        beside = torch.tensor([[40.0, 40, 56, 56], [26, 26, 38, 38]])
        return [torch.cat([torch.from_numpy(SQUARES), beside]) for _ in sizes]


def oracle_detector():
    detector = new_detector(embedding=4, width=8, initial_scale=50)
    detector.extractor, detector.rpn = ColourMaps(), Squares()
    detector.region_head, detector.embedding = MeanColour(), Oracle()
    detector.box_regressor = nn.Linear(3, 4)
    nn.init.zeros_(detector.box_regressor.weight)
    nn.init.zeros_(detector.box_regressor.bias)
    detector.scores.points.data.copy_(torch.tensor([[0.0, 0, 0, 1]]))
    detector.settings = detector.settings.model_copy(update={"reweight": False})
    return detector


def drawn_image(order):
    """Gray with a square of each colour, square i in the colour of class order[i]."""
    image = np.full((1, 3, 64, 64), 0.5, np.float32)
    for (left, top, right, bottom), number in zip(SQUARES.astype(int), order, strict=True):
        image[0, :, top:bottom, left:right] = COLOURS[number][:, None, None]
    return torch.from_numpy(image)


def average_precision(detector, support_labels, records_of):
    image = drawn_image((0, 1, 2))
    batch = {
        "boxes": torch.zeros(1, 1, 4), "support_labels": support_labels,
        "support_boxes": torch.from_numpy(SQUARES), "support_sizes": torch.full((3, 2), 64),
    }  # fmt: skip
    with torch.inference_mode():
        maps = FeatureGroup(torch.arange(3), detector.extractor(image.repeat(3, 1, 1, 1)))
        supports = [maps], batch["support_boxes"], batch["support_sizes"]
        classes = with_prototypes(detector, batch, supports, *episode_vectors(detector, batch))
        rows = {
            order: detector.detect(drawn_image(order), classes).numpy() for order in permutations(range(3))
        }
    return detection_metrics(records_of(rows, SQUARES, NAMES), NAMES)["map50"]


def test_an_oracle_embedding_is_perfect_and_shuffled_support_labels_are_not(records_of):
    detector = oracle_detector()
    assert average_precision(detector, torch.tensor([0, 1, 2]), records_of) == pytest.approx(1.0)
    assert average_precision(detector, torch.tensor([1, 2, 0]), records_of) < 0.05


@pytest.mark.parametrize("size", [(40, 96), (20, 20), (66, 128)])
def test_regions_of_small_images_lie_where_they_are(size):
    """Padding adds half as much again here, which must not be taken for another scale, now or later."""
    detector = new_detector()
    box = torch.tensor([[2.0, 3.0, 18.0, 15.0]])
    for height, width in (size, (96, 96)):
        maps = detector.extractor(padded(torch.rand(1, 3, height, width), "edge"))
        regions = detector.pool(maps, [box], torch.tensor([[height, width]]))
        expected = roi_align(maps["0"], [box], 7, spatial_scale=1 / 4, sampling_ratio=2)
        torch.testing.assert_close(regions, expected)


@pytest.mark.parametrize("deepest", ["layer3", "layer4"])
def test_anchors_lie_a_stride_apart_in_fp32_whatever_the_maps(deepest):
    """On 992 px bf16 would be 4 px coarse; with layer4 the last map, of stride 64, is rounded up."""
    detector = new_detector(deepest=deepest, aspect_ratios=(2.0,))
    sides = [-(-992 // stride) for stride in detector.extractor.strides]
    maps = [torch.zeros(1, 32, side, side, dtype=torch.bfloat16) for side in sides]
    anchors = detector.rpn.anchors(maps)
    expected = [
        [x * stride - across, y * stride - down, x * stride + across, y * stride + down]
        for stride, side in zip(detector.extractor.strides, sides, strict=True)
        for across, down in [(round(2 * stride / 2**0.5), round(2 * stride * 2**0.5))]
        for y in range(side)
        for x in range(side)
    ]
    assert torch.equal(anchors, torch.tensor(expected, dtype=torch.float32))


def test_class_specific_boxes_of_no_region():
    detector = new_detector(box_regression="specific")
    none = detector.refined(torch.zeros(0, 4), torch.zeros(0, detector.settings.hidden), torch.zeros(0, 3))
    assert none.shape == (0, 4)
