"""Fill the rows of other tools in a table of `reproduce`: environment, task, training in its budget, figures.

    python -m benchmarks.peers.bench TABLE [--rows A,B] [--seeds N] [--data DATA] [--out experiments/results]

Rows that are there are kept, and several processes may fill one table, as with `reproduce`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.budget import Ended, run_within
from benchmarks.peers.environment import folder_of, interpreter_of, variables
from benchmarks.peers.job import Clock
from benchmarks.peers.measure import figures_of
from benchmarks.peers.prepare import KINDS, prepared
from benchmarks.peers.task import write_task
from benchmarks.tables.experiment import expanded
from benchmarks.tables.fill import (
    ROWS_VARIABLE,
    is_stored,
    refuse_unusable,
    result_of,
    wanted_jobs,
    write_table,
)
from benchmarks.tables.kinds.external import ExternalSettings
from benchmarks.tables.results import RowJob, claimed, write_result
from benchmarks.tables.table import Table, open_table
from blemish.cli.main import fail
from blemish.errors import BlemishError
from blemish.nn.efficientnet_lite import imagenet_file
from blemish.progress import Reporter
from blemish.provenance import provenance

PREDICTING = 7200.0  # seconds after which answering is given up; it is not part of the budget
WALL = 40  # times the budget of processor time that training may take by the wall
LITE = "efficientnet-lite0"  # weights that are installed with the package


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fill the rows of other tools in a table.")
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument("--rows", help="Names with commas; all of other tools when not given.")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", type=Path, help="Folder that holds the datasets.")
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    parser.add_argument("--environments", type=Path, default=Path("benchmarks/peers/.environments"))
    parser.add_argument(
        "--minutes", type=float, help="For a try: instead of the table's, into another --out."
    )
    options = parser.parse_args(arguments)
    if options.rows:
        os.environ[ROWS_VARIABLE] = options.rows
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a peer does not outlive its driver
    try:
        table = open_table(options.table, options.out, data=options.data, reporter=Reporter())
        print(fill_external(with_minutes(table, options.minutes), options.seeds, options.environments))
    except BlemishError as error:
        fail(str(error), 1)


def with_minutes(table: Table, minutes: float | None) -> Table:
    """The table with another budget, as its rows then say. Raises BlemishError where results are kept."""
    if minutes is None:
        return table
    if table.out.resolve().name == "results":
        raise BlemishError(
            f"--minutes must be for a try, apart from the table. Received: --out {table.out}. "
            "Use another --out."
        )
    rows = tuple(
        row.model_copy(update={"settings": {**row.settings, "minutes": minutes}})
        if row.traits.external
        else row
        for row in table.experiment.rows
    )
    experiment = table.experiment.model_copy(update={"rows": rows})
    return Table(table.name, experiment, table.out, table.data, table.reporter)


def fill_external(table: Table, seeds: int, environments: Path) -> Path:
    """Fill every row of other tools that is not there; returns the path of table.md."""
    refuse_unusable(table)
    for job in wanted_jobs(table, seeds):
        if job.row.traits.external:
            with claimed(table.folder, job) as free:
                if free and not is_stored(table, job):
                    fill(table, job, environments, seeds)
    return write_table(table)


def fill(table: Table, job: RowJob, environments: Path, seeds: int) -> None:
    """Run one peer for one seed and store its row."""
    assert job.seed is not None
    table.reporter.line(f"{table.name}: {job.name}")
    settings = job.row.traits.settings(table, job.row)
    peer = ExternalSettings.model_validate(job.row.settings)
    interpreter = interpreter_of(peer.peer, environments, table.reporter)
    out = table.run_folder(job.row, job.seed).resolve()
    start, made_by = time.perf_counter(), {**provenance(), "threads": peer.cores}
    shutil.rmtree(out, ignore_errors=True)  # a model of an earlier try must not answer for this one
    inputs = prepared(table, job.row, peer, job.seed, out)
    write_task(inputs.task, out)
    times = trained_and_answered(peer, interpreter, out, job.seed)
    few_shot = job.row.kind == "external-few-shot"
    figures = figures_of(table, inputs.dataset, out, KINDS[peer.peer], few_shot=few_shot) | times
    if inputs.draw is not None:
        figures["draw"] = inputs.draw
    seconds = time.perf_counter() - start
    command = f"make peers TABLE={table.name} ROWS={job.row.template or job.row.name} SEEDS={seeds}"
    write_result(table.folder, result_of(table, job, figures, seconds, settings, command, made_by))


def trained_and_answered(peer: ExternalSettings, interpreter: Path, out: Path, seed: int) -> dict[str, Any]:
    """Both phases; what the row says of times and origin.

    Raises BlemishError where the peer left no model, or no answers.
    """
    trained = phase("fit", peer, interpreter, out, seed, 60 * peer.minutes, clock=peer.clock)
    if trained.code != 0 and not trained.stopped:
        refuse_failed("fit", peer, out)
    if phase("predict", peer, interpreter, out, seed, PREDICTING, clock="wall").code != 0:
        refuse_failed("predict", peer, out)
    start = "random weights" if peer.weights == "none" else Path(peer.weights).name  # a stopped run says none
    answered = json.loads((out / "predict.json").read_text())
    notes = out / "fit.json"  # not there where the clock stopped the training
    fitted = json.loads(notes.read_text()) if notes.is_file() else {}
    return {
        "seconds_training": trained.seconds,
        "cpu_seconds_training": trained.cpu_seconds,
        "minutes_training": trained.seconds / 60,
        "seconds_base": 0.0,
        "seconds_per_image": answered["seconds_per_image"],
        "peer": {"weights": start, **fitted, "stopped_by_the_clock": trained.stopped},
    }


def phase(
    name: str,
    peer: ExternalSettings,
    interpreter: Path,
    out: Path,
    seed: int,
    seconds: float,
    *,
    clock: Clock,
) -> Ended:
    module = f"benchmarks.peers.{folder_of(peer.peer).name}.run"
    command = [str(interpreter), "-m", module, name, "--data", str(out), "--out", str(out)]
    command += ["--minutes", f"{peer.minutes:g}", "--started", f"{time.time():.3f}"]
    command += ["--clock", clock, "--cores", str(peer.cores), "--seed", str(seed)]
    weights = weights_file(peer)
    if weights is not None:
        command += ["--weights", str(weights)]
    for key, value in peer.options.items():
        command += ["--set", f"{key}={value}"]
    of_processor = seconds if clock == "processor" else None
    wall = seconds if of_processor is None else WALL * seconds
    log = out / f"{name}.log"
    return run_within(command, wall, env=variables(peer.cores), log=log, cpu_seconds=of_processor)


def weights_file(peer: ExternalSettings) -> Path | None:
    """The file that training starts from; None for random weights.

    Raises BlemishError where it is that of an installed package which is not there.
    """
    if peer.weights == LITE:
        return imagenet_file("weights")
    weights = str(expanded({"weights": peer.weights})["weights"])
    return None if weights == "none" else Path(weights).resolve()


def refuse_failed(name: str, peer: ExternalSettings, out: Path) -> None:
    log = out / f"{name}.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    raise BlemishError(
        f"peer {peer.peer} must end its phase '{name}' well. Received: {lines[-1] if lines else 'no word'}. "
        f"See {log}; with a budget of {peer.minutes:g} minutes it may have left no model."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
