"""Outputs of networks, checked before anything is decided on them: one that fails must never pass a part.

Torch, ONNX Runtime and OpenVINO alike give arrays by name; a damaged or foreign graph may give none, another
shape or type, or numbers that are not finite. NaN and −∞ lie below every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from blemish.errors import BlemishError
from blemish.methods.contract import Inference, Network, Networks

Shape = Sequence[int | None]  # None for an axis of any length
REMEDY = "Copy, export or train the bundle again."


class OutputError(BlemishError):
    """An output of a network from which nothing can be decided."""


@dataclass(frozen=True)
class CheckedNetwork:
    """Network whose every output is checked. name: as the inference half calls it"""

    name: str
    network: Network
    inference: Inference

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raises OutputError, see `checked_output`."""
        shape = self.inference.output_shape(self.name, inputs.shape)
        return checked_output(self.network(inputs), shape, of=f"network '{self.name}'")


def checked_networks(networks: Networks, inference: Inference) -> Networks:
    """Networks that an inference half calls, with their outputs checked."""
    return {name: CheckedNetwork(name, network, inference) for name, network in networks.items()}


def checked_output(output: Any, shape: Shape, *, of: str, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an output that is an array of that type and shape, with finite numbers alone.

    of: names it in messages, such as "network 'types'"
    Raises OutputError for any other.
    """
    if not isinstance(output, np.ndarray) or output.dtype != dtype:
        received = output.dtype if isinstance(output, np.ndarray) else type(output).__name__
        raise OutputError(f"{of} must give {np.dtype(dtype)}. Received: {received}. {REMEDY}")
    if not fits(output.shape, shape):
        raise OutputError(
            f"{of} must give an array of {by_sides(shape)}. Received: {by_sides(output.shape)}. {REMEDY}"
        )
    if not np.isfinite(output).all():
        wrong = output.size - int(np.isfinite(output).sum())
        raise OutputError(
            f"{of}: its output is not finite. Received: {wrong} of {output.size} values that are infinite or "
            f"not a number. {REMEDY}"
        )
    return output


def fits(shape: Sequence[int], wanted: Shape) -> bool:
    """True where a shape is the wanted one, whatever the length of the axes that are None."""
    return len(shape) == len(wanted) and all(
        want is None or length == want for length, want in zip(shape, wanted, strict=True)
    )


def by_sides(shape: Shape) -> str:
    """Text of a shape, such as "any×1×512×512"."""
    return "×".join("any" if length is None else str(length) for length in shape) or "no axis"
