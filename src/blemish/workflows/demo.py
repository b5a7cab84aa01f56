"""The main job on an embedded default, so that a newcomer sees a report within minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.folder_lock import is_empty_folder, locks_out
from blemish.progress import Reporter
from blemish.workflows.evaluate import evaluate_bundles
from blemish.workflows.inspect import inspect_images
from blemish.workflows.train import train_bundle

# Small enough for two cores and a few minutes: four surfaces, common and rare kinds of defect, strong enough
# to be seen.
SYNTHETIC: dict[str, Any] = {
    "images": 160,
    "size": (256, 256),
    "surfaces": ("brushed_metal", "cast_metal", "wood_grain", "paper"),
    "class_weights": {"scratch": 4, "spot": 4, "stain": 2, "dent": 1},
    "contrast": (40.0, 90.0),
}
# Cells of 4 pixels cost a third of the time of those of 2. The join distance is chosen on the validation
# images.
SETTINGS: dict[str, Any] = {
    "cell": 4,
    "patch": 128,
    "steps": 250,
    "learning_rate": 3e-3,
    "weight_decay": 1e-4,
    "zoom": 0.15,
    "illumination": 0.1,
    "contrast": 0.2,
    "threshold_criterion": "pixel-f1",
    "join_distance": 12,  # pieces of one defect lie nearer to each other
    "min_area": 16,
    "types_window": 32,
    "types_step": 16,
    "types_steps": 100,
    "image_score": "fitted",  # the map tells these images apart, and a head would take as long as the map
}


@locks_out
def run_demo(out: Path, *, command: str, quiet: bool = False) -> Path:
    """Synthetic set → train → evaluate → inspect; returns the report's path.

    command: that was called, for the report
    Raises BlemishError when `out` exists and is not empty: the demo never writes over anything.
    """
    if not is_empty_folder(out):
        raise BlemishError(f"{out} is not empty. Remove it, or choose another folder with --out.")
    reporter = Reporter(quiet=quiet)
    data, run = out / "data", out / "run"
    dataset = synthesise(data, seed=0, **SYNTHETIC)
    reporter.line(f"1/4 synthetic set: {len(dataset)} images in {data}")
    reporter.line("2/4 training")
    bundle = train_bundle(
        "severity",
        data,
        run,
        settings=SETTINGS,
        plan=False,
        quiet=quiet,
    )
    reporter.line("3/4 measuring on the test images")
    evaluated = evaluate_bundles(
        [bundle], data, out / "evaluation", split="test", command=command, quiet=quiet
    )
    for line in evaluated.figures:
        reporter.line(line)
    reporter.line("4/4 inspecting the test images")
    test_images = [sample.image for sample in dataset.split("test")]
    recorded = inspect_images([bundle], test_images, out / "inspections", overlay=True, quiet=quiet)
    if recorded.output_lack:
        raise BlemishError(recorded.output_lack)
    return evaluated.report
