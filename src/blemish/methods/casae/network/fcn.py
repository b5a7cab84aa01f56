"""FCN-8s, which the paper's Table 3 compares with: an image to two logits of each pixel.

Source: Long, Shelhamer & Darrell 2015, sections 3.3 and 4.2, on the layers of VGG-16 (Simonyan & Zisserman
2015, configuration D). Letters: B batch, C channels, H, W; w channels of the first block.
Deviations, as it is trained like the autoencoder: random weights, width a setting (64 is VGG-16's), no
dropout, padding that keeps sizes in place of a margin of 100 pixels that is cropped again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.methods.casae.geometry import FCN_BLOCKS, FCN_KERNEL
from blemish.methods.casae.network.layers import convolution, draw_weights, norm_layers, standardised
from blemish.methods.casae.settings import NormKind

CLASSES = 2  # background and defect
WIDTHS = (1, 2, 4, 8, 8)  # of the blocks, in w
DEEPEST = 64  # channels of the two layers that were VGG-16's fully connected ones, in w
FINEST = 8  # stride of the finest map that is scored; hence the name


class FullyConvolutional(nn.Module):
    """Images whose sides are multiples of 32 to two logits per pixel.

    channels: of the input; width: w
    standardise: whether each image is brought to mean 0 and deviation 1 first
    """

    def __init__(
        self, channels: int, width: int, *, norm: NormKind = "none", standardise: bool = False
    ) -> None:
        super().__init__()
        self.standardise = standardise
        outs = [width * share for share in WIDTHS]
        self.blocks = nn.ModuleList(
            block(before, out, number, norm)
            for before, out, number in zip([channels, *outs[:-1]], outs, FCN_BLOCKS, strict=True)
        )
        self.deepest = nn.Sequential(
            nn.Conv2d(outs[-1], DEEPEST * width, FCN_KERNEL, padding=FCN_KERNEL // 2),
            *norm_layers(DEEPEST * width, norm),
            nn.ReLU(inplace=True),
            nn.Conv2d(DEEPEST * width, DEEPEST * width, 1),
            *norm_layers(DEEPEST * width, norm),
            nn.ReLU(inplace=True),
        )
        self.score = nn.Conv2d(DEEPEST * width, CLASSES, 1)
        self.score_pool4 = nn.Conv2d(outs[3], CLASSES, 1)
        self.score_pool3 = nn.Conv2d(outs[2], CLASSES, 1)
        draw_weights(self)
        self.double_last = doubling()
        self.double_pool4 = doubling()

    def forward(self, images: Tensor) -> Tensor:
        """Logits of background and defect. images: [B, C, H, W]; returns: [B, 2, H, W] in fp32."""
        pooled = []
        features = standardised(images) if self.standardise else images
        for layers in self.blocks:
            features = functional.max_pool2d(layers(features), 2)
            pooled.append(features)
        scores = self.score(self.deepest(features))
        scores = self.score_pool4(pooled[3]) + self.double_last(scores)
        scores = self.score_pool3(pooled[2]) + self.double_pool4(scores)
        return functional.interpolate(scores.float(), scale_factor=float(FINEST), mode="bilinear")


def block(channels: int, out: int, convolutions: int, norm: NormKind) -> nn.Sequential:
    """So many 3×3 convolutions."""
    befores = (channels, *[out] * (convolutions - 1))
    return nn.Sequential(*(layer for before in befores for layer in convolution(before, out, norm)))


def doubling() -> nn.ConvTranspose2d:
    """Scores at twice the size: at first interpolated linearly, then as training makes it."""
    layer = nn.ConvTranspose2d(CLASSES, CLASSES, 4, stride=2, padding=1, bias=False)
    line = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.copy_(torch.eye(CLASSES)[:, :, None, None] * torch.outer(line, line))
    return layer
