from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from blemish.images.drawing import TRUTH
from blemish.methods.casae.training.sheet import GAP, SIDE, training_sheet
from blemish.methods.casae.training.sources import MapSource


@dataclass(frozen=True)
class Drawn:
    """Images of a flat gray that rises with the step; a square defect, and a margin beyond the image."""

    def draw(self, step: int, rank: int) -> dict[str, Tensor]:
        truth = torch.zeros(2, 56, 56, dtype=torch.int64)
        truth[:, 14:28, 14:28] = 1
        truth[:, :, 49:] = -1
        return {"images": torch.full((2, 1, 56, 56), 0.4 + 0.1 * step), "truth": truth}


def test_images_stand_in_the_order_they_are_drawn_in() -> None:
    sheet = training_sheet(cast(MapSource, Drawn()), rows=2, columns=2)
    assert sheet.shape == (2 * SIDE + GAP, 2 * SIDE + GAP, 3)
    assert (sheet[SIDE : SIDE + GAP] == 255).all()
    row = SIDE + GAP
    corners = [sheet[2, 2, 0], sheet[2, row + 2, 0], sheet[row + 2, 2, 0], sheet[row + 2, row + 2, 0]]
    assert corners == [102, 102, 127, 127]  # batches of two


def test_the_truth_is_outlined_and_what_lies_beyond_is_dark() -> None:
    sheet = training_sheet(cast(MapSource, Drawn()), rows=1, columns=2)[:, :SIDE]
    scale = SIDE // 56
    # The outline runs along the square's edge, neither inside nor outside.
    edge = sheet[14 * scale : 28 * scale, 14 * scale]
    assert np.abs(edge.astype(int) - TRUTH).max() < 40
    assert (sheet[20 * scale, 20 * scale] == 102).all()
    assert (sheet[4 * scale, 4 * scale] == 102).all()
    assert (sheet[4 * scale, 51 * scale] == 34).all()


def test_no_more_is_drawn_than_is_shown() -> None:
    steps = []

    class Counted(Drawn):
        def draw(self, step: int, rank: int) -> dict[str, Tensor]:
            steps.append((step, rank))
            return super().draw(step, rank)

    training_sheet(cast(MapSource, Counted()), rows=1, columns=3)
    assert steps == [(0, 0), (1, 0)]  # batches of two
