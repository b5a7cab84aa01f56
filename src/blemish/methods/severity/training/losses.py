"""Losses of severities and of types, and the choice of hard patches.

Letters: B batch, C channels, P side of a patch, K outputs, h, w cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.methods.severity.labels import SEVERITY_MAX

MAX_WEIGHT = 4.0  # of a defect cell; the least is 1, a surface cell's


def severity_loss(
    network: nn.Module,
    batch: Mapping[str, Tensor],
    *,
    loss: str = "paper",
    defect_cells: int | None = None,
    patch_balance: float = 1.0,
    hard: int = 0,
    hard_candidates: int = 1,
) -> Tensor:
    """Mean loss over all cells, see `cell_losses`, those of each patch with its weight, see `patch_weights`.

    batch: "images" [B, C, P, P], "severities" [B, 1, h, w] and, for a network with context, "wide"
    hard: patches that are the worst of the batch's last hard · hard_candidates, by the network as it is
    """

    def losses(batch: Mapping[str, Tensor]) -> Tensor:
        weights = patch_weights(batch["severities"], patch_balance)
        return weights * cell_losses(outputs_of(network, batch), batch["severities"], loss, defect_cells)

    chosen = with_hardest(network, batch, hard, hard * hard_candidates, losses)
    return losses(chosen).mean()


def cell_losses(outputs: Tensor, severities: Tensor, loss: str, defect_cells: int | None = None) -> Tensor:
    """Loss of each cell, [B, 1, h, w].

    "paper": squared error, the L2 of section III-B-1. "hurdle": cross-entropy of "defective" and, on defect
    cells, a smooth L1 of their severity.
    outputs: [B, K, h, w]; severities: [B, 1, h, w]; defect_cells: see `cell_weights`
    """
    if loss == "paper":
        losses = (outputs - severities).square()
    else:
        defective, severe = outputs[:, :1], outputs[:, 1:]
        marked = (severities > 0).float()
        losses = functional.binary_cross_entropy_with_logits(defective, marked, reduction="none")
        losses = losses + marked * functional.smooth_l1_loss(
            SEVERITY_MAX * severe.sigmoid(), severities, reduction="none"
        )
    return losses if defect_cells is None else losses * cell_weights(severities, defect_cells)


def cell_weights(severities: Tensor, defect_cells: int) -> Tensor:
    """Weights of cells: 1 on the surface, √(defect_cells / their number) in [1, 4] on a patch's defect cells.

    A defect never weighs less than the surface, however large it is: else its best severity under a squared
    error lies below any threshold as soon as the network is in doubt.
    severities, returns: [B, 1, h, w]
    """
    marked = severities > 0
    weights = (defect_cells / marked.sum((1, 2, 3), keepdim=True).clamp(min=1)).sqrt()
    return torch.where(marked, weights.clamp(1.0, MAX_WEIGHT), 1.0)


def patch_weights(severities: Tensor, balance: float) -> Tensor:
    """Weights of patches, [B, 1, 1, 1]: 1 up to a share `balance` of defective cells, then balance / share.

    All cells of a patch weigh alike, so that within one the best severity stays what it is.
    severities: [B, 1, h, w]
    """
    share = (severities > 0).float().mean((1, 2, 3), keepdim=True)
    return balance / share.clamp(min=balance)


def outputs_of(network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Outputs [B, K, h, w] for a batch; a network with context is given the wide patches, too."""
    outputs: Tensor = network(*(batch[name] for name in ("images", "wide") if name in batch))
    return outputs


def with_hardest(
    network: nn.Module,
    batch: Mapping[str, Tensor],
    hard: int,
    candidates: int,
    losses: Callable[[Mapping[str, Tensor]], Tensor],
) -> Mapping[str, Tensor]:
    """Batch without the easy ones of its last `candidates` entries: the `hard` of the greatest loss stay.

    The network is looked at as it is in inference, and left in training. The choice depends on its weights
    alone, so that a resumed run makes the same.
    losses: of a batch, [B, ...]
    """
    if hard == candidates:
        return batch
    last = {name: tensor[-candidates:] for name, tensor in batch.items()}
    network.eval()
    with torch.no_grad():
        worst = losses(last).flatten(1).mean(1).topk(hard).indices
    network.train()
    return {name: torch.cat([tensor[:-candidates], last[name][worst]]) for name, tensor in batch.items()}


def type_loss(
    network: nn.Module, batch: Mapping[str, Tensor], *, hard: int = 0, hard_candidates: int = 1
) -> Tensor:
    """Cross-entropy over N types and background (section III-A-4).

    batch: "images" [B, 3, size, size], "labels" [B]; hard: see `severity_loss`
    """

    def losses(batch: Mapping[str, Tensor]) -> Tensor:
        logits = network(batch["images"])
        return functional.cross_entropy(logits, batch["labels"], reduction="none")[:, None]

    return losses(with_hardest(network, batch, hard, hard * hard_candidates, losses)).mean()
