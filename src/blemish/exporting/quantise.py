"""int8 by static quantisation (NNCF), with ranges from the inputs that the method itself feeds to each graph.

Training images go through the method's own forward path on the fp32 graphs, those with defects first; the
inputs of each graph are written to disk and read back one by one. So tiles, crops and windows are the real
ones, and memory does not grow with their number.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
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
from blemish.optional_dependencies import opt_out_of_telemetry
from blemish.progress import Reporter


@dataclass
class Recorder:
    """Graph that saves its inputs, up to `max_inputs` of them. files: NAME-0.npz, … in `folder`"""

    graph: Graph
    folder: Path
    name: str
    max_inputs: int
    files: list[Path] = field(default_factory=list)

    def __call__(self, arrays: Arrays) -> Arrays:
        outputs = self.graph(arrays)  # first: inputs that it refuses are not saved
        if len(self.files) < self.max_inputs:
            file = self.folder / f"{self.name}-{len(self.files)}.npz"
            np.savez(file, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes its options for the names
            self.files.append(file)
        return outputs


def recorded(
    bundle: Bundle, dataset: Dataset, folder: Path, reporter: Reporter, *, max_inputs: int, seed: int
) -> dict[str, list[Path]]:
    """Save the inputs of each graph of an exported bundle on training images, at most `max_inputs` a graph.

    returns: files by graph
    Raises BlemishError where the dataset has no training images, or none that can be judged.
    """
    method, inference = method_of(bundle)
    assert isinstance(method, ExportsGraphs)
    graphs = open_graphs(bundle)
    recorders = {name: Recorder(graph, folder, name, max_inputs) for name, graph in graphs.items()}
    networks = method.served(recorders, bundle.networks, bundle.manifest)
    inspector = assemble(inference, networks, bundle.manifest, bundle.id)
    for sample in reporter.track(training_samples(dataset, seed), "calibrating"):
        inspector.inspect(sample.image)
        if all(len(recorder.files) >= max_inputs for recorder in recorders.values()):
            break
    if not any(recorder.files for recorder in recorders.values()):
        raise BlemishError(
            f"--data: no training image of {dataset.root} can be judged, so int8 cannot be calibrated. "
            "Give larger images, or leave out --tile."
        )
    return {name: recorder.files for name, recorder in recorders.items()}


def training_samples(dataset: Dataset, seed: int) -> Sequence[Sample]:
    """Training images in an order drawn by the seed, those with defects first.

    Raises BlemishError where there are none.
    """
    training = dataset.split("train") or dataset.where(lambda sample: sample.split is None)
    if not len(training):
        raise BlemishError(
            f"--data: {dataset.root} has no training images to calibrate int8 on. "
            "Make splits with `blemish data split`."
        )
    drawn = np.random.default_rng(seed).permutation(len(training))
    return sorted((training.samples[index] for index in drawn), key=lambda sample: not sample.is_defective)


def quantised(model: Any, files: Sequence[Path]) -> Any:
    """An ONNX or OpenVINO model in int8, with ranges from the inputs in these files.

    Raises BlemishError where NNCF refuses the model.
    """

    def read_inputs(file: Path) -> dict[str, Any]:
        with np.load(file) as arrays:
            return dict(arrays)

    opt_out_of_telemetry()
    with silenced():
        import nncf
    try:
        with silenced(), redirect_stdout(io.StringIO()):  # standard output is for results
            data = nncf.Dataset(list(files), read_inputs)
            # Weights of half the range: sums of whole ones overflow on processors without VNNI, and a bundle
            # may run on another one than it was measured on.
            safe = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE)
            return nncf.quantize(model, data, subset_size=len(files), advanced_parameters=safe)
    except Exception as error:  # NNCF raises arbitrary types
        raise BlemishError(
            f"NNCF {nncf.__version__} cannot quantise the graph: {first_line(error)}"
        ) from error
