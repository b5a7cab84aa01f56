"""Compact CNN that names a defect from its upright gray crop.

Source: Tao et al. 2018, section 4, Fig. 5, Table 2. Letters: B batch, N types.
Deviation: the paper's softmax over its types is not part of the network, so that loss and confidence can be
computed in fp32 from the logits.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from blemish.methods.casae.network.layers import draw_weights, standardised

SIDE = 227  # of the input in Table 2


class CompactNetwork(nn.Module):
    """Gray crops to one logit for each type, layer by layer as Table 2.

    types: how many; size: side of the crops, at least 99
    initial: the paper's first weights, or those that train, see `layers.draw_weights`
    standardise: whether each crop is brought to mean 0 and deviation 1 first
    """

    def __init__(
        self,
        types: int,
        *,
        size: int = SIDE,
        initial: Literal["paper", "he"] = "he",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.standardise = standardise
        self.conv1 = nn.Sequential(nn.Conv2d(1, 96, 11, stride=4), nn.BatchNorm2d(96), nn.ReLU(inplace=True))
        self.pool1 = nn.MaxPool2d(3, 2)
        self.conv2 = nn.Sequential(nn.Conv2d(96, 128, 5), nn.BatchNorm2d(128), nn.ReLU(inplace=True))
        self.pool2 = nn.MaxPool2d(3, 2)
        self.conv3_1 = nn.Sequential(nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(inplace=True))
        self.conv3_2 = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True))
        self.conv3_3 = nn.Sequential(nn.Conv2d(256, 128, 3, padding=1), nn.ReLU(inplace=True))
        self.pool3 = nn.MaxPool2d(3, 2)
        self.fc1 = nn.Sequential(nn.Linear(128 * last_side(size) ** 2, 1000), nn.ReLU(inplace=True))
        self.fc2 = nn.Sequential(nn.Linear(1000, 256), nn.ReLU(inplace=True))
        self.fc3 = nn.Linear(256, types)
        draw_weights(self, initial)

    def forward(self, crops: Tensor) -> Tensor:
        """Logits [B, N] in fp32. crops: [B, 1, size, size] in [0, 1]"""
        features = standardised(crops) if self.standardise else crops
        features = self.pool2(self.conv2(self.pool1(self.conv1(features))))
        features = self.pool3(self.conv3_3(self.conv3_2(self.conv3_1(features))))
        logits: Tensor = self.fc3(self.fc2(self.fc1(features.flatten(1))))
        return logits.float()


def last_side(size: int) -> int:
    """Side of the last pooling's map for crops of this side; 5 for 227."""
    for kernel, stride in ((11, 4), (3, 2), (5, 1), (3, 2), (3, 2)):  # the layers that change it
        size = (size - kernel) // stride + 1
    return size
