"""Losses of stage 1: weights of cells, the hurdle, and the choice of hard patches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from blemish.methods.severity.training.losses import (
    cell_losses,
    cell_weights,
    patch_weights,
    severity_loss,
    with_hardest,
)


def patches_with(*marked: int) -> Tensor:
    """Severities of patches of 8×8 cells, so many of them 12. [B, 1, 8, 8]"""
    severities = torch.zeros(len(marked), 64)
    for patch, number in zip(severities, marked, strict=True):
        patch[:number] = 12.0
    return severities.view(-1, 1, 8, 8)


def test_weights_of_defect_cells_are_a_root_between_1_and_4() -> None:
    """By hand, 36 cells wanted: √(36 / 9) = 2, √(36 / 1) = 6 is cut to 4, √(36 / 64) to 1."""
    weights = cell_weights(patches_with(9, 1, 64, 0), 36)
    assert weights.amax((1, 2, 3)).tolist() == [2, 4, 1, 1]
    assert weights[0].flatten()[9:].unique().tolist() == [1]


@pytest.mark.parametrize("marked", [1, 30, 64])
def test_a_defect_of_any_size_is_as_severe_as_the_surface_is_sound(marked: int) -> None:
    """Where the network cannot tell a defect cell from as many cells of the surface, the squared error is
    least at half the label or more: large defects stay within reach of a threshold.
    """
    severities = patches_with(marked)
    weights = cell_weights(severities, 10).flatten()[:marked]
    guesses = torch.linspace(0, 12, 241)
    cost = weights.mean() * (guesses - 12).square() + guesses.square()
    assert float(guesses[cost.argmin()]) >= 6


def test_the_hurdle_is_cross_entropy_and_a_smooth_l1_of_the_severity_of_defects() -> None:
    generator = np.random.default_rng(0)
    outputs = generator.normal(size=(2, 2, 3, 4)).astype(np.float32)
    severities = (12 * generator.random((2, 1, 3, 4)) * (generator.random((2, 1, 3, 4)) < 0.5)).astype(
        np.float32
    )
    defective, severe = (1 / (1 + np.exp(-outputs[:, number])) for number in (0, 1))
    marked = severities[:, 0] > 0
    expected = -np.where(marked, np.log(defective), np.log(1 - defective))
    error = np.abs(12 * severe - severities[:, 0])
    expected += marked * np.where(error < 1, error**2 / 2, error - 0.5)
    found = cell_losses(torch.from_numpy(outputs), torch.from_numpy(severities), "hurdle")
    np.testing.assert_allclose(found[:, 0].numpy(), expected, rtol=1e-4)


def test_weights_count_in_both_losses() -> None:
    severities = patches_with(4)
    blind = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.zeros_(blind.weight)
    batch = {"images": torch.rand(1, 1, 8, 8), "severities": severities}
    assert severity_loss(blind, batch).item() == pytest.approx(4 * 144 / 64)
    assert severity_loss(blind, batch, defect_cells=16).item() == pytest.approx(2 * 4 * 144 / 64)
    outputs = torch.zeros(1, 2, 8, 8)
    plain, weighted = (cell_losses(outputs, severities, "hurdle", cells) for cells in (None, 16))
    assert torch.equal(weighted, plain * cell_weights(severities, 16))


def test_a_patch_full_of_a_defect_counts_no_more_than_one_with_the_balanced_share() -> None:
    """By hand, a quarter of 64 cells: 8 and 16 of them weigh 1, 32 a half, 64 a quarter, none 1."""
    severities = patches_with(8, 16, 32, 64, 0)
    assert patch_weights(severities, 0.25).flatten().tolist() == [1, 1, 0.5, 0.25, 1]
    assert patch_weights(severities, 1.0).flatten().tolist() == [1, 1, 1, 1, 1]
    blind = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.zeros_(blind.weight)

    def loss(marked: int, balance: float) -> float:
        batch = {"images": torch.rand(1, 1, 8, 8), "severities": patches_with(marked)}
        return severity_loss(blind, batch, patch_balance=balance).item()

    assert loss(64, 0.25) == pytest.approx(loss(16, 0.25))
    assert loss(64, 1.0) == pytest.approx(4 * loss(16, 1.0))


def test_the_hardest_candidates_stay_and_the_network_is_not_changed_by_looking() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 2, 2)
    batch = {"images": images, "severities": torch.zeros(6, 1, 2, 2)}

    def losses(batch: dict[str, Tensor]) -> Tensor:
        assert not network.training
        network(batch["images"])
        return (batch["images"] - 3.4).square()

    chosen = with_hardest(network, batch, 2, 4, losses)
    assert chosen["images"][:, 0, 0, 0].tolist() == [0, 1, 5, 2]
    assert len(chosen["severities"]) == 4 and network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert with_hardest(network, batch, 2, 2, losses) is batch
