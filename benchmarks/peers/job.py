"""The command line that every peer's run.py has, its clock, and what it says of itself.

A run has two phases: `fit` trains within the budget and leaves a model in OUT, `predict` answers from it.
Only `fit` is timed against the budget, by the driver, from outside; the run's own clock makes it end in time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

Clock = Literal["wall", "processor"]
RESERVE, LEAST_RESERVE = 0.05, 3.0  # share and seconds of the budget kept for writing the model
SLACK = 1.5  # a step may take this much longer than those before


@dataclass(frozen=True)
class PeerRun:
    """weights: file that training starts from, None for random ones; options: the peer's own, as texts

    clock: that counts the minutes: since `started`, or this process's processor time
    """

    data: Path
    out: Path
    minutes: float
    started: float
    cores: int
    seed: int
    weights: Path | None
    options: Mapping[str, str]
    clock: Clock = "wall"

    @property
    def seconds(self) -> float:
        """For training itself, before the reserve."""
        budget = 60 * self.minutes
        return max(1.0, budget - max(LEAST_RESERVE, RESERVE * budget))

    def used(self) -> float:
        """Share of the training time that is over, from 0; 1 and more when it is."""
        seconds = time.process_time() if self.clock == "processor" else time.time() - self.started
        return seconds / self.seconds

    def paced(self, share: float = 1.0) -> Iterator[int]:
        """Numbers of steps from 0, while another one like those before fits into that share of the time."""
        begun, number = self.used(), 0
        while number == 0 or self.used() + SLACK * (self.used() - begun) / number < share:
            yield number
            number += 1

    def option(self, name: str, default: Any) -> Any:
        """The option as a value of its default's type."""
        text = self.options.get(name)
        return default if text is None else type(default)(text)


def parsed(arguments: Sequence[str] | None = None) -> tuple[str, PeerRun]:
    """(Phase, job) of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=["fit", "predict"])
    parser.add_argument("--data", type=Path, required=True, help="Folder with task.json.")
    parser.add_argument("--out", type=Path, required=True, help="Folder for the model and the predictions.")
    parser.add_argument("--minutes", type=float, required=True, help="For fit, imports included.")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall")
    parser.add_argument(
        "--started", type=float, default=time.time(), help="When the clock started, Unix time."
    )
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="options")
    values = vars(parser.parse_args(arguments))
    phase = values.pop("phase")
    options = dict(text.split("=", 1) for text in values.pop("options"))
    values["out"].mkdir(parents=True, exist_ok=True)
    return phase, PeerRun(**values, options=options)


def main(
    fit: Callable[[PeerRun], Mapping[str, Any]], predict: Callable[[PeerRun], Mapping[str, Any]]
) -> None:
    """Run one phase and keep what it says of itself in OUT/<phase>.json."""
    phase, job = parsed()
    notes = {"fit": fit, "predict": predict}[phase](job)
    (job.out / f"{phase}.json").write_text(json.dumps(dict(notes), indent=1) + "\n")


def versions(*names: str) -> dict[str, str]:
    return {name: version(name) for name in names}
