"""Graph files of an exported bundle, for ONNX Runtime or OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blemish.errors import BlemishError
from blemish.exporting.onnx_models import OPSET, halved, marked
from blemish.inspector.graph_marks import NAMESPACE
from blemish.optional_dependencies import import_optional


def write_onnx(model: Any, folder: Path, name: str, *, source: str, precision: str) -> tuple[Path, ...]:
    """Write `name`.onnx; returns its path. precision: "fp16" stores weights so; model: changed in place"""
    import onnx

    file = folder / f"{name}.onnx"
    whole = marked(halved(model) if precision == "fp16" else model, source=source, name=name)
    onnx.checker.check_model(whole)
    onnx.save(whole, file)
    return (file,)


def read_onnx(file: Path) -> Any:
    """ONNX model of a file."""
    import onnx

    return onnx.load(file)


def write_openvino(model: Any, folder: Path, name: str, *, source: str, precision: str) -> tuple[Path, ...]:
    """Write `name`.xml and `name`.bin of an OpenVINO model; returns their paths."""
    openvino = import_optional("openvino", name)
    for key, value in (("source", source), ("graph", name), ("opset", str(OPSET))):
        model.set_rt_info(value, [NAMESPACE, key])
    file = folder / f"{name}.xml"
    openvino.save_model(model, file, compress_to_fp16=precision == "fp16")
    return file, file.with_suffix(".bin")


def as_openvino(file: Path) -> Any:
    """OpenVINO model of an ONNX file. Raises BlemishError where OpenVINO refuses it."""
    openvino = import_optional("openvino", str(file))
    try:
        return openvino.convert_model(file)
    except Exception as error:  # its exceptions share no other base
        reason = " ".join(str(error).split())
        raise BlemishError(
            f"OpenVINO {openvino.__version__} cannot convert graph '{file.stem}': {reason}"
        ) from error
