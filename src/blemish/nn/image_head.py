"""Head that tells defective images from clean ones as a whole, on a network trained on ImageNet.

EfficientNet-Lite0, whose last stage learns on. It learns which cells of the image show a defect, too, where
that is known: far more is said by where a defect lies than by the image's label alone.
Letters: B images, S side in pixels, h = S / 16 cells a side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.nn.efficientnet_lite import LiteScale, efficientnet_lite_stages

DEEPEST = "stage4"  # of the encoder's stages, the one that learns
CHANNELS = 112  # of its map
CELL = 16  # pixels a side: the stride of its map
TOP_SHARE = 0.02  # of the cells, the surest, whose mean is one of the image's features
FIRST_CELL_LOG_ODDS = -2.0  # few cells show a defect
UNKNOWN = -1.0  # of a cell of which nobody says whether it shows a defect
CELLS_WEIGHT = 2.0  # of the cells' cross-entropy, beside 1 for their Dice loss and for the image
RATE_SHARES = {"last": 0.1}  # of the learning rate in a `CellHead`: the encoder's stage learns slowly


class CellHead(nn.Module):
    """Log odds of a defect in each cell of an image and in the image as a whole; this part learns.

    The image's are a weighted sum of each channel's mean and greatest value, and of the surest cells' log
    odds.
    """

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.last = last
        self.norm = nn.BatchNorm2d(CHANNELS, affine=False)
        self.cells = nn.Conv2d(CHANNELS, 1, 1)
        self.output = nn.Linear(2 * CHANNELS + 2, 1)
        for parameter in (*self.cells.parameters(), *self.output.parameters()):
            nn.init.zeros_(parameter)
        self.cells.bias = nn.Parameter(torch.full((1,), FIRST_CELL_LOG_ODDS))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Log odds of the cells, [B, h, h], and of the images, [B]. maps: of `ImageHead.first`"""
        features = self.norm(self.last(maps))
        cells = self.cells(features)[:, 0]
        flat = cells.flatten(1)
        surest = flat.topk(max(1, int(TOP_SHARE * flat.shape[1])), dim=1).values
        pooled = [features.mean((2, 3)), features.amax((2, 3)), surest[:, :1], surest.mean(1, keepdim=True)]
        return cells, self.output(torch.cat(pooled, dim=1))[:, 0]


class ImageHead(nn.Module):
    """Log odds that an image is defective: the mean over the image and the same turned by 180°, so that less
    of them hangs on where its pixels lie under the strides.

    first: the encoder's stages before the one that learns; they never do
    weights: see `efficientnet_lite_stages`
    Raises UnavailableError where the weights are not installed.
    """

    def __init__(self, weights: str = "none") -> None:
        super().__init__()
        stages, _ = efficientnet_lite_stages(weights, deepest=DEEPEST, setting="image_score")
        before = (stage for name, stage in stages.items() if name != DEEPEST)
        self.first = nn.Sequential(LiteScale(), *before).requires_grad_(False)
        self.cells = CellHead(stages[DEEPEST])

    def first_maps(self, images: Tensor) -> Tensor:
        """Maps of the first stages, [B, 40, S/8, S/8].

        images: [B, 1 or 3, S, S] in [0, 1], S a multiple of 16
        """
        maps: Tensor = self.first(images.expand(-1, 3, -1, -1))
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Log odds [B, 1]. images: as of `first_maps`"""
        odds = [self.cells(self.first_maps(each))[1] for each in (images, images.flip(2, 3))]
        return torch.stack(odds).mean(0)[:, None]


def head_loss(found: tuple[Tensor, Tensor], cells: Tensor, defective: Tensor) -> Tensor:
    """Loss of a `CellHead`: cross-entropy of the images, and of their known cells with the Dice loss.

    found: log odds [B, h, h] and [B]; cells: [B, h, h], 1 where a defect shows, 0 elsewhere or `UNKNOWN`;
    defective: [B], 0 or 1
    """
    of_cells, of_images = (each.float() for each in found)
    loss = functional.binary_cross_entropy_with_logits(of_images, defective)
    known = (cells != UNKNOWN).float()
    truth = cells * known
    entropy = functional.binary_cross_entropy_with_logits(of_cells, truth, reduction="none")
    share = of_cells.sigmoid() * known
    both, either = (share * truth).sum((1, 2)), (share + truth).sum((1, 2))
    has_cells = known.amax((1, 2))
    dice = (1 - (2 * both + 1) / (either + 1)) * has_cells
    count = known.sum().clamp_min(1)
    return loss + CELLS_WEIGHT * (entropy * known).sum() / count + dice.sum() / has_cells.sum().clamp_min(1)
