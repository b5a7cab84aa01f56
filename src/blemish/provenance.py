"""Where a result comes from: version, commit, hardware, time."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from blemish.optional_dependencies import opt_out_of_telemetry
from blemish.threads import thread_count, usable_cores


def blemish_version() -> str:
    """Version of the installed package."""
    return version("blemish")


def provenance() -> dict[str, Any]:
    """Facts on the program and the machine that make a bundle or a result, as JSON values."""
    return {
        "blemish": blemish_version(),
        "commit": commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "python": platform.python_version(),
        "torch": torch_version(),
    }


def runtime_facts(name: str, *, device: str, precision: str) -> dict[str, str | int]:
    """Facts about what runs a bundle's networks, in which a differing answer may have its cause.

    name: of the package, "torch", "onnxruntime" or "openvino"
    """
    import cv2
    import numpy as np
    import PIL

    torch = sys.modules.get("torch")
    on_gpu = device == "cuda" and torch is not None
    return {
        "name": name,
        "version": package_version(name),
        "device": device,
        "precision": precision,
        "threads": thread_count(),
        "processor": torch.cuda.get_device_name() if on_gpu and torch else processor(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
    }


def package_version(module: str) -> str:
    """Version of an installed package, by the name of its module.

    A build for other hardware, such as onnxruntime-gpu, is distributed under a name of its own.
    """
    try:
        return version(module)
    except PackageNotFoundError:
        opt_out_of_telemetry()
        return str(getattr(import_module(module), "__version__", "unknown"))


def torch_version() -> str | None:
    """Version of torch; None where it is not installed."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Commit of the checkout that this package lies in, with "+" if files differ; None outside a checkout."""
    here = Path(__file__).parent
    try:
        # Of this package's own repository: an environment inside another one is not what that one holds.
        tracked = ["git", "-C", str(here), "ls-files", "--error-unmatch", Path(__file__).name]
        subprocess.run(tracked, capture_output=True, check=True, timeout=10)
        run = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--exclude=*", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip() or None


def hardware() -> str:
    """Processor and cores, and the GPU where torch is loaded and sees one."""
    name = f"{processor()}, {usable_cores()} cores"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        name += f", {torch.cuda.get_device_name()}"
    return name


def processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
