"""Packages that `pip install blemish` leaves out: the extra of each, and a one-line error without it."""

from __future__ import annotations

import os
import sys
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
    "alembic": ("Alembic", "station"),
    "argon2": ("argon2-cffi", "station"),
    "fastapi": ("FastAPI", "station"),
    "httpx": ("HTTPX", "station"),
    "python_multipart": ("python-multipart", "station"),
    "sqlalchemy": ("SQLAlchemy", "station"),
    "uvicorn": ("uvicorn", "station"),
    "websockets": ("websockets", "station"),
    "pg8000": ("pg8000", "postgres"),
}


class MissingExtraError(BlemishError):
    """A package of an extra is needed and not installed."""


def require_package(package: str, purpose: str) -> None:
    """Raise MissingExtraError where a package is not installed. It is not imported, so this is quick.

    purpose: first words of the message, which name the command or file that needs it
    """
    try:
        there = find_spec(package) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        raise MissingExtraError(sentence(package, purpose))


def import_optional(module: str, purpose: str) -> ModuleType:
    """Import a module of a package that may be missing. purpose: see `require_package`

    Raises MissingExtraError where the package is not installed.
    """
    opt_out_of_telemetry()
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise missing_extra(error, purpose) or error from error


def opt_out_of_telemetry() -> None:
    """Keep ONNX Runtime, OpenVINO and NNCF from telling their makers that they are used.

    Call it before one of them is imported: each opens a connection and leaves an id of the device in the
    user's home. ONNX Runtime's is off by its variable, unless the user has set that; OpenVINO and NNCF send
    nothing where they find no package to send it with.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # an import of it fails


def missing_extra(error: ModuleNotFoundError, purpose: str) -> MissingExtraError | None:
    """Message for a failed import of a package of an extra; None for any other package, which is a bug."""
    package = (error.name or "").partition(".")[0]
    return MissingExtraError(sentence(package, purpose)) if package in PACKAGES else None


def sentence(package: str, purpose: str) -> str:
    name, extra = PACKAGES[package]
    return f"{purpose} needs {name}, which is not installed. Run: pip install 'blemish[{extra}]'"
