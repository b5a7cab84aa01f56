"""int8 by static quantisation (NNCF), its ranges from what the method itself feeds to each graph.

Training images go through the method's own forward path, those with defects first, on the fp32 graphs; what
each graph is given there is written to disk and read back one by one. So tiles, crops and windows are the
real ones, and memory does not grow with their number.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.exporting.onnx_models import first_line, silenced
from blemish.inspector.graph_backend import open_graphs
from blemish.inspector.loading import assemble, method_of
from blemish.methods.capabilities import ExportsGraphs
from blemish.methods.contract import Arrays, Graph
from blemish.progress import Reporter


@dataclass
class Recorder:
    """A graph that writes down what it is given, until it has enough. files: NAME-0.npz, …"""

    graph: Graph
    folder: Path
    name: str
    enough: int
    files: list[Path] = field(default_factory=list)

    def __call__(self, arrays: Arrays) -> Arrays:
        answers = self.graph(arrays)  # first: what it refuses is not written down
        if len(self.files) < self.enough:
            file = self.folder / f"{self.name}-{len(self.files)}.npz"
            np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes its options for the names
            self.files.append(file)
        return answers


def recorded(
    bundle: Bundle, dataset: Dataset, folder: Path, reporter: Reporter, *, enough: int, seed: int
) -> dict[str, list[Path]]:
    """Files of what each graph of an exported bundle is given on training images, at most so many a graph.

    Raises BlemishError where the dataset has no training images, or none that can be judged.
    """
    method, inference = method_of(bundle)
    assert isinstance(method, ExportsGraphs)
    recorders = {name: Recorder(graph, folder, name, enough) for name, graph in open_graphs(bundle).items()}
    networks = method.served(recorders, bundle.networks, bundle.manifest)
    inspector = assemble(inference, networks, bundle.manifest, bundle.id)
    for sample in reporter.track(training_samples(dataset, seed), "calibrating"):
        inspector.inspect(sample.image)
        if all(len(one.files) >= enough for one in recorders.values()):
            break
    if not any(one.files for one in recorders.values()):
        raise BlemishError(
            f"--data: no training image of {dataset.root} can be judged, so int8 cannot be calibrated. "
            "Give larger images, or leave out --tile."
        )
    return {name: one.files for name, one in recorders.items()}


def training_samples(dataset: Dataset, seed: int) -> Sequence[Sample]:
    """Those with defects first, in an order drawn by the seed."""
    training = dataset.split("train") or dataset.where(lambda sample: sample.split is None)
    if not len(training):
        raise BlemishError(
            f"--data: {dataset.root} has no training images to calibrate int8 with. "
            "Make splits with `blemish data split`."
        )
    drawn = np.random.default_rng(seed).permutation(len(training))
    return sorted((training.samples[index] for index in drawn), key=lambda sample: not sample.is_defective)


def quantised(model: Any, files: Sequence[Path]) -> Any:
    """The model, of ONNX or OpenVINO, in int8, its ranges from the inputs in these files.

    Raises BlemishError where NNCF refuses the model.
    """
    with silenced():
        import nncf
    try:
        with silenced(), quiet_output():
            data = nncf.Dataset(list(files), read_inputs)
            return nncf.quantize(model, data, subset_size=len(files))
    except Exception as error:  # NNCF raises arbitrary types
        raise BlemishError(
            f"NNCF {nncf.__version__} cannot quantise the graph: {first_line(error)}"
        ) from error


def read_inputs(file: Path) -> dict[str, Any]:
    with np.load(file) as arrays:
        return dict(arrays)


@contextmanager
def quiet_output() -> Iterator[None]:
    """Inside, what is printed is dropped: standard output is for results."""
    with redirect_stdout(io.StringIO()):
        yield
