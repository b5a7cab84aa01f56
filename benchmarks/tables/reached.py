"""When a row's training first was as good as another row's in the end, from the looks that both stored.

Source: MeDetection, Fig. 4 and Table 3: a start that was meta-trained is to reach in fewer epochs what a
random one reaches at all. Both are told by the same rule, seed by seed: the first look at the validation
images with at least the value that the other row's kept state has. Recall alone is also reached by calling
everything defective, so every other measure of a look is told beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.tables.experiment import Experiment
from benchmarks.tables.results import Result

ADAPTATION = "adaptation"  # where a row's figures hold the looks


def with_reached(experiment: Experiment, results: Sequence[Result]) -> list[Result]:
    """The results; those of a row with `reach` also with figures "reached" where both rows are stored."""
    stored = {(one.row, one.seed): one for one in results}
    reach = {row.name: row.reach for row in experiment.rows if row.reach}
    found = []
    for result in results:
        other = stored.get((reach.get(result.row, ""), result.seed))
        own, last = result.figures.get(ADAPTATION), other.figures.get(ADAPTATION) if other else None
        figures = {**result.figures, "reached": reached(own, last)} if own and last else result.figures
        found.append(result.model_copy(update={"figures": figures}))
    return found


def reached(own: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """By measure: the value that `other` kept, and the step and epoch of the first look of `own` with it.

    own, other: {"best_step", "steps_of_epoch", "looks": [{"step", measures…}, …]}
    Step and epoch are infinite where no look has it; "yes" is 1 or 0.
    """
    kept = next(look for look in other["looks"] if look["step"] == other["best_step"])
    found = {}
    for measure, value in kept.items():
        if measure == "step":
            continue
        step = next((look["step"] for look in own["looks"] if look[measure] >= value), math.inf)
        epochs = step / own["steps_of_epoch"]
        found[measure] = {"value": value, "step": step, "epochs": epochs, "yes": float(math.isfinite(step))}
    return found
