"""An exported bundle that lacks a graph its settings ask for is refused, not run without it."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.methods import find_method
from blemish.methods.capabilities import ExportsGraphs
from blemish.methods.contract import Arrays, Graph


def manifest(method: str, *, types: bool) -> Manifest:
    settings = find_method(method).settings_type.model_validate({"types": types}).model_dump(mode="json")
    shown = Preprocessing(channels=1)
    return Manifest(method=method, class_names=("dent", "stain"), preprocessing=shown, settings=settings)


def doubled(arrays: Arrays) -> Arrays:
    return dict.fromkeys(("severities", "probabilities"), 2 * arrays["images"])


@pytest.mark.parametrize(("method", "first"), [("severity", "severity"), ("casae", "cascade")])
def test_types_need_their_graph(method: str, first: str) -> None:
    exporting = find_method(method)
    assert isinstance(exporting, ExportsGraphs)
    graphs: dict[str, Graph] = {first: doubled}
    with pytest.raises(KeyError, match="types"):
        exporting.served(graphs, {}, manifest(method, types=True))
    networks = exporting.served(graphs, {}, manifest(method, types=False))
    assert set(networks) == {first}
    np.testing.assert_array_equal(networks[first](np.ones((1, 1, 2, 2), np.float32)), 2)
