"""The pictures beside a few-shot table: each row's detections on the same images, and a metric space.

Source: TL-SDD, Figs. 8 and 9. Both show the first support draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from blemish.arrays import Colour
from blemish.bundle.store import MANIFEST, Bundle, load_bundle
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.samples import Dataset, Sample
from blemish.defect import Box
from blemish.evaluation.metric_space import metric_space
from blemish.evaluation.projector import class_colours, write_projector
from blemish.files import write_atomically
from blemish.images.decode import read_image, to_bytes
from blemish.images.encode import png_bytes
from blemish.inspector.inspector import Inspector, inspector_of, loaded_modules
from blemish.methods import find_method
from blemish.methods.contract import EmbedsRegions
from blemish.reproduce.experiment import FEW_SHOT, Classes, Pictures
from blemish.reproduce.few_shot import listed, resolved_classes
from blemish.reproduce.markdown import DETECTIONS_PICTURE, METRIC_PICTURE
from blemish.reproduce.place import Table

SEED = 0
SIDE, GAP, HEAD, LETTERS = 240, 8, 32, 15  # pixels: of a cell's longer side, between cells, above them
PAPER, INK = (255, 255, 255), (27, 31, 36)
Named = tuple[Box, str, str]  # box, class, caption


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
    """Whether the picture was made after all of the bundles."""
    if not picture.is_file():
        return False
    made = picture.stat().st_mtime_ns
    return all((bundle.path / MANIFEST).stat().st_mtime_ns < made for bundle in bundles)


def first_bundles(table: Table) -> dict[str, Bundle]:
    """The few-shot rows' bundles of the first draw, those that are there."""
    found = {}
    for row in table.experiment.rows:
        home, measured = table.shown(row)
        path = home.run_folder(measured, SEED) / "bundle"
        if row.kind in FEW_SHOT and path.is_dir():
            found[row.name] = load_bundle(path, method=table.experiment.method)
    return found


def draw_detections(table: Table, pictures: Pictures, bundles: Mapping[str, Bundle]) -> None:
    """One line an image: what is true, then what each row finds."""
    classes = resolved_classes(table)
    names = (*classes.common, *classes.rare)
    colours = dict(zip(names, class_colours(len(names)), strict=True))
    samples = shown_samples(table.dataset.split("test"), classes, pictures.images)
    columns = [[truth_of(sample) for sample in samples]]
    for bundle in bundles.values():
        inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
        columns.append([found_in(inspector, sample) for sample in samples])
    heads = ["true", *(table.experiment.row(name).label for name in bundles)]
    sheet = Sheet(heads, samples, colours)
    for column, cells in enumerate(columns):
        for line, boxes in enumerate(cells):
            sheet.cell(line, column, boxes)
    sheet.key(classes)
    write_atomically(table.folder / DETECTIONS_PICTURE, png_bytes(np.asarray(sheet.image)))


def shown_samples(test: Dataset, classes: Classes, count: int) -> list[Sample]:
    """Test images of each class in turn, rare ones first, drawn by seed."""
    names = (*classes.rare, *classes.common)
    generator = np.random.default_rng(SEED)
    pool = listed(test, names).samples
    order = [pool[number] for number in generator.permutation(len(pool))]
    chosen: list[Sample] = []
    while len(chosen) < min(count, len(order)):
        before = len(chosen)
        for name in names:
            fitting = (
                one for one in order if one not in chosen and name in {a.label for a in one.annotations}
            )
            chosen += [one for one in [next(fitting, None)] if one is not None]
        if len(chosen) == before:
            break
    return chosen[:count]


def truth_of(sample: Sample) -> list[Named]:
    size = read_image(sample.image, channels=1).shape
    return [(box.box_xyxy, box.label, "") for box in boxed_instances(sample, (size[0], size[1]))]


def found_in(inspector: Inspector, sample: Sample) -> list[Named]:
    """The detections from the threshold on, the surest last, so that it is drawn on top."""
    defects = sorted(inspector.inspect(sample.image).defects, key=lambda one: one.confidence)
    return [(one.box_xyxy, one.label, f"{one.confidence:.2f}") for one in defects]


class Sheet:
    """The grid: a column for the truth and for each row, a line for each image."""

    def __init__(
        self, heads: Sequence[str], samples: Sequence[Sample], colours: Mapping[str, Colour]
    ) -> None:
        self.colours = colours
        self.tiles = [tile_of(sample.image) for sample in samples]
        self.font = ImageFont.load_default(size=LETTERS)
        tops = np.cumsum([HEAD, *(tile.height + GAP for tile, _ in self.tiles)])
        self.tops = [int(top) for top in tops]
        width = GAP + len(heads) * (SIDE + GAP)
        self.image = Image.new("RGB", (width, self.tops[-1] + HEAD), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        for column, head in enumerate(heads):
            self.draw.text((self.left(column), GAP), head, fill=INK, font=self.font)

    def left(self, column: int) -> int:
        return GAP + column * (SIDE + GAP)

    def cell(self, line: int, column: int, boxes: Sequence[Named]) -> None:
        """The image of a line with boxes in their classes' colours."""
        tile, scale = self.tiles[line]
        left, top = self.left(column), self.tops[line]
        self.image.paste(tile, (left, top))
        for box, label, caption in boxes:
            corners = [
                scale * value + offset for value, offset in zip(box, (left, top, left, top), strict=True)
            ]
            last = (corners[2] - 1, corners[3] - 1)
            self.draw.rectangle([*corners[:2], *last], outline=self.colours[label], width=3)
            at = (corners[0] + 4, corners[1] + 2)
            self.draw.text(at, caption, fill=PAPER, font=self.font, stroke_width=2, stroke_fill=INK)

    def key(self, classes: Classes) -> None:
        """The classes' names in their colours, under the grid."""
        left, top = float(GAP), self.tops[-1]
        for name, colour in self.colours.items():
            words = f"{name} (rare)" if name in classes.rare else name
            self.draw.rectangle([left, top + 2, left + LETTERS, top + 2 + LETTERS], fill=colour)
            self.draw.text((left + LETTERS + 5, top), words, fill=INK, font=self.font)
            left += LETTERS + 5 + self.font.getlength(words) + 3 * GAP


def tile_of(path: Path) -> tuple[Image.Image, float]:
    """The image with its longer side at SIDE, and the scale."""
    image = Image.fromarray(to_bytes(read_image(path, channels=3)))
    scale = SIDE / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale)))), scale


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
