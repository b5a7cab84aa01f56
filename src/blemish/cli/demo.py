"""`blemish demo`: the main job on an embedded default, so that a newcomer sees a report within minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blemish.cli.evaluating import evaluate_bundles
from blemish.cli.work import inspect_images, train_bundle
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.progress import Reporter

# Small enough for two cores and a few minutes: four surfaces, common and rare kinds of defect, strong enough
# to be seen.
SYNTHETIC: dict[str, Any] = {
    "images": 160,
    "size": (256, 256),
    "surfaces": ("brushed_metal", "cast_metal", "wood_grain", "paper"),
    "class_weights": {"scratch": 4, "spot": 4, "stain": 2, "dent": 1},
    "contrast": (40.0, 90.0),
}
SETTINGS = [
    "cell=2",
    "patch=128",
    "steps=800",
    "threshold_criterion=pixel-f1",
    "minimum_area=16",
    "types_backbone=resnet18",
    "types_weights=none",
    "types_step=32",
    "types_steps=400",
]


def run_demo(out: Path, *, quiet: bool) -> Path:
    """Synthetic set → train → evaluate → inspect; returns the report's path.

    Raises BlemishError when `out` exists and is not empty: the demo never writes over anything.
    """
    if out.exists() and any(out.iterdir()):
        raise BlemishError(f"{out} is not empty. Remove it, or choose another folder with --out.")
    reporter = Reporter(quiet=quiet)
    data, run = out / "data", out / "run"
    dataset = synthesise(data, seed=0, **SYNTHETIC)
    reporter.line(f"1/4 synthetic set: {len(dataset)} images in {data}")
    reporter.line("2/4 training")
    bundle = train_bundle(
        "severity", data, run, config=None, assignments=SETTINGS, seed=0, resume=False, quiet=quiet
    )
    reporter.line("3/4 measuring on the test images")
    report = evaluate_bundles([bundle], data, out / "evaluation", split="test", device="auto", quiet=quiet)
    reporter.line("4/4 inspecting the test images")
    test_images = [sample.image for sample in dataset.split("test")]
    inspect_images([bundle], test_images, out / "inspections", overlay=True, device="auto", quiet=quiet)
    return report
