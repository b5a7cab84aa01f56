"""Losses: squared error of severities, cross-entropy of types. Letters: B batch, h, w cells."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

WEIGHT_LIMITS = (1 / 30, 5.0)  # of a defect cell


def severity_loss(
    network: nn.Module, batch: Mapping[str, Tensor], *, defect_cells: int | None = None
) -> Tensor:
    """Mean squared error over all cells, the L2 loss of section III-B-1; weighted, see `cell_weights`."""
    severities = batch["severities"]
    errors = (network(batch["images"]) - severities).square()
    return (errors if defect_cells is None else errors * cell_weights(severities, defect_cells)).mean()


def cell_weights(severities: Tensor, defect_cells: int) -> Tensor:
    """Weights of cells: 1 on the surface; a patch's defect cells sum to `defect_cells`, within limits.

    severities, returns: [B, 1, h, w]
    """
    marked = severities > 0
    weights = (defect_cells / marked.sum((1, 2, 3), keepdim=True).clamp(min=1)).clamp(*WEIGHT_LIMITS)
    return torch.where(marked, weights, 1.0)


def type_loss(network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Cross-entropy over N types and background (section III-A-4)."""
    return nn.functional.cross_entropy(network(batch["images"]), batch["labels"])
