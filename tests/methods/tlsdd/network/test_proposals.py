"""Proposals and the RPN's loss beside torchvision's own, which computes every anchor's box."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from blemish.methods.tlsdd.network.detector import Detector
from tests.methods.tlsdd.conftest import tiny

SIZES = torch.tensor([[96, 128], [70, 90], [96, 33]])


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    made = Detector(tiny(), 2)
    torch.nn.init.normal_(made.rpn.rpn.head.bbox_pred.weight, std=0.3)
    return made


@pytest.fixture(scope="module")
def maps(detector: Detector) -> dict[str, Tensor]:
    with torch.no_grad():
        found: dict[str, Tensor] = detector.extractor(torch.rand(3, 3, 96, 128))
    return found


@pytest.mark.parametrize("training", [True, False])
def test_proposals_are_those_of_torchvision(
    detector: Detector, maps: dict[str, Tensor], training: bool
) -> None:
    rpn = detector.rpn.train(training)
    outputs = rpn.predict(maps, SIZES)
    boxes = rpn.rpn.box_coder.decode(outputs.deltas.detach().flatten(0, 1), [outputs.anchors] * 3)
    expected, _ = rpn.rpn.filter_proposals(
        boxes.view(3, -1, 4), outputs.objectness.view(-1, 1), SIZES.tolist(), outputs.counts
    )
    found = rpn(maps, SIZES)
    assert [len(each) for each in found] == [len(each) for each in expected] and min(map(len, found)) > 5
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_loss_and_its_gradient_are_those_of_torchvision(
    detector: Detector, maps: dict[str, Tensor]
) -> None:
    rpn = detector.rpn.train()
    boxes = [
        torch.tensor([[8.0, 8, 40, 60], [60, 20, 90, 44]]),
        torch.zeros(0, 4),
        torch.tensor([[1.0, 5, 30, 90]]),
    ]
    nothing = [torch.zeros(0, 4)] * 3
    gradients, losses = [], []
    for ours in (True, False):
        rpn.zero_grad()
        torch.manual_seed(7)
        outputs = rpn.predict(maps, SIZES)
        if ours:
            loss = rpn.loss(outputs, boxes, nothing)
        else:
            anchors = [outputs.anchors] * 3
            labels, matched = rpn.rpn.assign_targets_to_anchors(anchors, [{"boxes": each} for each in boxes])
            targets = rpn.rpn.box_coder.encode(matched, anchors)
            loss = sum(
                rpn.rpn.compute_loss(
                    outputs.objectness.view(-1, 1), outputs.deltas.flatten(0, 1), labels, targets
                )
            )
        loss.backward()
        losses.append(loss.detach())
        gradients.append([parameter.grad.clone() for parameter in rpn.parameters()])
    torch.testing.assert_close(losses[0], losses[1])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
