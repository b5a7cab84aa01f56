"""What `export` does, without the command line around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.cli.outcome import WrongUseError
from blemish.dataset.layouts import load_dataset
from blemish.export.request import ExportRequest, Precision, RuntimeKind, default_out
from blemish.progress import Reporter


@dataclass(frozen=True)
class Order:
    """The options as they were given; None: not given. See `export.request.Request`."""

    bundle: Path
    kind: RuntimeKind
    precision: Precision
    out: Path | None
    tile: int | None
    data: Path | None
    calibration: int | None
    max_drop: float | None
    seed: int


def export(order: Order, *, quiet: bool) -> Path:
    """Write the exported bundle; returns its path.

    Raises WrongUseError for options that do not go together, BlemishError for what cannot be exported.
    """
    refuse_odd_order(order)
    bundle = load_bundle(order.bundle)
    dataset = load_dataset(order.data) if order.data else None
    from blemish.export.run import export_bundle

    request = ExportRequest(
        bundle=bundle,
        kind=order.kind,
        precision=order.precision,
        out=order.out or default_out(order.bundle, order.kind, order.precision),
        tile=order.tile,
        dataset=dataset,
        seed=order.seed,
    )
    return export_bundle(with_given(request, order), Reporter(quiet=quiet))


def refuse_odd_order(order: Order) -> None:
    if order.precision == "int8":
        if order.data is None:
            raise WrongUseError(
                "--precision int8 is calibrated on training images and measured on validation images. "
                "Add --data DATA."
            )
        return
    for name, value in (("--calibration", order.calibration), ("--max-drop", order.max_drop)):
        if value is not None:
            raise WrongUseError(f"{name} is for --precision int8. Leave it out.")


def with_given(request: ExportRequest, order: Order) -> ExportRequest:
    """The request with what only int8 asks for, where it was given."""
    calibration = request.calibration if order.calibration is None else order.calibration
    max_drop = request.max_drop if order.max_drop is None else order.max_drop
    return replace(request, calibration=calibration, max_drop=max_drop)
