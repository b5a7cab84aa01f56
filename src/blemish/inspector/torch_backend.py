"""The torch backend: modules behind the numpy interface that every method's inference half calls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.overrides import TorchFunctionMode

from blemish.bundle.store import Tensors
from blemish.errors import BlemishError, nearest_name
from blemish.methods.contract import Network, Networks

DEVICES = "auto", "cpu", "cuda"


def as_networks(
    modules: Mapping[str, nn.Module],
    *,
    device: str = "cpu",
    bfloat16: bool = False,
    layout: torch.memory_format = torch.channels_last,
) -> Networks:
    """Modules as functions of arrays, in eval mode on the device; see `as_network`."""
    return {
        name: as_network(module, device=device, bfloat16=bfloat16, layout=layout)
        for name, module in modules.items()
    }


def as_network(
    module: nn.Module,
    *,
    device: str,
    bfloat16: bool,
    layout: torch.memory_format = torch.channels_last,
) -> Network:
    """Module as a function [B, C, H, W] float32 → float32; it is moved to the device and put in eval mode.

    bfloat16: run convolutions in bfloat16 where the machine does that fast; results then differ in the third
        digit
    """
    module.eval().to(device=device, memory_format=layout)  # type: ignore[call-overload]

    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        tensor = torch.from_numpy(inputs).to(device).contiguous(memory_format=layout)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            output = module(tensor)
        result: NDArray[np.float32] = output.float().cpu().numpy()
        return result

    return network


FACTORIES = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn})


class AllocationLimit(TorchFunctionMode):
    """Inside, torch makes tensors of so many numbers in all. Raises MemoryError before one too large."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func in FACTORIES:
            size = named.get("size", args[0] if args and not isinstance(args[0], int) else args)
            self.left -= math.prod(size)
            if self.left < 0:
                raise MemoryError(f"a tensor of {'×'.join(map(str, size))} is more than the bundle holds")
        return func(*args, **named)


def load_tensors(modules: Mapping[str, nn.Module], networks: Mapping[str, Tensors], *, source: str) -> None:
    """Copy a bundle's tensors into the modules. Raises BlemishError when names or shapes differ."""
    if set(modules) != set(networks):
        raise BlemishError(
            f"{source} must hold the networks {sorted(modules)}. Received: {sorted(networks)}. "
            "Train it again."
        )
    for name, module in modules.items():
        tensors = {key: torch.from_numpy(np.array(value)) for key, value in networks[name].items()}
        reason = misfit(module, tensors)
        if reason:
            raise BlemishError(f"{source}: tensors of '{name}' do not fit: {reason} Train it again.")


def misfit(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> str:
    """Copy tensors into a module; returns why they do not fit, empty where they do."""
    try:
        found = module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # of another shape
        return str(error).splitlines()[-1].strip()
    for kind, names in (("missing", found.missing_keys), ("unknown", found.unexpected_keys)):
        if names:
            return f"{len(names)} are {kind}, such as {names[0]}."
    return ""


def pick_device(name: str = "auto") -> str:
    """Name of the device to run on, "cuda" or "cpu"; "auto" takes the GPU where there is one.

    Raises BlemishError for any other name and for a GPU that is not there.
    """
    if name not in DEVICES:
        raise BlemishError(
            f"device must be auto, cpu or cuda. Received: '{name}'.{nearest_name(name, DEVICES)}"
        )
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise BlemishError("device=cuda: no CUDA device is usable here. Set device to cpu or auto.")
    return name


def fast_bfloat16(device: str) -> bool:
    """True where hardware multiplies bfloat16: GPUs from Ampere on, CPUs with AMX or AVX-512 BF16."""
    if device == "cuda":
        return torch.cuda.get_device_capability()[0] >= 8
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # newer than torch 2.11
    return bool(capabilities.get("amx_bf16", False) or capabilities.get("avx512_bf16", False))
