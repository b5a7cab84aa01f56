"""What `pip install blemish` leaves out, and which extra brings it: each lack is one line that says so."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from blemish.errors import BlemishError

# Name of a package when imported: what people call it, and the extra that it comes with.
PACKAGES = {
    "torch": ("PyTorch", "train"),
    "torchvision": ("torchvision", "train"),
    "accelerate": ("Accelerate", "train"),
    "tensorboard": ("TensorBoard", "train"),
    "scipy": ("SciPy", "train"),
    "onnxruntime": ("ONNX Runtime", "runtime"),
    "openvino": ("OpenVINO", "openvino"),
    "onnx": ("ONNX", "export"),
    "onnxscript": ("ONNX Script", "export"),
    "nncf": ("NNCF", "int8"),
}


class MissingExtraError(BlemishError):
    """A package of an extra is needed and not installed."""


def refuse_without(package: str, purpose: str) -> None:
    """Raises MissingExtraError where the package is not installed. It is not imported, so this is quick.

    purpose: what needs it, as the sentence's first words
    """
    try:
        there = find_spec(package) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise MissingExtraError(sentence(package, purpose))


def imported(module: str, purpose: str) -> ModuleType:
    """The module. Raises MissingExtraError where its package is not installed.

    purpose: see `refuse_without`
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise lacking(error, purpose) or error from error


def lacking(error: ModuleNotFoundError, purpose: str) -> MissingExtraError | None:
    """What the failed import means, where it is of a package of an extra; else None, and it is a bug."""
    package = (error.name or "").partition(".")[0]
    return MissingExtraError(sentence(package, purpose)) if package in PACKAGES else None


def sentence(package: str, purpose: str) -> str:
    name, extra = PACKAGES[package]
    return f"{purpose} needs {name}, which is not installed. Run: pip install 'blemish[{extra}]'"
