"""Checkpoints, log and cache: what a run rests on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from blemish.errors import BlemishError
from blemish.nn.optimisation import adamw
from blemish.training.cache import ArrayCache
from blemish.training.checkpoint import load_checkpoint, restore, save_checkpoint
from blemish.training.log import RunLog, read_log


def made(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    return network, adamw(network.parameters(), weight_decay=0.1)


def steps(network: nn.Module, optimiser: torch.optim.Optimizer, numbers: range) -> None:
    for number in numbers:
        images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(number))
        optimiser.zero_grad()
        network(images).square().mean().backward()
        optimiser.step()


# Checkpoints


def test_a_restored_training_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    network, optimiser = made(0)
    steps(network, optimiser, range(5))
    save_checkpoint(tmp_path / "a.safetensors", network, optimiser, 5)
    steps(network, optimiser, range(5, 9))
    resumed, its_optimiser = made(1)
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    restore(checkpoint, resumed, its_optimiser)
    assert checkpoint.step == 5
    steps(resumed, its_optimiser, range(5, 9))
    for (name, expected), found in zip(
        network.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(expected, found), name


def test_without_the_optimisers_state_it_would_not(tmp_path: Path) -> None:
    """Guards the test above: moments must matter within its few steps."""
    network, optimiser = made(0)
    steps(network, optimiser, range(5))
    resumed, its_optimiser = made(1)
    resumed.load_state_dict(network.state_dict())
    steps(network, optimiser, range(5, 9))
    steps(resumed, its_optimiser, range(5, 9))
    assert not torch.equal(network[0].weight, resumed[0].weight)


def test_a_checkpoint_does_not_follow_the_network(tmp_path: Path) -> None:
    network, optimiser = made(0)
    save_checkpoint(tmp_path / "a.safetensors", network, optimiser, 0)
    before = network[0].weight.detach().clone()
    steps(network, optimiser, range(2))
    assert torch.equal(load_checkpoint(tmp_path / "a.safetensors").tensors["network.0.weight"], before)


def test_no_checkpoint_is_none_and_a_broken_one_an_error(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none.safetensors") is None
    (tmp_path / "broken.safetensors").write_bytes(b"garbage that is no tensor file")
    with pytest.raises(BlemishError, match=r"broken\.safetensors is no checkpoint\. Remove it"):
        load_checkpoint(tmp_path / "broken.safetensors")


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.8, 0.999])
def test_a_checkpoint_with_any_changed_byte_is_refused(place: float, tmp_path: Path) -> None:
    network, optimiser = made(0)
    steps(network, optimiser, range(3))
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, network, optimiser, 3)
    data = file.read_bytes()
    number = int(place * len(data))
    file.write_bytes(data[:number] + bytes([data[number] ^ 1]) + data[number + 1 :])
    with pytest.raises(BlemishError, match=r"a\.safetensors (is no checkpoint|was changed or damaged)"):
        load_checkpoint(file)
    file.write_bytes(data)
    assert load_checkpoint(file).step == 3


def test_a_checkpoint_of_another_step_or_result_is_refused(tmp_path: Path) -> None:
    network, optimiser = made(0)
    file = tmp_path / "a.safetensors"
    save_checkpoint(file, network, optimiser, 3)
    whole = load_checkpoint(file)
    file.write_bytes(save(dict(whole.tensors), metadata={**whole.metadata, "step": "2"}))
    with pytest.raises(BlemishError, match="was changed or damaged"):
        load_checkpoint(file)
    written_by_0_1 = {key: value for key, value in whole.metadata.items() if key != "sha256"}
    file.write_bytes(save(dict(whole.tensors), metadata=written_by_0_1))
    assert load_checkpoint(file).step == 3


def test_a_checkpoint_that_cannot_be_read_is_not_a_missing_one(tmp_path: Path) -> None:
    for name, make in {
        "link": lambda path: path.symlink_to(tmp_path / "nowhere"),
        "folder": lambda path: path.mkdir(),
        "fifo": os.mkfifo,
    }.items():
        make(tmp_path / name)
        with pytest.raises(BlemishError, match=name):
            load_checkpoint(tmp_path / name)


# Log


@pytest.mark.parametrize(
    "cut", [b'{"note": "\xc3', b'{"stage": "one", "st', b"12\n", b"[1]\n", b"\xff\xfe\n", b"[" * 9999, b""]
)
def test_a_line_that_is_none_is_left_out_and_the_next_is_whole(cut: bytes, tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.write({"note": "before"})
    with log.path.open("ab") as file:
        file.write(cut)
    RunLog(tmp_path).write({"note": "after"})
    assert list(read_log(log.path)) == [{"note": "before"}, {"note": "after"}]
    log.forget_after("one", 0)
    assert list(read_log(log.path)) == [{"note": "before"}, {"note": "after"}]


def test_a_resumed_log_has_every_step_once(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.write({"note": "kept"})
    for stage in ("one", "two"):
        for step in (10, 20, 30):
            log.write({"stage": stage, "step": step, "loss": 0.5})
    log.forget_after("one", 10)
    log.write({"stage": "one", "step": 20, "loss": 0.25})
    log.close()
    entries = list(read_log(log.path))
    assert entries[0] == {"note": "kept"}
    assert [entry["step"] for entry in entries if entry.get("stage") == "one"] == [10, 20]
    assert [entry["step"] for entry in entries if entry.get("stage") == "two"] == [10, 20, 30]


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"stage": "one", "step": 1, "loss": 1}\n{"stage": "one", "st')
    log = RunLog(tmp_path)
    log.forget_after("two", 0)
    log.write({"note": "after"})
    assert list(read_log(log.path)) == [{"stage": "one", "step": 1, "loss": 1}, {"note": "after"}]
    assert list(read_log(tmp_path / "nowhere")) == []


def test_every_line_is_strict_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        RunLog(tmp_path).write({"loss": float("nan")})


# Cache


def test_an_array_is_computed_once_while_it_is_remembered() -> None:
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.zeros(10, np.uint8)

    cache = ArrayCache(limit=100)
    assert cache.get("a", compute) is cache.get("a", compute)
    assert len(calls) == 1


def test_the_least_used_arrays_are_forgotten_first() -> None:
    cache = ArrayCache(limit=30)
    for key in "abc":
        cache.get(key, lambda: np.zeros(10, np.uint8))
    cache.get("a", lambda: pytest.fail("a is remembered"))
    cache.get("d", lambda: np.zeros(10, np.uint8))
    assert list(cache.arrays) == ["c", "a", "d"]
    assert cache.use.num_bytes == 30 == sum(array.nbytes for array in cache.arrays.values())


def test_an_array_beyond_the_limit_is_handed_on_and_displaces_nothing() -> None:
    cache = ArrayCache(limit=30)
    cache.get("a", lambda: np.zeros(10, np.uint8))
    assert cache.get("huge", lambda: np.zeros(31, np.uint8)).size == 31
    assert list(cache.arrays) == ["a"]


def test_run_json_and_log_are_readable_by_others(tmp_path: Path) -> None:
    RunLog(tmp_path).write({"note": "Größe"})
    assert json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8")) == {"note": "Größe"}
