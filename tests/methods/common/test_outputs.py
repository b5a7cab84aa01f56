"""A network that fails gives ERROR whatever the method: never OK, never another exception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.bundle import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector.inspector import BundleInspector, or_failed
from blemish.inspector.loading import assemble
from blemish.methods import find_method
from blemish.methods.common.outputs import OutputError, by_sides, checked_output, fits

SETTINGS: dict[str, dict[str, Any]] = {
    "casae": {"preset": "tiny"},
    "severity": {"cell": 2, "tile": 160},
    "medetection": {"preset": "tiny", "references": 2},
    "tlsdd": {"preset": "tiny", "common": ["spot"], "rare": ["crack"]},
}
NETWORKS = {
    "casae": ("cascade", "types"),
    "severity": ("severity", "types"),
    "medetection": ("network", "references"),
    "tlsdd": ("detector",),
}
CASES = [(method, network) for method, networks in NETWORKS.items() for network in networks]


def inspector_with(method: str, wrong: dict[str, Callable[[NDArray[Any]], Any]]) -> BundleInspector:
    """Inspector whose networks answer at random in the right shape, but for those that are made wrong."""
    inference = find_method(method).inference(
        Manifest(
            method=method,
            class_names=("spot", "crack"),
            preprocessing=Preprocessing(channels=1),
            tiling={"tile": 160, "halo": 46, "stride": 2},
            thresholds={"severity": 0.5, "drop_above": 0.9, "probability": 0.5, "score": 0.2},
            settings=SETTINGS[method],
            memory={"product": "part", "references": ["a", "b"]} if method == "medetection" else {},
        )
    )
    free = {"references": (3,), "detector": (7,)}

    def network(name: str) -> Callable[[NDArray[np.float32]], Any]:
        generator = np.random.default_rng(0)

        def answer(inputs: NDArray[np.float32]) -> Any:
            lengths = iter(free.get(name, ()))
            wanted = inference.output_shape(name, inputs.shape)
            shape = [next(lengths) if length is None else length for length in wanted]
            right = generator.random(shape, np.float32)
            if name == "detector":
                right[:, 2:4] += 20
            return wrong.get(name, lambda array: array)(right)

        return answer

    networks = {name: network(name) for name in NETWORKS[method]}
    manifest = Manifest(
        method=method,
        class_names=("spot",),
        preprocessing=Preprocessing(channels=1),
        thresholds={"ng": 0.9, "review": 0.8},
    )
    return assemble(inference, networks, manifest, "bundle")


def answer_of(inspector: BundleInspector) -> Inspection:
    channels = inspector.inference.channels
    shape = (64, 64, 3) if channels == 3 else (64, 64)
    pixels = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    return or_failed(lambda: inspector.judge(pixels, "a.png"), "a.png", "bundle")


def one_is(value: float) -> Callable[[NDArray[Any]], Any]:
    def changed(right: NDArray[Any]) -> Any:
        wrong = right.copy()
        wrong.flat[wrong.size // 2] = value
        return wrong

    return changed


WRONG: dict[str, Callable[[NDArray[Any]], Any]] = {
    "one is −∞": one_is(-np.inf),
    "one is ∞": one_is(np.inf),
    "one is NaN": one_is(np.nan),
    "all are NaN": lambda right: right * np.nan,
    "all are −∞": lambda right: right * 0 - np.inf,
    "float64": lambda right: right.astype(np.float64),
    "whole numbers": lambda right: right.astype(np.int64),
    "truth values": lambda right: right > 0.5,
    "objects": lambda right: right.astype(object),
    "no batch": lambda right: right[0],
    "one axis more": lambda right: right[None],
    "two of each channel": lambda right: right.repeat(2, axis=1),
    "no channel": lambda right: right[:, :0],
    "a scalar": lambda right: right.ravel()[0],
    "a list": lambda right: right.tolist(),
    "nothing": lambda right: None,
}


@pytest.mark.parametrize("method", NETWORKS)
def test_networks_that_answer_rightly_are_judged(method: str) -> None:
    inspection = answer_of(inspector_with(method, {}))
    assert inspection.verdict is not Verdict.ERROR, inspection.error


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize(("method", "network"), CASES)
def test_an_output_that_is_wrong_is_an_error(method: str, network: str, how: str) -> None:
    inspection = answer_of(inspector_with(method, {network: WRONG[how]}))
    assert inspection.verdict is Verdict.ERROR
    assert inspection.error is not None and f"'{network}'" in inspection.error
    assert "\n" not in inspection.error


@pytest.mark.parametrize(
    ("method", "network"), [("casae", "cascade"), ("severity", "severity"), ("medetection", "references")]
)
def test_a_map_of_another_size_is_an_error(method: str, network: str) -> None:
    for smaller in (lambda right: right[..., ::2, ::2], lambda right: right[..., 1:, :]):
        assert answer_of(inspector_with(method, {network: smaller})).verdict is Verdict.ERROR
    larger = answer_of(inspector_with(method, {network: lambda right: right.repeat(2, axis=-1)}))
    assert larger.verdict is Verdict.ERROR


def test_a_map_that_is_no_square_is_an_error() -> None:
    for columns in (1, 3, 4):
        cut = {"network": lambda right, columns=columns: right[:, :columns]}
        assert answer_of(inspector_with("medetection", cut)).verdict is Verdict.ERROR


def test_a_score_that_is_no_number_is_an_error_wherever_it_came_from() -> None:
    inspector = inspector_with("casae", {})
    for score in (np.nan, np.inf, -1.0):

        class Odd:
            def __getattr__(self, name: str) -> Any:
                return getattr(inspector.inference, name)

            def decide(self, *arguments: Any, score: float = score, **options: Any) -> Any:
                return replace(inspector.inference.decide(*arguments, **options), score=score)

        assert answer_of(replace(inspector, inference=Odd())).verdict is Verdict.ERROR


def test_the_error_names_what_was_received_and_what_was_to_come() -> None:
    with pytest.raises(OutputError, match=r"map must give an array of 1×any. Received: 2×3"):
        checked_output(np.zeros((2, 3), np.float32), (1, None), of="map")
    with pytest.raises(OutputError, match=r"map must give float32. Received: int64"):
        checked_output(np.zeros((2, 3), np.int64), (2, 3), of="map")
    odd = np.array([[0, np.nan, 1], [np.inf, 2, -np.inf]], np.float32)
    with pytest.raises(OutputError, match="3 of 6 values"):
        checked_output(odd, (2, 3), of="map")
    right = np.zeros((0, 3), np.float32)
    assert checked_output(right, (None, 3), of="map") is right
    assert issubclass(OutputError, BlemishError)


def test_shapes_fit_by_every_axis() -> None:
    assert fits((2, 3), (None, 3)) and fits((), ())
    assert not fits((2, 3), (3, 3)) and not fits((2, 3), (2, 3, None)) and not fits((), (None,))
    assert by_sides((None, 3)) == "any×3" and by_sides(()) == "no axis"
