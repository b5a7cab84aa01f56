"""Stage 1 with context, for training: two networks whose outputs are added.

The second sees a coarser copy of a wider part of the surface, so that it reaches as many times as far. In
inference each goes over the image in tiles of its own. Letters: B batch, C channels, K outputs, P side of a
patch, h, w cells.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

WIDER = 2  # side of the wide patch, in patches


class ContextNetwork(nn.Module):
    """Network of the patch and network of its surroundings.

    factor: by which the wide patch is coarser
    """

    def __init__(self, severity: nn.Module, context: nn.Module, factor: int) -> None:
        super().__init__()
        self.severity = severity
        self.context = context
        self.factor = factor

    def forward(self, images: Tensor, wide: Tensor) -> Tensor:
        """Outputs for each cell of the patch, [B, K, h, w] in fp32.

        images: [B, C, P, P]; wide: [B, C, 2P / factor, 2P / factor], the patch and P / 2 around it
        """
        outputs: Tensor = self.severity(images)
        around = functional.interpolate(
            self.context(wide), scale_factor=self.factor, mode="bilinear", align_corners=False
        )
        (height, width), margin = outputs.shape[-2:], outputs.shape[-1] * (WIDER - 1) // 2
        return outputs + around[..., margin : margin + height, margin : margin + width]
