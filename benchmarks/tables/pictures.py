"""The pictures beside a few-shot table: each row's detections on the same images, and a metric space.

Source: TL-SDD, Figs. 8 and 9. Both show the first support draw.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables.kinds.few_shot import listed, resolved_classes
from benchmarks.tables.markdown import DETECTIONS_PICTURE, METRIC_PICTURE
from benchmarks.tables.row_kind import require_packages
from benchmarks.tables.schema import ClassGroups, PictureChoice
from benchmarks.tables.table import Table
from blemish.arrays import Box
from blemish.bundle.store import MANIFEST, Bundle, load_bundle
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.samples import Dataset, Sample
from blemish.evaluation.metric_space import metric_space
from blemish.evaluation.projector import write_projector
from blemish.files import write_atomically
from blemish.images.decode import read_image, to_bytes
from blemish.images.palette import ON_PAPER, class_colours
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, loaded_modules
from blemish.methods import find_method
from blemish.methods.capabilities import EmbedsRegions

SEED = 0
CELL = 2.4  # inches, at 100 pixels each

LabelledBox = tuple[Box, str, str]  # box, class, caption


def draw_pictures(table: Table) -> None:
    """Write the table's pictures from the bundles that are there; those that show them already are kept."""
    pictures = table.experiment.pictures
    bundles = first_bundles(table)
    if pictures is None or not bundles:
        return
    if not is_newer(table.folder / DETECTIONS_PICTURE, bundles.values()):
        draw_detections(table, pictures, bundles)
    shown = bundles.get(pictures.metric_space or "")
    if shown and not is_newer(table.folder / METRIC_PICTURE, [shown]):
        draw_metric_space(table, shown)


def is_newer(picture: Path, bundles: Iterable[Bundle]) -> bool:
    """True for a picture that was made after all of the bundles."""
    if not picture.is_file():
        return False
    made = picture.stat().st_mtime_ns
    return all((bundle.path / MANIFEST).stat().st_mtime_ns < made for bundle in bundles)


def first_bundles(table: Table) -> dict[str, Bundle]:
    """The few-shot rows' bundles of the first draw, those that are there."""
    found = {}
    for row in table.experiment.rows:
        home, measured = table.shown(row)
        path = home.bundle_path(measured, SEED)
        if row.traits.source == "draw" and path.is_dir():
            found[row.name] = load_bundle(path, method=table.experiment.method)
    return found


def draw_detections(table: Table, pictures: PictureChoice, bundles: Mapping[str, Bundle]) -> None:
    """A line for each image: what is true, then what each row finds, in the classes' colours."""
    require_packages({"matplotlib": "matplotlib"}, f"Drawing {DETECTIONS_PICTURE}")
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    classes = resolved_classes(table)
    names = (*classes.common, *classes.rare)
    shades = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in class_colours(len(names), ON_PAPER)]
    colours = dict(zip(names, shades, strict=True))
    samples = shown_samples(table.dataset.split("test"), classes, pictures.images)
    inspectors = [
        inspector_of(bundle, device=bundle.manifest.settings["device"]) for bundle in bundles.values()
    ]
    heads = ["true", *(table.experiment.row(name).label for name in bundles)]
    size = (CELL * len(heads), CELL * len(samples) + 0.4)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    grid = figure.subplots(len(samples), len(heads), squeeze=False)
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, fontsize=9)
    for line, sample in zip(grid, samples, strict=True):
        pixels = to_bytes(read_image(sample.image, channels=3))
        true = boxed_instances(sample, pixels.shape[:2])
        found = [
            [(box.box_xyxy, box.label, "") for box in true],
            *(found_in(inspector, sample) for inspector in inspectors),
        ]
        for axes, boxes in zip(line, found, strict=True):
            axes.imshow(pixels)
            axes.axis("off")
            for box in boxes:
                draw_box(axes, box, colours)
    keys = [f"{name} (rare)" if name in classes.rare else name for name in names]
    patches = [Patch(color=colours[name], label=key) for name, key in zip(names, keys, strict=True)]
    figure.legend(handles=patches, loc="outside lower left", ncols=len(heads), fontsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    write_atomically(table.folder / DETECTIONS_PICTURE, file.getvalue())


def draw_box(axes: Any, box: LabelledBox, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Rectangle

    (left, top, right, bottom), label, caption = box
    outline: Any = {"fill": False, "edgecolor": colours[label], "linewidth": 2}
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, **outline))
    if caption:
        axes.annotate(caption, (left, top), color="white", fontsize=7, va="top", backgroundcolor="#1b1f24a0")


def shown_samples(test: Dataset, classes: ClassGroups, count: int) -> list[Sample]:
    """Test images of each class in turn, rare ones first, drawn by seed."""
    names = (*classes.rare, *classes.common)
    pool = listed(test, names).samples
    order = [pool[number] for number in np.random.default_rng(SEED).permutation(len(pool))]
    chosen: list[Sample] = []
    while len(chosen) < min(count, len(order)):
        before = len(chosen)
        for name in names:
            fitting = (
                sample
                for sample in order
                if sample not in chosen and name in {a.label for a in sample.annotations}
            )
            chosen += [sample for sample in [next(fitting, None)] if sample is not None]
        if len(chosen) == before:
            break
    return chosen[:count]


def found_in(inspector: BundleInspector, sample: Sample) -> list[LabelledBox]:
    """The detections from the threshold on, the surest last, so that it is drawn on top."""
    defects = sorted(inspector.inspect(sample.image).defects, key=lambda defect: defect.confidence)
    return [(defect.box_xyxy, defect.label, f"{defect.confidence:.2f}") for defect in defects]


def draw_metric_space(table: Table, bundle: Bundle) -> None:
    """The test images' regions around the prototypes."""
    method, manifest = find_method(bundle.manifest.method), bundle.manifest
    if not isinstance(method, EmbedsRegions):
        return
    modules = loaded_modules(bundle, method)
    for module in modules.values():
        module.eval()
    inspector = inspector_of(bundle, device=manifest.settings["device"])
    chosen = listed(table.dataset.split("test"), manifest.class_names)
    space = metric_space(
        inspector, method.embedder(modules, manifest), manifest.class_names, chosen, table.reporter
    )
    write_projector(table.folder / METRIC_PICTURE, space, title=table.experiment.title)
