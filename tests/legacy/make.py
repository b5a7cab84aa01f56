"""Makes tests/legacy/v0_1: what version 0.1 wrote, and the answers that it gave. To be run with 0.1 alone.

    git worktree add ../blemish-0.1 6d9d7d2
    cd tests/legacy && rm -rf v0_1 && PYTHONPATH=../../../blemish-0.1/src OMP_NUM_THREADS=1 python make.py

Networks are tiny, and their weights are thinned before answers are recorded: large tensors keep their largest
values, and every value a few bits, so that all of it fits in archives of some hundred kilobytes. A thinned
bundle is written by 0.1's own `save_bundle`, so it is one like any other.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from blemish.cli.work import read_settings
from blemish.dataset.draws import draw_supports, write_draw
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torchvision.models import resnet18

from blemish.bundle import load_bundle, save_bundle
from blemish.cli import main
from blemish.dataset.convert import convert
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation
from blemish.dataset.synthetic import DefectRequest, render, synthesise
from blemish.errors import BlemishError
from blemish.methods import find_method, method_names
from blemish.methods.contract import MethodSettings
from blemish.training.trainer import RunTrainer

Weights = NDArray[np.generic]

HERE = Path(__file__).resolve().parent
OUT = HERE / "v0_1"
LARGE = 20_000  # values from which on a tensor is made sparse
SURFACES: Mapping[str, Any] = {
    "surfaces": ["cast_metal", "brushed_metal"],
    "size": (96, 96),
    "class_weights": {"scratch": 1, "spot": 1},
    "contrast": (70, 120),
}
MACHINE = ("device=cpu", "precision=fp32")
SEVERITY = (
    "cell=2", "patch=96", "batch=4", "steps=60", "types_backbone=resnet18", "types_weights=none",
    "types_steps=8", "types_batch=8", "minimum_area=8", "drop_above=1.0",
)  # fmt: skip
CASAE = (
    "preset=tiny", "size=96", "standardise=false", "batch=2", "steps=150", "learning_rate=0.003",
    "second_steps=60", "types_steps=20", "flips=false", "noise=0", "elastic_alpha=0",
)  # fmt: skip
TLSDD = (
    "preset=tiny", "common=[scratch, spot]", "backbone_weights=resnet18.safetensors", "trainable_stages=0",
    "width=16", "hidden=32", "steps=200", "batch=4", "learning_rate=0.01", "threshold=0.27", "detections=4",
)  # fmt: skip
MEDETECTION = ("preset=tiny", "stem=paper", "steps=40", "meta_steps=6", "references=3")
RESUMED = (
    "preset=tiny", "size=96", "width=1", "batch=2", "steps=8", "second_steps=9", "types=false",
    "checkpoint_every=3",
)  # fmt: skip
TOGETHER: Mapping[str, tuple[str, ...]] = {  # settings that need another one
    "casae.patch": ("tiled=true", "patch=64"),
    "casae.tile": ("tiled=true", "tile=1024"),
    "severity.intensity": ("channels=3", "intensity=brightest"),
    "tlsdd.two_phase": ("reweight=false", "metric_head=false", "two_phase=false"),
}
ROWS = (
    "casae-table3/casae-seed0", "casae-table3/otsu", "casae-speed/cascade-512-cpu",
    "chain-magnetic-tile/chain-seed0", "medetection-table5/no-attention-bc-defects-seed0",
    "medetection-speed/paper-1-cpu", "severity-crackforest/*", "map-speed/severity-4-cpu",
)  # fmt: skip


def blemish(*arguments: object) -> None:
    """`blemish ARGUMENTS`, in this process."""
    sys.argv = ["blemish", *map(str, arguments)]
    print("$", *sys.argv, flush=True)
    try:
        main.run()
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"{arguments}: exit {ended.code}") from ended


def sets(assignments: Iterable[str]) -> list[str]:
    return [word for one in (*assignments, *MACHINE) for word in ("--set", one)]


def thinned(weights: Weights, *, share: float, bits: int) -> Weights:
    """The largest values of a large tensor, scaled to the deviation it had, to `bits` of the mantissa."""
    if weights.dtype != np.float32:
        return weights
    values = weights.astype(np.float32)
    if values.size >= LARGE and share < 1:
        kept = np.abs(values) >= np.quantile(np.abs(values), 1 - share)
        values = np.where(kept, values, 0) * (values.std() / np.where(kept, values, 0).std())
    whole = np.ascontiguousarray(values, np.float32).view(np.uint32) + np.uint32(1 << (22 - bits))
    return (whole & ~np.uint32((1 << (23 - bits)) - 1)).view(np.float32).reshape(weights.shape)


def thin(path: Path, shares: Mapping[str, float], *, bits: int) -> None:
    """Write the bundle again with thinned weights. shares: of each network's values that are kept"""
    bundle = load_bundle(path)
    networks = {
        name: {key: thinned(value, share=shares.get(name, 1), bits=bits) for key, value in tensors.items()}
        for name, tensors in bundle.networks.items()
    }
    save_bundle(path, bundle.manifest, networks)


def make_data() -> None:
    synthesise(Path("surfaces"), images=24, seed=0, **SURFACES)
    synthesise(Path("calibration"), images=12, seed=77, **SURFACES)
    shutil.rmtree("calibration/splits")
    blemish("data", "split", "surfaces", "split", "--test", 0.25, "--val", 0.25, "--shots", 3, "--seed", 1)
    dataset = load_dataset(Path("surfaces"))
    write_draw(draw_supports(dataset, ["scratch", "spot"], 2, 7), Path("draw.json"))
    marked = [sample for sample in dataset if sample.is_defective][:3]
    boxed = [
        replace(one, split=None, annotations=(Annotation("stain", box_xyxy=(10.0, 20.0, 50.0, 60.0)),))
        for one in marked
    ]
    convert(replace(dataset, samples=tuple(boxed), class_names=("stain",)), Path("stains"), "coco")
    for number, product in enumerate(("caps", "lids")):
        make_product(Path("products") / product, surface=("cast_metal", "paper")[number], seed=number)


def make_product(folder: Path, *, surface: str, seed: int) -> None:
    """Six normal and six defective images of 48×48 in folders 0 and 1."""
    generator = np.random.default_rng(seed)
    for kind in ("0", "1"):
        (folder / "part" / kind).mkdir(parents=True)
        for index in range(8):
            defects = [DefectRequest("spot", 110.0)] if kind == "1" else []
            drawn = render(surface, size=(48, 48), defects=defects, generator=generator)
            cv2.imwrite(str(folder / "part" / kind / f"{index}.png"), drawn.image)
    (folder / "dataset.yaml").write_text("layout: labels\n")


def make_backbone() -> None:
    torch.manual_seed(0)
    network = resnet18()
    for block in (*network.layer1, *network.layer2, *network.layer3):
        torch.nn.init.constant_(block.bn2.weight, 0.35)  # or the stream's variance doubles with each
    state = {name: value.numpy() for name, value in network.state_dict().items() if "layer4" not in name}
    kept = {name: thinned(value, share=0.02, bits=3) for name, value in state.items()}
    save_file(kept, "resnet18.safetensors")


def make_bundles() -> None:
    blemish("train", "severity", "--data", "surfaces", "--out", "runs/severity", *sets(SEVERITY), "--quiet")
    shutil.copytree("runs/severity/bundle", "bundles/severity")
    thin(Path("bundles/severity"), {"types": 0.01}, bits=3)
    blemish(
        "train", "casae", "--data", "surfaces", "--out", "runs/casae", *sets((*CASAE, "width=4")), "--quiet"
    )
    shutil.copytree("runs/casae/bundle", "bundles/casae")
    thin(Path("bundles/casae"), {"types": 0.03}, bits=4)
    blemish("train", "tlsdd", "--data", "surfaces", "--out", "runs/tlsdd", *sets(TLSDD), "--quiet")
    shutil.copytree("runs/tlsdd/bundle", "bundles/tlsdd")
    blemish(
        "add-class", "bundles/tlsdd", "--name", "stain", "--examples", "stains",
        "--out", "bundles/tlsdd-stain", "--device", "cpu", "--quiet",
    )  # fmt: skip
    shutil.rmtree("bundles/tlsdd-stain-report")
    meta = (*MEDETECTION, "target=caps")
    blemish("train", "medetection", "--data", "products", "--out", "runs/meta", *sets(meta), "--quiet")
    shutil.copytree("runs/meta/start", "bundles/medetection-start")
    again = ("--from", "bundles/medetection-start", "--set", "target=caps", "--set", "steps=20")
    blemish("train", "medetection", "--data", "products", "--out", "runs/warm", *again, "--quiet")
    shutil.copytree("runs/warm/bundle", "bundles/medetection")
    small = (*CASAE, "width=3", "cascade=false", "types=false")
    blemish("train", "casae", "--data", "surfaces", "--out", "runs/small", *sets(small), "--quiet")
    blemish("export", "runs/small/bundle", "--to", "onnx", "--out", "bundles/casae-onnx", "--quiet")


def make_decisions() -> None:
    """Two revisions in the bundle of severity, and the count of a look at test images under each."""
    bundle, data = "bundles/severity", ("--data", "calibration", "--device", "cpu", "--quiet")
    blemish("decide", bundle, *data, "--escape", 0.4, "--limit", "length=20px:review")
    blemish(
        "evaluate", bundle, "--data", "surfaces", "--out", "runs/evaluated-1", "--device", "cpu", "--quiet"
    )
    blemish(
        "decide", bundle, *data, "--overkill", 0.3, "--grade", "length=30px:rework", "--ignore", "area=9px"
    )
    blemish(
        "evaluate", bundle, "--data", "surfaces", "--out", "runs/evaluated-2", "--device", "cpu", "--quiet"
    )


def make_run() -> None:
    """A run stopped in its second stage behind a checkpoint, and the weights that it reached when resumed."""
    train = ("train", "casae", "--data", "surfaces", *sets(RESUMED), "--seed", 3, "--quiet", "--threads", 1)
    record = RunTrainer.record
    stages: list[str] = []

    def record_or_stop(self: Any, stage: Any, step: int, loss: float) -> None:
        record(self, stage, step, loss)
        stages.append(stage.name)
        if len({*stages}) == 2 and step == 5:
            raise RuntimeError("stopped")

    RunTrainer.record = record_or_stop  # type: ignore[method-assign]
    try:
        blemish(*train, "--out", "run")
    except RuntimeError as error:
        assert str(error) == "stopped", error
    RunTrainer.record = record  # type: ignore[method-assign]
    for folder in ("events", "pictures"):
        shutil.rmtree(Path("run") / folder)
    shutil.copytree("run", "runs/resumed")
    blemish(*train, "--out", "runs/resumed", "--resume")
    shutil.copytree("runs/resumed/bundle", "resumed")


def make_answers() -> None:
    """inspections.jsonl of each bundle, and of a chain."""
    test = [f"surfaces/{line}" for line in Path("surfaces/splits/test.txt").read_text().split()]
    caps = sorted(map(str, Path("products/caps/part").glob("*/*.png")))
    pictures = {"medetection": caps}
    for bundle in sorted(Path("bundles").iterdir()):
        if bundle.name != "medetection-start":
            answer(bundle.name, [bundle], pictures.get(bundle.name, test))
    answer("chain", [Path("bundles/casae"), Path("bundles/tlsdd")], test)
    predictions = ("--predictions", "answers/severity.jsonl", "--data", "surfaces", "--out", "runs/predicted")
    blemish("evaluate", *predictions, "--quiet")
    shutil.copy("runs/predicted/metrics.json", "metrics-of-predictions.json")


def answer(name: str, chain: list[Path], pictures: list[str]) -> None:
    then = [word for bundle in chain[1:] for word in ("--then", bundle)]
    options = ("--device", "cpu", "--threads", 1, "--quiet")
    blemish("inspect", chain[0], *pictures, *then, "--out", f"runs/inspected/{name}", *options)
    Path("answers").mkdir(exist_ok=True)
    shutil.copy(f"runs/inspected/{name}/inspections.jsonl", f"answers/{name}.jsonl")


def make_settings() -> None:
    """Of each method every setting: its default, a KEY=VALUE, and which values that changes."""
    table = {name: settings_of(name) for name in method_names()}
    Path("settings.json").write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    Path("config.yaml").write_text(
        "preset: tiny\nstem: paper\nstem_widths: [4, 8, 8]\nrate: 0.002\nmeta_rate: 0.004\n"
        "products_per_step: 1\nattention_least: 4\n"
    )


def settings_of(method: str) -> dict[str, Any]:
    known = find_method(method)
    plain = known.settings_type().model_dump(mode="json")
    keys = {}
    for key, default in plain.items():
        single = [(f"{key}={json.dumps(value)}",) for value in others(key, default, known.settings_type)]
        together = TOGETHER.get(f"{method}.{key}")
        for assignments in [together] if together else single:
            try:
                changed = read_settings(known, None, list(assignments)).model_dump(mode="json")
            except BlemishError:
                continue
            if changed[key] != default:
                after = {name: new for name, new in changed.items() if plain[name] != new}
                keys[key] = {"default": default, "set": assignments, "changes": after}
                break
        else:
            raise RuntimeError(f"{method}: no other value of {key} stands alone")
    return keys


def others(key: str, default: Any, settings: type[MethodSettings]) -> Iterable[Any]:
    """Values that a setting may take instead of its default, likeliest first."""
    schema = settings.model_json_schema()["properties"][key]
    for part in (schema, *schema.get("anyOf", ())):
        yield from (value for value in part.get("enum", ()) if value != default)
    if isinstance(default, bool):
        yield not default
    elif isinstance(default, int | float):
        yield from (default + 1, default * 2, default / 2, (1 + default) / 2, default + 64, default - 1)
    elif isinstance(default, list):
        yield from ([*default, *default[-1:]], ["scratch"], [16, 32], default[:-1], [8, 16, 24])
    elif default is None:
        yield from (3, 0.25, 512, "scratch", "some/folder")
    else:
        yield from ("file.safetensors", "overkill<=0.1", "escape<=0.1", "other")


def make_rows() -> None:
    """Rows of tables that 0.1 had measured, and the tables that it made of them."""
    measured = Path(main.__file__).parents[3] / "experiments" / "results"
    for pattern in ROWS:
        files = sorted(measured.glob(f"{pattern}.json"))
        assert files, pattern
        for file in files[:2]:
            folder = Path("results") / file.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    blemish("results", "--from", "results", "--out", "RESULTS.md")
    Path("RESULTS.md").unlink()
    for folder in Path("results").iterdir():
        if not any(folder.glob("*.json")):
            shutil.rmtree(folder)


def pack(name: str, folder: Path) -> None:
    """NAME.tar.xz of what is in a folder, the same bytes for the same files."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(f"{name}.tar.xz", "w:xz", preset=9) as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, arcname=file.name, filter=plain)


def make_all(*steps: Callable[[], None]) -> None:
    OUT.mkdir()
    os.chdir(OUT)
    for step in steps:
        step()
    pack("bundles", Path("bundles"))
    pack("run", Path("run"))
    for folder in ("bundles", "run", "runs"):
        shutil.rmtree(folder)
    Path("resnet18.safetensors").unlink()


if __name__ == "__main__":
    make_all(
        make_data,
        make_backbone,
        make_settings,
        make_rows,
        make_run,
        make_bundles,
        make_decisions,
        make_answers,
    )
