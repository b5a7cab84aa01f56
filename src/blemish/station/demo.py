"""A station that shows everything: a bundle trained on drawn parts, and a line that gets more of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from blemish.files import write_atomically
from blemish.progress import Reporter
from blemish.station.add_line import add_line
from blemish.station.layout import StationFolder
from blemish.station.line.settings import FolderSource, Keep, write_settings

LINE = "demo"
SURFACE, SIZE = "cast_metal", (256, 256)
KINDS: dict[str, float] = {"scratch": 3, "spot": 3, "stain": 1}
SYNTHETIC: dict[str, Any] = {
    "images": 80,
    "size": SIZE,
    "surfaces": (SURFACE,),
    "class_weights": KINDS,
    "contrast": (30.0, 90.0),
}
# As those of `blemish demo`, for one surface: fewer steps.
SETTINGS: dict[str, Any] = {
    "cell": 4,
    "patch": 128,
    "steps": 160,
    "learning_rate": 3e-3,
    "weight_decay": 1e-4,
    "threshold_criterion": "pixel-f1",
    "join_distance": 12,
    "min_area": 16,
    "types_window": 32,
    "types_step": 16,
    "types_steps": 60,
    "image_score": "fitted",
}
# The pictures of all parts are kept, so that any of them can be labelled, and more than usual are audited.
KEEP, AUDIT_SHARE = Keep(ok_share=1.0), 0.05


def parts_folder(station: StationFolder) -> Path:
    """Folder that the demo's line watches."""
    return station.demo / "parts"


def parts_command(root: Path, seconds: float) -> list[str]:
    """Command of the process that gives the line a part every so many seconds."""
    folder = parts_folder(StationFolder(root.absolute()))
    return [sys.executable, "-m", "blemish.station.demo_parts", str(folder), str(seconds)]


def prepare_demo(root: Path, *, quiet: bool = False) -> None:
    """Fill a station with the line "demo" and a bundle for it; what is there already is gone on with.

    Raises BlemishError where the folder cannot be written.
    """
    station = StationFolder(root.absolute())
    if station.line(LINE).settings.exists():
        return
    bundle = trained_bundle(station, Reporter(quiet=quiet), quiet=quiet)
    parts = parts_folder(station)
    parts.mkdir(parents=True, exist_ok=True)
    source = FolderSource(path=parts, renamed=True, after="delete")
    settings = add_line(root, LINE, bundle=bundle, source=source)
    changes = {"keep": KEEP, "audit_share": AUDIT_SHARE}
    write_settings(station.line(LINE), settings.model_copy(update=changes))


def trained_bundle(station: StationFolder, reporter: Reporter, *, quiet: bool) -> Path:
    """Bundle of the demo, trained where it is not there; a training that was cut off is gone on with."""
    from blemish.dataset.synthetic import synthesise
    from blemish.workflows.train import train_bundle

    data, run, drawn = station.demo / "data", station.demo / "run", station.demo / "drawn"
    if (run / "bundle" / "manifest.json").is_file():
        return run / "bundle"
    reporter.line("1/2 drawing a synthetic set")
    if not drawn.exists():
        synthesise(data, seed=0, **SYNTHETIC)
        write_atomically(drawn, "")
    reporter.line("2/2 training a bundle on it, once: a minute or two of two idle cores")
    if (run / "run.json").is_file():
        return train_bundle(None, None, run, resume=True, quiet=quiet)
    return train_bundle("severity", data, run, settings=SETTINGS, plan=False, quiet=quiet)
