"""Predictions of any tool as inspections, so that the code that measures a bundle measures them, too."""

from blemish.evaluation.predictions.run import Judgement, evaluate_predictions, read_predictions

__all__ = ["Judgement", "evaluate_predictions", "read_predictions"]
