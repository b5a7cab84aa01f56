"""Shares of the learning rate by part of a network, as they show in the update of each parameter."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from blemish.methods.contract import EarlyStopping, MethodSettings, Stage
from blemish.nn.optimisation import adamw, share_at
from blemish.progress import Reporter
from blemish.training.trainer import RunTrainer

RATE, STEPS = 0.1, 6


def network() -> nn.Module:
    torch.manual_seed(0)
    encoder = nn.Sequential(
        OrderedDict(first=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(2), second=nn.Conv2d(2, 2, 1))
    )
    return nn.Sequential(OrderedDict(encoder=encoder, encoders=nn.Conv2d(2, 2, 1), head=nn.Conv2d(2, 1, 1)))


def batch(step: int, rank: int) -> Mapping[str, Tensor]:
    return {"images": torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(step))}


def stage(
    network: nn.Module, shares: Mapping[str, float], *, steps: int = 1, validated: bool = False
) -> Stage:
    worth = count()  # the last state is the best
    stopping = EarlyStopping(2, lambda network: {"worth": next(worth)}, "worth", patience=9)
    return Stage(
        name="toy",
        network=network,
        steps=steps,
        batch=batch,
        loss=lambda network, batch: network(batch["images"]).square().mean(),
        optimiser=lambda parameters: adamw(parameters, weight_decay=0.0),
        learning_rate=lambda step: RATE,
        gradient_clip=10.0,
        rate_shares=shares,
        early_stopping=stopping if validated else None,
    )


def optimise(run: Path, stage: Stage) -> None:
    run.mkdir(exist_ok=True)
    settings = MethodSettings(device="cpu", precision="fp32", checkpoint_every=2)
    RunTrainer(run, settings, seed=0, reporter=Reporter(quiet=True)).optimise(stage)


def test_the_first_step_of_each_parameter_is_its_share_of_the_rate(tmp_path: Path) -> None:
    """Adam's first step has the size of the rate, whatever the gradient."""
    trained, before = network(), network()
    optimise(tmp_path, stage(trained, {"encoder": 0.1, "encoder.second": 0.5}))
    old = dict(before.named_parameters())
    for name, parameter in trained.named_parameters():
        share = 0.5 if name.startswith("encoder.second") else 0.1 if name.startswith("encoder.") else 1.0
        moved = (parameter - old[name]).abs()
        if name != "encoder.first.bias":  # the norm behind it cancels its gradient
            torch.testing.assert_close(moved, torch.full_like(moved, RATE * share), rtol=1e-2, atol=1e-6)


def test_a_part_without_a_share_of_the_rate_stays_as_it_is_statistics_too(tmp_path: Path) -> None:
    trained, before = network(), network()
    optimise(tmp_path, stage(trained, {"encoder": 0.0}, steps=STEPS, validated=True))
    old = before.state_dict()
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, old[name]) == name.startswith("encoder."), name


def test_a_resumed_training_with_shares_ends_with_the_same_weights(tmp_path: Path) -> None:
    shares = {"encoder": 0.1, "head": 0.0}
    unbroken, resumed = network(), network()
    optimise(tmp_path / "unbroken", stage(unbroken, shares, steps=STEPS))

    def stopped(step: int, rank: int) -> Mapping[str, Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return batch(step, rank)

    with pytest.raises(KeyboardInterrupt):
        optimise(tmp_path / "broken", replace(stage(network(), shares, steps=STEPS), batch=stopped))
    optimise(tmp_path / "broken", stage(resumed, shares, steps=STEPS))
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_name_that_no_part_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"rate_shares must name parts of the network\. Received: 'backbone'"
    ):
        optimise(tmp_path, stage(network(), {"backbone": 0.1}))


@pytest.mark.parametrize(
    ("name", "share"), [("a.weight", 0.1), ("a.b.weight", 0.5), ("ab.weight", 1.0), ("weight", 1.0)]
)
def test_the_inner_of_nested_parts_counts(name: str, share: float) -> None:
    assert share_at(name, {"a": 0.1, "a.b": 0.5}) == share
