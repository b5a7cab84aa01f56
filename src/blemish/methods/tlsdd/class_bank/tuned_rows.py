"""Rows tuned on all regions of the examples' images, beside boxes drawn about the examples.

The class will be looked for in proposals and a grid; in the images of its examples, those regions say what is
no defect of it there, and how a box that meets one is to move. Still ridge regressions, solved at once:
w = (G_bg + G + σS + G_neg + λI)⁻¹ (g + σs) for the IoU, where S and s are over those regions. The deltas of
the box are fitted to the regions alone that meet a defect, from `MET` on: parts further off need others,
which a linear layer does not have. Letters: Z features of a region and a 1; R regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from blemish.arrays import Floats
from blemish.methods.tlsdd.class_bank.closed_form import Moments, ridge_of, with_one
from blemish.methods.tlsdd.class_bank.regions import ExampleRegions

SHARE = 0.3  # σ, of a mean over an image's regions to one over the boxes about its example
MET = 0.3  # IoU with a defect from which a region's deltas count


def tuned_row(
    moments: Moments, about: Sequence[ExampleRegions], around: Sequence[ExampleRegions], background: Floats
) -> Floats:
    """Weights of IoU and deltas, [Z, 5], as `Moments.row`.

    moments: of the class; about: boxes about those of its examples that are at hand; around: all regions of
    their images; background: [Z, Z]
    """
    surroundings = Moments.mean([each.moments for each in around])
    new = sum(len(each.iou) for each in about) / moments.num_boxes  # the others came with earlier examples
    enlarged = replace(
        moments,
        examples=moments.examples + SHARE * new * surroundings.examples,
        targets=moments.targets + SHARE * new * surroundings.targets,
    )
    row = enlarged.row(background)
    row[:, 1:] = tuned_deltas(moments, [*about, *around], background, share=new)
    return row


def tuned_deltas(
    moments: Moments, images: Sequence[ExampleRegions], background: Floats, *, share: float
) -> Floats:
    """Weights of the deltas, [Z, 4], from regions that meet a defect, and from the closed form of the others.

    share: of the examples at hand among all
    """
    met = [each.iou >= MET for each in images]
    features = with_one(np.concatenate([each.features[own] for each, own in zip(images, met, strict=True)]))
    deltas = np.concatenate([each.deltas[own] for each, own in zip(images, met, strict=True)])
    ridge, earlier = ridge_of(background), (1 - share) * moments.examples.astype(np.float64)
    closed = moments.row(background)[:, 1:]
    weights = np.linalg.solve(
        share * features.T @ features / len(features) + earlier + ridge,
        share * features.T @ deltas / len(features) + earlier @ closed,
    )
    return weights.astype(np.float32)
