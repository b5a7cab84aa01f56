"""Checkpoints: network, optimiser and step in one safetensors file, replaced whole, so a kill leaves the last
good one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.training.early_stopping import EarlyStopper
from blemish.untrusted import regular_file

NETWORK, OPTIMISER = "network.", "optimiser."
DIGEST = "sha256"  # in a checkpoint's metadata


@dataclass(frozen=True)
class Checkpoint:
    """State of a training at a step.

    step: optimisation steps done; tensors: of network, optimiser and early stopping by prefixed name
    metadata: the step and the results of validation, as text
    """

    step: int
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimiser: Optimizer,
    step: int,
    stopper: EarlyStopper | None = None,
    progress: Mapping[str, str] | None = None,
) -> None:
    """Write the state after `step` steps. progress: what else the metadata hold, as text

    Raises BlemishError when the disk is full; the old checkpoint stays.
    """
    tensors = {NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"{OPTIMISER}{index}.{name}"] = torch.as_tensor(value)
    metadata = {**(progress or {}), "step": str(step)}
    if stopper is not None:
        tensors |= stopper.tensors()
        metadata |= stopper.metadata()
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata[DIGEST] = digest_of(whole, metadata)
    write_atomically(path, save(whole, metadata=metadata))


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint; None where there is no file.

    Raises BlemishError for any other file, and for one whose content is not what was written.
    """
    if not os.path.lexists(path):
        return None
    regular_file(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            checkpoint = Checkpoint(int(metadata["step"]), tensors, metadata)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BlemishError(f"{path} is no checkpoint. Remove it to start this stage again.") from error
    if metadata.get(DIGEST, "") != (digest_of(tensors, metadata) if DIGEST in metadata else ""):
        raise BlemishError(
            f"{path} was changed or damaged since it was written. Remove it to start this stage again."
        )
    return checkpoint


def digest_of(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of a checkpoint's tensors and texts, by name, but for itself. Those of 0.1 have none."""
    digest = hashlib.sha256()
    for key in sorted(metadata):
        if key != DIGEST:
            digest.update(repr((key, metadata[key])).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def restore(checkpoint: Checkpoint, network: nn.Module, optimiser: Optimizer) -> None:
    """Load the state of a checkpoint into a network and an optimiser like those that were saved."""
    network.load_state_dict(
        {
            name.removeprefix(NETWORK): tensor
            for name, tensor in checkpoint.tensors.items()
            if name.startswith(NETWORK)
        }
    )
    states: dict[int, dict[str, Any]] = {}
    for name, tensor in checkpoint.tensors.items():
        if name.startswith(OPTIMISER):
            index, key = name.removeprefix(OPTIMISER).split(".", 1)
            states.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": states})
