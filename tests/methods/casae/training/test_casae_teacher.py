"""The mean teacher piece by piece: its weights, its word, what is mixed, and how far it is heard."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from blemish.errors import BlemishError
from blemish.methods.casae.network.layers import standardised
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.casae.training.teacher import (
    MeanTeacher,
    consistency,
    mixed,
    pseudo_labels,
    with_mean_teacher,
)
from blemish.methods.casae.training.unlabelled import draw_cut, ramped
from blemish.methods.contract import Stage
from blemish.nn.averaging import share_kept


def settings(**changes: Any) -> CasaeSettings:
    return CasaeSettings(**{"preset": "tiny", "unlabelled_weight": 2.0, "standardise": False, **changes})


class Level(nn.Module):
    """A defect's logit is the pixel times a weight, and a shift: all that can be learned."""

    def __init__(self, weight: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.shift = nn.Parameter(torch.tensor(shift))

    def forward(self, images: Tensor) -> Tensor:
        logits = self.weight * images + self.shift
        return torch.cat([torch.zeros_like(logits), logits], dim=1)


def logit(probability: float) -> float:
    return log(probability / (1 - probability))


def image_batch(*rows: list[float]) -> Tensor:
    """[U, 1, 1, W] whose pixels Level(1, 0) gives these probabilities."""
    return torch.tensor([[[[logit(value) for value in row]]] for row in rows])


# Weights


def test_the_teachers_weights_are_the_running_mean_worked_out_by_hand() -> None:
    learner = MeanTeacher(Level(1.0), decay=0.5)
    with torch.no_grad():
        learner.student.weight.fill_(2.0)
        learner.follow()  # keeps (1 + 0) / (10 + 0) = 0.1
        assert learner.teacher.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 2)
        learner.student.weight.fill_(4.0)
        learner.follow()  # keeps 2 / 11
        assert learner.teacher.weight.item() == pytest.approx(2 / 11 * 1.9 + 9 / 11 * 4)
    assert [share_kept(many, 0.5) for many in (7, 8, 1000)] == pytest.approx([8 / 17, 0.5, 0.5])


def test_the_teacher_judges_with_the_students_statistics() -> None:
    """Without them it would go on scaling by those of a network that has had no batch."""
    learner = MeanTeacher(nn.BatchNorm2d(1), decay=0.5)
    learner.train()
    learner.student(5 + 3 * torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    learner.follow()
    assert learner.teacher.running_mean.item() == pytest.approx(0.1 * 5, abs=0.05)
    assert learner.teacher.running_var.item() == pytest.approx(0.9 + 0.1 * 9, abs=0.1)


def optimised(learner: MeanTeacher, batches: list[Mapping[str, Tensor]], own: CasaeSettings) -> list[float]:
    """Losses of gradient descent on the batches, as the trainer takes its steps."""
    stage = Stage(
        name="first",
        network=learner.student,
        steps=len(batches),
        batch=lambda step, rank: {},
        loss=lambda network, batch: torch.zeros(()),
        optimiser=lambda parameters: torch.optim.SGD([p for p in parameters if p.requires_grad], lr=0.5),
        learning_rate=lambda step: 0.5,
        gradient_clip=5.0,
    )
    made = with_mean_teacher(stage, learner, lambda step, rank: batches[step], own)
    learner.train()
    optimiser = made.optimiser(made.network.parameters())
    losses = []
    for step in range(len(batches)):
        loss = made.loss(made.network, made.batch(step, 0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def batch(plain: Tensor, *, truth: list[float], ramp: float = 1.0) -> dict[str, Tensor]:
    """One labelled image of two pixels at 0.7 and 0.3, and unlabelled ones, none of it mixed."""
    return {
        "images": image_batch([0.7, 0.3]),
        "truth": torch.tensor([[truth]], dtype=torch.int64),
        "plain": plain,
        "jittered": plain,
        "cut": torch.zeros_like(plain, dtype=torch.bool),
        "ramp": torch.tensor(ramp),
    }


def test_the_teacher_gets_no_gradient_and_follows_each_step() -> None:
    learner = MeanTeacher(Level(1.0), decay=0.0)
    optimised(learner, [batch(image_batch([0.95, 0.02]), truth=[1, 0])] * 3, settings())
    assert all(one.grad is None and not one.requires_grad for one in learner.teacher.parameters())
    assert not learner.teacher.training
    assert learner.student.weight.item() != 1.0
    assert torch.equal(learner.teacher.weight, learner.student.weight)  # as it keeps nothing of itself
    assert int(learner.updates) == 3


# Pseudo labels


def test_only_confident_pixels_are_labelled() -> None:
    probability = torch.tensor([0.0, 0.1, 0.11, 0.5, 0.89, 0.9, 1.0])
    assert pseudo_labels(probability, 0.9).tolist() == [0, 0, -1, -1, -1, 1, 1]


def test_image_and_target_are_mixed_alike() -> None:
    generator = np.random.default_rng(0)
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 16)
    cut = torch.from_numpy(np.stack([draw_cut(16, generator) for _ in range(4)])[:, None])
    drawn = mixed(images, cut)
    labels = mixed(images[:, :1].long(), cut)
    assert torch.equal(drawn[:, :1].long(), labels)
    for number in range(4):
        inside = cut[number, 0]
        assert bool((labels[number, 0][inside] == (number + 1) % 4).all())
        assert bool((labels[number, 0][~inside] == number).all())
        assert 0.4 < float(inside.float().mean()) < 0.6
        rows, columns = inside.any(1).nonzero().ravel(), inside.any(0).nonzero().ravel()
        whole = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert bool(whole.all())  # one rectangle


def test_consistency_is_eq_1_with_the_teachers_word_on_mixed_images() -> None:
    learner = MeanTeacher(Level(1.0), decay=0.9)
    with torch.no_grad():
        learner.student.shift.fill_(-1.0)
    pair = {
        "plain": image_batch([0.95, 0.5, 0.01, 0.01], [0.02, 0.03, 0.97, 0.6]),
        "jittered": image_batch([0.9, 0.5, 0.02, 0.02], [0.03, 0.03, 0.9, 0.6]),
        "cut": torch.tensor([[[[False, False, True, True]]], [[[False, True, False, True]]]]),
    }
    # Labels: [1, –, 1, –] and [0, –, 1, 0]; the student sees 0.9 0.5 0.9 0.6 and 0.03
    # 0.5 0.9 0.02, each a shift lower.
    mapped = {value: 1 / (1 + exp(1 - logit(value))) for value in (0.9, 0.03, 0.02)}
    by_hand = -3 * 0.8 * log(mapped[0.9]) - 0.2 * log(1 - mapped[0.03]) - 0.2 * log(1 - mapped[0.02])
    assert float(consistency(learner, pair, settings(confidence=0.9)).detach()) == pytest.approx(by_hand / 8)


def test_images_are_standardised_each_by_itself_before_they_are_mixed() -> None:
    """A bright image in a dark one's place: the student sees both as the teacher does."""
    learner = MeanTeacher(Level(1.0), decay=0.9)
    plain = torch.tensor([[[[2.0, -2.0, 0.1, -0.1]]], [[[-2.0, 2.0, 1.0, -1.0]]]])
    cut = torch.tensor([[[[False, False, True, True]]], [[[False, True, False, True]]]])
    relit = torch.tensor([0.05, 0.4]).view(2, 1, 1, 1) * plain + torch.tensor([0.2, 0.7]).view(2, 1, 1, 1)
    drawn = {"plain": plain, "jittered": relit, "cut": cut}
    by_hand = {**drawn, "jittered": standardised(relit)}
    with torch.no_grad():
        own = float(consistency(learner, drawn, settings(standardise=True, confidence=0.8)))
        expected = float(consistency(learner, by_hand, settings(confidence=0.8)))
        as_it_is = float(consistency(learner, drawn, settings(confidence=0.8)))
    assert own == pytest.approx(expected)
    assert abs(own - as_it_is) > 0.01


def test_the_teachers_labels_are_not_weighted_by_how_little_it_finds() -> None:
    learner = MeanTeacher(Level(1.0), decay=0.9)
    once = batch(image_batch([0.95, 0.02, 0.02, 0.02]), truth=[1, 0])
    with torch.no_grad():
        with_balance = float(consistency(learner, once, settings(area_balance=1.0)))
        assert with_balance == float(consistency(learner, once, settings())) > 0


# How far it is heard


PLATEAU = {"weight": 0.0, "shift": logit(0.04)}  # every pixel is surely background


@pytest.mark.parametrize(
    ("student", "trust"), [(PLATEAU, 0.0), ({}, 0.9 * (0.7 - 0.3))], ids=["flat", "telling"]
)
def test_unlabelled_images_count_as_far_as_the_student_tells_labelled_pixels_apart(
    student: dict[str, float], trust: float
) -> None:
    once = [batch(image_batch([0.95, 0.02]), truth=[1, 0], ramp=0.5)]
    learner = MeanTeacher(Level(**student), decay=0.9)
    own = float(consistency(learner, once[0], settings()).detach())
    with_them = optimised(learner, once, settings(unlabelled_weight=2.0))[0]
    without = optimised(MeanTeacher(Level(**student), decay=0.9), once, settings(unlabelled_weight=0.0))[0]
    assert float(learner.reliability) == pytest.approx(trust, abs=1e-6)
    assert own > 0.005
    assert with_them - without == pytest.approx(2.0 * 0.5 * trust * own, abs=1e-6)


def test_labelled_images_without_defects_leave_the_trust_as_it_is() -> None:
    learner = MeanTeacher(Level(), decay=0.9)
    learner.reliability.fill_(0.3)
    optimised(learner, [batch(image_batch([0.95, 0.02]), truth=[0, -1])], settings())
    assert float(learner.reliability) == pytest.approx(0.3)


def test_the_weight_rises_along_the_ramp() -> None:
    assert ramped(0, 100) == pytest.approx(exp(-5))
    assert ramped(50, 100) == pytest.approx(exp(-1.25))
    assert [ramped(step, 100) for step in (100, 5000)] == [1.0, 1.0]
    assert ramped(0, 0) == 1.0


def test_a_right_teacher_teaches_what_labels_do_not_and_a_shuffled_one_does_not() -> None:
    """Nothing is labelled: whatever the student learns of the unlabelled images, comes from the teacher."""
    unlabelled = image_batch([0.99, 0.005, 0.99, 0.005])
    student = {}
    for name, plain in (("right", unlabelled), ("shuffled", unlabelled.roll(1, dims=-1))):
        learner = MeanTeacher(Level(), decay=0.999)
        learner.updates.fill_(10**6)
        learner.reliability.fill_(1.0)
        with torch.no_grad():
            learner.student.weight.fill_(0.2)
        own = {**batch(unlabelled, truth=[-1, -1]), "plain": plain}
        losses = optimised(learner, [own] * 20, settings(unlabelled_weight=1.0))
        student[name] = learner.student.weight.item()
        assert losses[-1] < losses[0]
    assert student["right"] > 0.5
    assert student["shuffled"] < 0.0


# As part of a checkpoint


def test_a_checkpoint_holds_the_teacher_and_is_refused_beside_other_images() -> None:
    learner = MeanTeacher(Level(1.0), decay=0.9, digests=["a", "b"])
    optimised(learner, [batch(image_batch([0.95, 0.02]), truth=[1, 0])] * 2, settings())
    state = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    again = MeanTeacher(Level(5.0), decay=0.9, digests=["a", "b"])
    again.load_state_dict(state)
    assert torch.equal(again.teacher.weight, learner.teacher.weight)
    assert float(again.reliability) == float(learner.reliability) > 0
    assert int(again.updates) == 2
    with pytest.raises(
        BlemishError, match=r"--resume needs the images that the run was started with\. Received: others"
    ):
        MeanTeacher(Level(), decay=0.9, digests=["a", "c"]).load_state_dict(state)
