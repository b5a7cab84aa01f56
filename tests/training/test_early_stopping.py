from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from blemish.methods.contract import EarlyStopping, MethodSettings, Stage, ValidationResult
from blemish.progress import Reporter
from blemish.training.early_stopping import EarlyStopper
from blemish.training.log import read_log
from blemish.training.trainer import RunTrainer

STEPS = 12


class Counter(nn.Module):
    """A network whose only weight counts the steps: its gradient is −1, and so is the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.count = nn.Parameter(torch.zeros(1))


def stage(
    network: nn.Module, stopping: EarlyStopping | None, batch: Callable[..., Any] | None = None
) -> Stage:
    return Stage(
        name="count",
        network=network,
        steps=STEPS,
        batch=batch or (lambda step, rank: {"none": torch.zeros(1)}),
        loss=lambda network, batch: -network.count.sum(),
        optimiser=lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        learning_rate=lambda step: 1.0,
        gradient_clip=10.0,
        early_stopping=stopping,
    )


def trainer(run: Path) -> RunTrainer:
    run.mkdir(exist_ok=True)
    settings = MethodSettings(device="cpu", precision="fp32", checkpoint_every=5)
    return RunTrainer(run, settings, seed=0, reporter=Reporter(quiet=True))


def worth(values: dict[int, float]) -> Callable[[nn.Module], dict[str, float]]:
    """Of a network that has counted to n: values[n], which must be there; and what does not decide."""
    return lambda network: {"steps": -network.count.item(), "worth": values[round(network.count.item())]}


def test_without_a_watch_the_last_state_stays_and_there_are_no_looks(tmp_path: Path) -> None:
    network = Counter()
    assert trainer(tmp_path).optimise(stage(network, None)) == ()
    assert network.count.item() == STEPS


def test_the_best_state_is_kept_and_the_last_step_validated(tmp_path: Path) -> None:
    network = Counter()
    values = {0: 0.1, 5: 0.7, 10: 0.6, 12: 0.7}
    results = trainer(tmp_path).optimise(stage(network, EarlyStopping(5, worth(values), "worth", patience=9)))
    assert results == tuple(ValidationResult(n, {"steps": -n, "worth": value}) for n, value in values.items())
    assert network.count.item() == 5  # of equal values the first
    logged = [entry for entry in read_log(tmp_path / "log.jsonl") if "validation worth" in entry]
    assert [(entry["step"], entry["validation worth"]) for entry in logged] == list(values.items())


def test_without_a_criterion_all_steps_are_taken_and_the_last_state_stays(tmp_path: Path) -> None:
    network = Counter()
    values = {0: 0.9, 6: 0.7, 12: 0.1}
    results = trainer(tmp_path).optimise(stage(network, EarlyStopping(6, worth(values), None, patience=1)))
    assert [result.values["worth"] for result in results] == list(values.values())
    assert network.count.item() == STEPS


def test_training_ends_when_patience_does_and_may_leave_the_start(tmp_path: Path) -> None:
    network = Counter()
    results = trainer(tmp_path).optimise(
        stage(network, EarlyStopping(2, worth({0: 1.0, 2: 0.5, 4: 0.9}), "worth", patience=2))
    )
    assert [one.step for one in results] == [0, 2, 4]
    assert network.count.item() == 0


def test_a_validated_network_is_measured_in_eval_mode_without_gradient(tmp_path: Path) -> None:
    modes: list[tuple[bool, bool]] = []

    def measure(network: nn.Module) -> dict[str, float]:
        modes.append((network.training, torch.is_grad_enabled()))
        return {"any": 0.0}

    network = Counter()
    trainer(tmp_path).optimise(stage(network, EarlyStopping(6, measure, "any", patience=9)))
    assert modes == [(False, False)] * 3 and network.training


@pytest.mark.parametrize("stop", [3, 7, 11])
def test_a_validated_training_stopped_anywhere_resumes_to_the_same(tmp_path: Path, stop: int) -> None:
    values = {0: 0.1, 3: 0.9, 6: 0.4, 9: 0.8, 12: 0.3}

    def stopped(step: int, rank: int) -> dict[str, Tensor]:
        if step == stop:
            raise KeyboardInterrupt
        return {"none": torch.zeros(1)}

    stopping = EarlyStopping(3, worth(values), "worth", patience=9)
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path).optimise(stage(Counter(), stopping, stopped))
    network = Counter()
    results = trainer(tmp_path).optimise(stage(network, stopping))
    assert [(one.step, one.values["worth"]) for one in results] == list(values.items())
    assert network.count.item() == 3


def test_a_training_that_ended_early_is_not_gone_on_with(tmp_path: Path) -> None:
    stopping = EarlyStopping(2, worth({0: 0.0, 2: 0.9, 4: 0.5, 6: 0.5}), "worth", patience=2)
    first = trainer(tmp_path).optimise(stage(Counter(), stopping))
    again = Counter()
    never = lambda step, rank: pytest.fail("trained again")  # noqa: E731
    assert trainer(tmp_path).optimise(stage(again, stopping, never)) == first
    assert again.count.item() == 2


def test_patience_counts_from_the_first_best_validation() -> None:
    stopper = EarlyStopper(EarlyStopping(1, lambda network: {"worth": 0.0}, "worth", patience=2))
    for step, exhausted in ((0, False), (1, False), (2, True)):
        stopper.validate(nn.Identity(), step)
        assert stopper.exhausted == exhausted
    assert not EarlyStopper(None).exhausted and not EarlyStopper(None).due(0)
