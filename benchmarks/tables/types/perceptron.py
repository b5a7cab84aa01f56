"""The classifier of the paper's Table 4 on features: standardised, one hidden layer, so many iterations.

Source: Tao et al. 2018, section 5.3. Open there, and ours: the optimiser is Adam and the hidden units are
ReLUs, scikit-learn's own choices.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables.types.features import library

Numbers = NDArray[np.int_]


def perceptron(
    features: NDArray[np.float64], labels: Numbers, *, hidden: int, iterations: int, seed: int
) -> Callable[[NDArray[np.float64]], Numbers]:
    """Fitted on features [N, F] with labels [N]; what it returns names features [M, F]."""
    classifier = library("sklearn.neural_network").MLPClassifier(
        hidden_layer_sizes=(hidden,), max_iter=iterations, random_state=seed
    )
    scaler = library("sklearn.preprocessing").StandardScaler()
    pipeline: Any = library("sklearn.pipeline").make_pipeline(scaler, classifier)
    with warnings.catch_warnings():  # the paper stops here too, converged or not
        warnings.simplefilter("ignore", library("sklearn.exceptions").ConvergenceWarning)
        pipeline.fit(features, labels)
    return pipeline.predict
