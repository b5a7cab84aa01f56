"""Optimiser and schedule, backbones and their weights, the runtime."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from blemish.errors import BlemishError
from blemish.nn.optimisation import adamw, scheduled, warm_cosine
from blemish.nn.resnets import resnet
from blemish.nn.runtime import prepare_runtime
from blemish.threads import usable_cores


def test_the_rate_rises_in_a_line_and_falls_along_half_a_cosine() -> None:
    rates = [warm_cosine(step, steps=110, warmup=10) for step in range(110)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1
    assert rates[60] == pytest.approx(0.5)
    assert rates[85] == pytest.approx(0.5 * (1 + math.cos(0.75 * math.pi)))
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (1, 1), (5, 5)])
def test_the_shortest_schedules_have_a_rate_at_every_step(steps: int, warmup: int) -> None:
    assert all(0 < warm_cosine(step, steps=steps, warmup=warmup) <= 1 for step in range(steps))


def test_a_schedule_scales_the_peak_or_is_constant() -> None:
    falling = scheduled(0.5, steps=110, warmup=10)
    assert [falling(step) for step in (0, 60)] == pytest.approx([0.05, 0.25])
    assert {scheduled(0.5, steps=9, schedule="constant")(step) for step in range(9)} == {0.5}


def test_norms_and_biases_do_not_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0)
        parameter.grad = torch.zeros_like(parameter)
    optimiser = adamw(network.parameters(), weight_decay=0.5)
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    optimiser.step()
    assert network[0].weight.unique().tolist() == pytest.approx([0.95])
    assert network[0].bias.unique().tolist() == [1]
    assert network[1].weight.unique().tolist() == [1]


def test_no_weights_are_drawn_from_the_seed() -> None:
    torch.manual_seed(3)
    one, origin = resnet("resnet18", "none", setting="types_backbone_weights")
    torch.manual_seed(3)
    other, _ = resnet("resnet18", "none", setting="types_backbone_weights")
    assert torch.equal(one.conv1.weight, other.conv1.weight)
    assert origin == "resnet18: random initial weights"


def test_a_file_may_hold_part_of_a_network_and_missing_parts_are_named(tmp_path: Path) -> None:
    network, _ = resnet("resnet18", "none", setting="types_backbone_weights")
    part = {name: t for name, t in network.state_dict().items() if not name.startswith(("layer4", "fc"))}
    save_file(part, tmp_path / "part.safetensors")
    torch.manual_seed(9)
    loaded, origin = resnet("resnet18", str(tmp_path / "part.safetensors"), setting="types_backbone_weights")
    assert torch.equal(loaded.layer3[0].conv1.weight, network.layer3[0].conv1.weight)
    assert not torch.equal(loaded.layer4[0].conv1.weight, network.layer4[0].conv1.weight)
    assert origin == "resnet18: weights of part.safetensors; initial values in layer4, fc"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"conv_1.weight": torch.zeros(1)}, "holds 'conv_1.weight', which this network lacks. Did you mean"),
        ({"conv1.weight": torch.zeros(64, 1, 7, 7)}, "shape of 'conv1.weight' is [64, 1, 7, 7], must be"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, tensors: dict, message: str) -> None:
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(BlemishError) as caught:
        resnet("resnet18", str(tmp_path / "other.safetensors"), setting="types_backbone_weights")
    assert message in str(caught.value)
    assert str(caught.value).startswith("types_backbone_weights: ")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    weight = torch.zeros(64, 3, 7, 7, dtype=dtype)
    weight[5, 1, 2, 3] = value
    save_file({"conv1.weight": weight}, tmp_path / "odd.safetensors")
    with pytest.raises(
        BlemishError, match=r"^types_backbone_weights: .*tensor 'conv1\.weight' must be finite"
    ):
        resnet("resnet18", str(tmp_path / "odd.safetensors"), setting="types_backbone_weights")


def test_a_file_that_is_missing_or_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("none")
    for name, message in (
        ("nowhere.safetensors", "is not a file"),
        ("text.safetensors", "no safetensors data"),
    ):
        with pytest.raises(BlemishError, match=message):
            resnet("resnet18", str(tmp_path / name), setting="types_backbone_weights")


def test_without_a_network_connection_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchvision.models.get_model", offline)
    with pytest.raises(
        BlemishError, match=r"could not be downloaded.*=FILE\.safetensors, or --set"
    ) as raised:
        resnet("resnet101", "imagenet", setting="types_backbone_weights")
    assert "--set types_backbone_weights=none" in str(raised.value)
    # where torchvision looks before it downloads
    url, folder = re.search(r"put (\S+) into (\S+),", str(raised.value)).groups()
    assert url.startswith("https://download.pytorch.org/models/resnet101-") and url.endswith(".pth")
    assert folder == str(Path(torch.hub.get_dir()) / "checkpoints")


def test_original_strides_halve_in_the_first_convolution() -> None:
    moved, _ = resnet("resnet50", "none", setting="types_backbone_strides", original_strides=True)
    usual, _ = resnet("resnet50", "none", setting="types_backbone_strides")
    for network, strides in ((moved, (2, 1)), (usual, (1, 2))):
        block = network.layer3[0]
        assert (block.conv1.stride[0], block.conv2.stride[0]) == strides
        assert network.layer4(torch.zeros(1, 1024, 8, 8)).shape == (1, 2048, 4, 4)


def test_original_strides_need_a_bottleneck() -> None:
    with pytest.raises(BlemishError, match=r"need a bottleneck backbone\. Use resnet50 or resnet101"):
        resnet("resnet18", "none", setting="types_backbone_strides", original_strides=True)


def test_threads_are_those_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        prepare_runtime(1)
        assert torch.get_num_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        prepare_runtime()
        assert torch.get_num_threads() == 2
        monkeypatch.delenv("OMP_NUM_THREADS")
        prepare_runtime()
        assert torch.get_num_threads() == usable_cores() <= (os.cpu_count() or 1)
    finally:
        torch.set_num_threads(before)
