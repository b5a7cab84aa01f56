"""Any tool's predictions as inspections, so that they are measured by the very same code as a bundle."""

from blemish.evaluation.predictions.read import read_predictions
from blemish.evaluation.predictions.run import Judgement, evaluate_predictions

__all__ = ["Judgement", "evaluate_predictions", "read_predictions"]
