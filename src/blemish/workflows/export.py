"""Exporting a bundle so that it runs without torch, with a certificate that it gives the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from blemish.bundle.store import load_bundle
from blemish.errors import WrongUseError
from blemish.exporting.request import ExportRequest, Precision, RuntimeKind, default_out
from blemish.progress import Reporter
from blemish.workflows.reading import read_dataset


def export(  # noqa: PLR0913 - every option of an export
    bundle: Path,
    kind: RuntimeKind,
    *,
    precision: Precision = "fp32",
    out: Path | None = None,
    tile: int | None = None,
    data: Path | None = None,
    calibration: int | None = None,
    max_drop: float | None = None,
    seed: int = 0,
    skip_broken: bool = False,
    quiet: bool = False,
) -> Path:
    """Write the exported bundle, by default beside the bundle; returns its path.

    See `exporting.request.ExportRequest`; calibration, max_drop: None takes its defaults
    Raises WrongUseError for options that do not go together, BlemishError for what cannot be exported.
    """
    for option, value, known in (("--to", kind, RuntimeKind), ("--precision", precision, Precision)):
        if value not in get_args(known):
            raise WrongUseError(f"{option} must be one of {', '.join(get_args(known))}. Received: '{value}'.")
    only_int8 = {"--calibration": calibration, "--max-drop": max_drop}
    used = [option for option, value in only_int8.items() if value is not None]
    if precision == "int8" and data is None:
        raise WrongUseError(
            "--precision int8 is calibrated on training images and measured on validation images. "
            "Add --data DATA."
        )
    if precision != "int8" and used:
        raise WrongUseError(f"{used[0]} is for --precision int8. Leave it out.")
    loaded = load_bundle(bundle)
    reporter = Reporter(quiet=quiet)
    dataset = read_dataset(data, reporter, skip_broken=skip_broken) if data else None
    from blemish.exporting.run import export_bundle

    request = ExportRequest(
        bundle=loaded,
        kind=kind,
        precision=precision,
        out=out or default_out(bundle, kind, precision),
        tile=tile,
        dataset=dataset,
        calibration=ExportRequest.calibration if calibration is None else calibration,
        max_drop=ExportRequest.max_drop if max_drop is None else max_drop,
        seed=seed,
    )
    return export_bundle(request, reporter)
