"""Training of severity regression: scale, stage 1, threshold, type classifier, and when to drop a defect."""

from blemish.methods.severity.training.run import fit

__all__ = ["fit"]
