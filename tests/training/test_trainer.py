from __future__ import annotations

import copy
import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.methods.contract import MethodSettings, Stage
from blemish.nn.optimisation import adamw
from blemish.progress import Reporter
from blemish.training.trainer import RunTrainer

STEPS = 12


def new_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1)
    )


def batch(step: int, rank: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1000 * rank + step)
    images = torch.randn(2, 1, 8, 8, generator=generator)
    return {"images": images, "targets": images.square()}


def loss(network: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    return nn.functional.mse_loss(network(inputs["images"]), inputs["targets"])


def rate(step: int) -> float:
    return 0.01 * (STEPS - step)


def stage(network: nn.Module, **changes: Any) -> Stage:
    fields = {
        "name": "toy",
        "network": network,
        "steps": STEPS,
        "batch": batch,
        "loss": loss,
        "optimiser": lambda parameters: adamw(parameters, weight_decay=0.05),
        "learning_rate": rate,
        "gradient_clip": 0.5,
    }
    return Stage(**{**fields, **changes})


def trainer(run: Path, **settings: Any) -> RunTrainer:
    run.mkdir(exist_ok=True)
    fields = {"device": "cpu", "precision": "fp32", "checkpoint_every": 5, **settings}
    return RunTrainer(run, MethodSettings(**fields), seed=0, reporter=Reporter(quiet=True))


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_the_loop_is_that_of_plain_pytorch(tmp_path: Path) -> None:
    network = new_network()
    reference = copy.deepcopy(network)
    trainer(tmp_path).optimise(stage(network))
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in reference.parameters() if p.ndim > 1], "weight_decay": 0.05},
            {"params": [p for p in reference.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]
    )
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = rate(step)
        optimiser.zero_grad()
        loss(reference, batch(step, 0)).backward()
        nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        optimiser.step()
    for expected, found in zip(reference.state_dict().values(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stop", [1, 5, 7, 11])
def test_a_training_stopped_anywhere_resumes_to_the_same_weights(tmp_path: Path, stop: int) -> None:
    unbroken = new_network()
    trainer(tmp_path / "unbroken").optimise(stage(unbroken))

    def stopped(step: int, rank: int) -> dict[str, Tensor]:
        if step == stop:
            raise KeyboardInterrupt
        return batch(step, rank)

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "broken").optimise(stage(new_network(), batch=stopped))
    resumed = new_network()
    trainer(tmp_path / "broken").optimise(stage(resumed))
    assert same(resumed, unbroken)


def test_a_finished_stage_is_not_trained_again(tmp_path: Path) -> None:
    first, again = new_network(), new_network()
    trainer(tmp_path).optimise(stage(first))
    trainer(tmp_path).optimise(stage(again, batch=lambda step, rank: pytest.fail("trained again")))
    assert same(first, again)


def test_a_loss_that_is_no_number_stops_with_one_line_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    def broken_from_step_7(network: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
        whole = loss(network, inputs)
        return whole * float("nan") if torch.equal(inputs["images"], batch(7, 0)["images"]) else whole

    with pytest.raises(BlemishError) as caught:
        trainer(tmp_path).optimise(stage(new_network(), loss=broken_from_step_7))
    message = str(caught.value)
    assert "the loss became nan at step 8 of stage 'toy'. Lower its learning rate (now 0.05)" in message
    assert "\n" not in message
    resumed, unbroken = new_network(), new_network()
    trainer(tmp_path).optimise(stage(resumed))
    trainer(tmp_path / "other").optimise(stage(unbroken))
    assert same(resumed, unbroken)


def test_a_full_disk_stops_with_one_line_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def full_at_the_second(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full_at_the_second)
        with pytest.raises(
            BlemishError, match=r"toy\.safetensors cannot be written: No space left on device"
        ):
            trainer(tmp_path).optimise(stage(new_network()))
    resumed, unbroken = new_network(), new_network()
    trainer(tmp_path).optimise(stage(resumed))
    trainer(tmp_path / "other").optimise(stage(unbroken))
    assert same(resumed, unbroken)


def test_an_error_in_a_batch_comes_through(tmp_path: Path) -> None:
    def unreadable(step: int, rank: int) -> dict[str, Tensor]:
        raise BlemishError("picture.png is truncated")

    with pytest.raises(BlemishError, match=r"picture\.png is truncated"):
        trainer(tmp_path).optimise(stage(new_network(), batch=unreadable))


def test_networks_run_in_eval_mode_and_give_whole_numbers_of_fp32(tmp_path: Path) -> None:
    network = new_network().train()
    before = copy.deepcopy(network.state_dict())
    function = trainer(tmp_path).networks({"toy": network})["toy"]
    image = np.random.default_rng(0).random((1, 1, 8, 8), dtype=np.float32)
    out = function(image)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, function(image))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_sweep_tries_thresholds_inside_the_range(tmp_path: Path) -> None:
    truth = np.zeros((10, 10), bool)
    truth[2:5, 2:5] = True
    severity = np.where(truth, 7.0, 3.0).astype(np.float32)
    sweep = trainer(tmp_path).sweep([(severity, truth)], max_threshold=12.0, criterion="mean-iou")
    assert 3 < sweep.best <= 7
    assert sweep.best == pytest.approx(5, abs=0.2), "the middle of the plateau"


def test_an_image_is_saved_in_the_run_folder(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    trainer(tmp_path / "run").save_image("training-images", lambda: pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "run" / "pictures" / "training-images.png"), pixels)


def test_an_image_that_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    of_run = trainer(tmp_path / "run")
    of_run.save_image("training-images", lambda: np.zeros((6, 9, 3), np.uint8))
    of_run.save_image("training-images", lambda: pytest.fail("drawn again"))
