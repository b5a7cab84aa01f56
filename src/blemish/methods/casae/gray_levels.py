"""Scale of the paper's threshold: gray levels of its 8-bit map, white on the surface and black on defects."""

from __future__ import annotations

WHITE = 255


def probability_of(gray: float) -> float:
    """Probability of a defect from which a pixel of the paper's map is at most so gray."""
    return 1 - gray / WHITE


def gray_of(probability: float) -> float:
    """Gray level G_s of the paper for a threshold on the probability of a defect."""
    return round((1 - probability) * WHITE, 6)
