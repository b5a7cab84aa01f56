"""The running average of the weights in the training loop: by hand, resumed, validated, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from blemish.methods.contract import EarlyStopping, MethodSettings, Stage
from blemish.nn.averaging import WeightAverage
from blemish.progress import Reporter
from blemish.training.trainer import RunTrainer

STEPS = 12


class Counter(nn.Module):
    """Network whose only weight counts the steps: its gradient is −1, and so is the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.count = nn.Parameter(torch.zeros(1))


def counting(network: nn.Module, **changes: Any) -> Stage:
    fields = {
        "name": "count",
        "network": network,
        "steps": STEPS,
        "batch": lambda step, rank: {"none": torch.zeros(1)},
        "loss": lambda network, batch: -network.count.sum(),
        "optimiser": lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        "learning_rate": lambda step: 1.0,
        "gradient_clip": 10.0,
        "weight_average": 0.5,
    }
    return Stage(**{**fields, **changes})


def trainer(run: Path) -> RunTrainer:
    run.mkdir(exist_ok=True)
    settings = MethodSettings(device="cpu", precision="fp32", checkpoint_every=5)
    return RunTrainer(run, settings, seed=0, reporter=Reporter(quiet=True))


def averages(decay: float, steps: int = STEPS) -> list[float]:
    """Averages after each step of a weight that is the number of the step."""
    found = [0.0]
    for step in range(steps):
        kept = min(decay, (1 + step) / (10 + step))
        found.append(kept * found[-1] + (1 - kept) * (step + 1))
    return found


def test_three_steps_by_hand(tmp_path: Path) -> None:
    network = Counter()
    trainer(tmp_path).optimise(counting(network, steps=3, weight_average=0.15))
    first = 0.1 * 0 + 0.9 * 1
    second = 0.15 * first + 0.85 * 2  # 2 / 11 would be more than the decay
    assert network.count.item() == pytest.approx(0.15 * second + 0.85 * 3)


@pytest.mark.parametrize("decay", [0.1, 0.5, 0.99])
def test_the_network_is_left_with_the_average(tmp_path: Path, decay: float) -> None:
    network = Counter()
    trainer(tmp_path).optimise(counting(network, weight_average=decay))
    assert network.count.item() == pytest.approx(averages(decay)[-1], rel=1e-5)


def test_without_an_average_the_last_weights_stay(tmp_path: Path) -> None:
    network = Counter()
    trainer(tmp_path).optimise(counting(network, weight_average=0.0))
    assert network.count.item() == STEPS


def test_what_is_validated_and_chosen_is_the_average(tmp_path: Path) -> None:
    """The average passes 4 between two validations; the weight itself goes on unharmed by them."""

    def near_four(network: nn.Module) -> Mapping[str, float]:
        return {"worth": -abs(network.count.item() - 4.0)}

    network = Counter()
    results = trainer(tmp_path).optimise(
        counting(network, early_stopping=EarlyStopping(2, near_four, "worth", patience=100))
    )
    expected = averages(0.5)
    assert [r.values["worth"] for r in results] == pytest.approx(
        [-abs(expected[step] - 4) for step in range(0, STEPS + 1, 2)], abs=1e-5
    )
    assert network.count.item() == pytest.approx(min(expected[::2], key=lambda value: abs(value - 4)))


def noisy(step: int, rank: int) -> dict[str, Tensor]:
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
    return {"images": images, "targets": images.square()}


def with_norm() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1))


def learning(network: nn.Module, batch: Callable[[int, int], Mapping[str, Tensor]] = noisy) -> Stage:
    return counting(
        network,
        batch=batch,
        loss=lambda network, batch: nn.functional.mse_loss(network(batch["images"]), batch["targets"]),
        optimiser=torch.optim.Adam,
        learning_rate=lambda step: 0.01,
        weight_average=0.9,
        early_stopping=EarlyStopping(
            4, lambda network: {"worth": network[1].running_var.sum().item()}, "worth", patience=100
        ),
    )


@pytest.mark.parametrize("stop", [1, 5, 7, 11])
def test_a_training_stopped_anywhere_resumes_to_the_same_average(tmp_path: Path, stop: int) -> None:
    unbroken, resumed = with_norm(), with_norm()
    results = trainer(tmp_path / "unbroken").optimise(learning(unbroken))

    def stopped(step: int, rank: int) -> Mapping[str, Tensor]:
        if step == stop:
            raise KeyboardInterrupt
        return noisy(step, rank)

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "broken").optimise(learning(with_norm(), stopped))
    assert trainer(tmp_path / "broken").optimise(learning(resumed)) == results
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_stage_that_had_ended_is_left_with_its_average_again(tmp_path: Path) -> None:
    first, again = Counter(), Counter()
    trainer(tmp_path).optimise(counting(first))
    trainer(tmp_path).optimise(counting(again, batch=lambda step, rank: pytest.fail("trained again")))
    assert again.count.item() == first.count.item() != STEPS


def test_statistics_of_a_norm_are_averaged_and_its_counter_is_copied() -> None:
    norm = nn.BatchNorm1d(1)
    average = WeightAverage(norm, 0.5)
    norm(torch.tensor([[1.0], [3.0]]))  # mean 2, of which momentum takes a tenth; variance 2
    average.update(norm, 0)
    assert average.tensors["running_mean"].item() == pytest.approx(0.9 * 0.2)
    assert average.tensors["running_var"].item() == pytest.approx(0.1 * 1 + 0.9 * 1.1)
    assert average.tensors["num_batches_tracked"].item() == 1


def test_inside_the_context_alone_the_network_is_the_average() -> None:
    network = nn.Linear(1, 1)
    average = WeightAverage(network, 0.9)
    before = network.weight.item()
    with torch.no_grad():
        network.weight.add_(1)
    with pytest.raises(RuntimeError), average.inside(network):
        assert network.weight.item() == before
        raise RuntimeError
    assert network.weight.item() == pytest.approx(before + 1)
