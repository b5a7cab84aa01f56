"""Two fully connected layers on a region's features: plain, or under the weights of one or every class.

Source: Faster R-CNN's box head, which TL-SDD keeps, behind eq. 1. Reweighting scales whole channels, so the
first layer need not run once per class: W (w ⊗ x) = Σ_c w_c (W_c x_c), with the sum's terms computed once.
Letters: R regions, m channels, s side of a region, K classes, S supports, h length of the hidden vector.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from blemish.methods.tlsdd.settings import TlsddSettings

TERMS_BYTES = 128 << 20  # of the sum's terms [m, h, chunk] in fp32
KEPT_BYTES = 1 << 30  # of all chunks' terms, for the gradient; above, they are computed again, a third slower


class RegionHead(nn.Module):
    """Two fully connected layers: fc6 → ReLU → fc7 → ReLU."""

    def __init__(self, settings: TlsddSettings) -> None:
        super().__init__()
        self.fc6 = nn.Linear(settings.width * settings.region_size**2, settings.hidden)
        self.fc7 = nn.Linear(settings.hidden, settings.hidden)

    def forward(self, regions: Tensor) -> Tensor:
        """Hidden vectors [R, h] of plain regions [R, m, s, s]."""
        return self.after_fc6(self.fc6(regions.flatten(1)))

    def paired(self, regions: Tensor, vectors: Tensor) -> Tensor:
        """Hidden vectors [S, h] of regions [S, m, s, s], each under its own weights. vectors: [S, m]"""
        return self(regions * vectors[:, :, None, None].to(regions.dtype))

    def per_class(self, regions: Tensor, vectors: Tensor) -> Tensor:
        """Hidden vectors of each region under each class's weights, as of `forward` on RoI ⊗ w_k.

        regions: [R, m, s, s]; vectors: [K, m]; returns: [R, K, h]
        """
        bytes_each = 4 * vectors.shape[1] * self.fc6.out_features
        compute = self.weighted_sums
        if len(regions) * bytes_each > KEPT_BYTES and torch.is_grad_enabled():
            compute = partial(checkpoint, compute, use_reentrant=False, preserve_rng_state=False)
        chunks = torch.split(regions, max(1, TERMS_BYTES // bytes_each))
        return self.after_fc6(torch.cat([compute(chunk, vectors) for chunk in chunks]) + self.fc6.bias)

    def weighted_sums(self, regions: Tensor, vectors: Tensor) -> Tensor:
        """Σ_c w_kc (W_c x_c). regions: [chunk, m, s, s]; vectors: [K, m]; returns: [chunk, K, h]"""
        by_channel = regions.flatten(2).permute(1, 2, 0)  # [m, s², chunk]
        weight = self.fc6.weight.view(-1, *by_channel.shape[:2]).transpose(0, 1)  # [m, h, s²]
        terms = torch.bmm(weight, by_channel)  # [m, h, chunk]; as [m, chunk, h] it takes twice as long
        sums = (vectors @ terms.flatten(1)).view(len(vectors), *terms.shape[1:])  # [K, h, chunk]
        return sums.permute(2, 0, 1)

    def after_fc6(self, sums: Tensor) -> Tensor:
        """Hidden vectors from fc6's sums [..., h]."""
        return torch.relu(self.fc7(torch.relu(sums)))
