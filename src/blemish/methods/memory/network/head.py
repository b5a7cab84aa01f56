"""Head on whitened features: how likely each patch and the image are defective.

Source: Rolih, Fučka & Skočaj 2024 (SuperSimpleNet), section 3. Deviations: it works on whitened components,
not on the backbone's maps, so that it takes what the memory takes; a 1×1 convolution before the 5×5 one makes
that eight times as cheap.
Letters: B batch, D dimensions, h, w places.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

IMAGE_WIDTH = 32  # channels of the image's branch


class DefectHead(nn.Module):
    """Adaptor, segmentation branch and classification branch. width: channels of the hidden layer"""

    def __init__(self, dimensions: int, width: int) -> None:
        super().__init__()
        self.adaptor = nn.Conv2d(dimensions, dimensions, 1)
        nn.init.dirac_(self.adaptor.weight)
        nn.init.zeros_(self.adaptor.bias)  # type: ignore[arg-type]
        self.places = nn.Sequential(
            nn.Conv2d(dimensions, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1, bias=False),
        )
        self.image = nn.Sequential(
            nn.Conv2d(dimensions + 1, IMAGE_WIDTH, 1, bias=False),
            nn.Conv2d(IMAGE_WIDTH, IMAGE_WIDTH, 5, padding=2, bias=False),
            nn.BatchNorm2d(IMAGE_WIDTH),
            nn.ReLU(),
        )
        self.verdict = nn.Linear(2 * IMAGE_WIDTH + 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Log odds of each place, and everywhere that of the image, [B, 2, h, w]. features: [B, D, h, w]"""
        adapted = self.adaptor(features)
        places, image = self.log_odds(adapted)
        return torch.cat([places, image[:, :, None, None].expand_as(places)], 1)

    def log_odds(self, adapted: Tensor) -> tuple[Tensor, Tensor]:
        """Log odds of each place [B, 1, h, w] and of the image [B, 1], from what the adaptor gives."""
        places = self.places(adapted)
        surroundings = self.image(torch.cat([adapted, places], 1))
        pooled = [pool(values) for values in (surroundings, places) for pool in (highest, mean)]
        return places, self.verdict(torch.cat(pooled, 1))


def highest(values: Tensor) -> Tensor:
    """Maximum over all places. [B, C, h, w] → [B, C]"""
    return values.amax(dim=(2, 3))


def mean(values: Tensor) -> Tensor:
    """Mean over all places. [B, C, h, w] → [B, C]"""
    return values.mean(dim=(2, 3))
