"""Autoencoder of CASAE, the cascade of two, and their loss: an image to each pixel's probability of a defect.

Source: Tao et al. 2018, section 3.1, Fig. 3, Table 1, eq. 1. Letters: B batch, C channels, H, W.
Deviations: "padding 1" of the atrous convolutions is read as the padding that keeps the size, without which
the skips would not fit; upsampling repeats pixels, and weights are drawn as in `layers` (both open).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from blemish.methods.casae.geometry import DEPTH, factors
from blemish.methods.casae.network.fcn import CLASSES, FullyConvolutional
from blemish.methods.casae.network.layers import convolution, draw_weights, standardised
from blemish.methods.casae.settings import CasaeSettings, NormKind
from blemish.methods.common.warps import DEFECT, IGNORED
from blemish.nn.encoder import new_encoder_decoder


class Autoencoder(nn.Module):
    """Fully convolutional: images whose sides are multiples of 16 to two logits per pixel.

    channels: of the input; width: channels of the first block, doubled at each of the four poolings
    atrous: whether convolutions 3, 5, 7 and 9 of the encoder see further
    standardise: whether each image is brought to mean 0 and deviation 1 first
    """

    def __init__(
        self,
        channels: int,
        width: int,
        *,
        atrous: bool = True,
        norm: NormKind = "none",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        self.standardise = standardise
        widths = [width * 2**level for level in range(DEPTH + 1)]
        self.down = nn.ModuleList(
            block(before, after, norm, pair)
            for before, after, pair in zip([channels, *widths[:-1]], widths, factors(atrous), strict=True)
        )
        # 2·out from below, out beside
        self.up = nn.ModuleList(block(3 * out, out, norm) for out in widths[:-1])
        self.output = nn.Conv2d(width, 2, 1)
        draw_weights(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of background and defect. images: [B, C, H, W]; returns: [B, 2, H, W] in fp32."""
        skipped = []
        features = standardised(images) if self.standardise else images
        for level, layers in enumerate(self.down):
            features = layers(functional.max_pool2d(features, 2) if level else features)
            skipped.append(features)
        for level in reversed(range(DEPTH)):
            raised = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = self.up[level](torch.cat([skipped[level], raised], dim=1))
        logits: Tensor = self.output(features)
        return logits.float()


class Cascade(nn.Module):
    """A network, or two of which the second refines the map of the first, as the settings say.

    They are trained one after the other: `first` on images, then `second` on `second_input` of them. With an
    encoder, that and its decoder are the first.
    """

    def __init__(self, settings: CasaeSettings) -> None:
        super().__init__()
        channels, self.sees_image = settings.channels, settings.second_sees_image
        self.standardise = settings.standardises
        self.first = (
            new_encoder_decoder(settings, outputs=CLASSES, stride=1)
            if settings.has_encoder
            else new_network(channels, settings, standardise=self.standardise)
        )
        self.second = None
        if settings.cascade:  # a map is no photograph: its level says how much is defective
            self.second = new_network(1 + channels * self.sees_image, settings, standardise=False)

    def forward(self, images: Tensor) -> Tensor:
        """Probability of a defect by the last network. images: [B, C, H, W]; returns: [B, 1, H, W]."""
        logits = self.first_logits(images) if self.second is None else self.second_logits(images)
        return defect_probability(logits)

    def first_logits(self, images: Tensor) -> Tensor:
        """[B, 2, H, W] of the first network."""
        logits: Tensor = self.first(images)
        return logits

    def second_logits(self, images: Tensor) -> Tensor:
        """[B, 2, H, W] of the second network; only of a cascade."""
        assert self.second is not None
        logits: Tensor = self.second(self.second_input(images))
        return logits

    def second_input(self, images: Tensor) -> Tensor:
        """Input of the second network, [B, 1 (+ C), H, W]; no gradient reaches the first."""
        with torch.no_grad():
            probability = defect_probability(self.first_logits(images))
        if not self.sees_image:
            return probability
        return torch.cat([probability, standardised(images) if self.standardise else images], dim=1)


class Single(nn.Module):
    """Network of a cascade on its own: images to the probability of a defect, [B, 1, H, W]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return defect_probability(self.network(images))


def new_network(
    channels: int, settings: CasaeSettings, *, standardise: bool
) -> Autoencoder | FullyConvolutional:
    """Build the settings' network of the paper with random weights. channels: of its input"""
    width, norm = settings.width, settings.norm
    if settings.network == "fcn":
        return FullyConvolutional(channels, width, norm=norm, standardise=standardise)
    return Autoencoder(channels, width, atrous=settings.atrous, norm=norm, standardise=standardise)


def defect_probability(logits: Tensor) -> Tensor:
    """Softmax over background and defect, in fp32. logits: [B, 2, H, W]; returns: [B, 1, H, W]."""
    return logits.float().softmax(dim=1)[:, DEFECT : DEFECT + 1]


def pixel_loss(logits: Tensor, truth: Tensor, settings: CasaeSettings) -> Tensor:
    """Weighted cross-entropy, in fp32; eq. 1 divided by the number of pixels that are not ignored.

    The mean in place of the sum makes loss and gradient clipping independent of the image's size; a step of
    Adam is the same either way. With `area_balance` b a defective pixel counts share^−b times as much, where
    share is that of defective pixels in its image. With `hard_clean_weight` the hardest pixels of each image
    without a defect count beside it, with `dice_weight` the Dice loss of each image with one.
    logits: [B, 2, H, W]; truth: [B, H, W] int64, 0 background, 1 defect, −1 ignored; returns: scalar
    """
    plain = functional.cross_entropy(logits.float(), truth, ignore_index=IGNORED, reduction="none")
    known, defective = truth != IGNORED, truth == DEFECT
    losses = plain * torch.where(defective, settings.defect_weight, settings.background_weight)
    if settings.area_balance > 0:
        share = defective.sum(dim=(1, 2)) / known.sum(dim=(1, 2)).clamp(min=1)
        counts = share.clamp(min=1 / truth[0].numel()) ** -settings.area_balance
        losses = torch.where(defective, losses * counts[:, None, None], losses)
    loss = losses.sum() / known.sum().clamp(min=1)
    shows_defect = defective.any(dim=(1, 2))
    if settings.hard_clean_weight > 0:
        specks = hardest(plain[~shows_defect], settings.hard_clean_share)
        loss = loss + settings.hard_clean_weight * specks / len(truth)
    if settings.dice_weight > 0:
        apart = dice_losses(logits[shows_defect], truth[shows_defect]).sum()
        loss = loss + settings.dice_weight * apart / len(truth)
    return loss


def dice_losses(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice loss of each image, [B] in [0, 1]: 1 − (2 Σpt + 1) / (Σp + Σt + 1) over its known pixels.

    logits: [B, 2, H, W]; truth: [B, H, W] as for `pixel_loss`
    Source: Milletari et al. 2016, with plain sums below the line; one pixel more on either side of it.
    """
    probability = defect_probability(logits)[:, 0] * (truth != IGNORED)
    defective = (truth == DEFECT).float()
    both, either = (probability * defective).sum((1, 2)), (probability + defective).sum((1, 2))
    return 1 - (2 * both + 1) / (either + 1)


def hardest(losses: Tensor, share: float) -> Tensor:
    """Sum over images of the mean of each one's greatest losses, a scalar; 0 without any.

    losses: [B, H, W]; share: of an image's pixels, at least one of them
    """
    flat = losses.flatten(1)
    return flat.topk(max(1, round(share * flat.shape[1])), dim=1).values.mean(dim=1).sum()


def block(channels: int, out: int, norm: NormKind, atrous: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """Two 3×3 convolutions of these atrous factors."""
    first, second = atrous
    return nn.Sequential(
        *convolution(channels, out, norm, factor=first), *convolution(out, out, norm, factor=second)
    )
