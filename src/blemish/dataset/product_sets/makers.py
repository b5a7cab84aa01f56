"""Products that public sets give, and how each is made; no image serves two products.

Whole photographs stay where they are and are referred to; crops and drawn images are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from blemish.dataset.product_sets.crops import CropPlan, cut_crops, generator_of
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.synthetic import synthesise
from blemish.dataset.synthetic.generate import DAGM_PAIRS

TILE_KINDS = ("blowhole", "break", "crack", "fray", "uneven")
FREE_TILES = "MT_Free/"  # elsewhere an empty mask is a doubtful tile
STEEL_KINDS = ("crazing", "inclusion", "patches", "pitted_surface", "rolled-in_scale", "scratches")
TEXTURES = tuple(DAGM_PAIRS)
IMAGES_PER_TEXTURE = 150

# NEU-DET: of 300 images of 200×200 a kind, 64 px find a place without a box in 37 (pitted surface) to 276,
# 96 px in 4 to 175. CrackForest: 128 px in 115 of 118. DeepPCB: a defect measures some 35 px,
# and bare board shows nothing.
STEEL_CROPS = CropPlan(side=64, normal=2, defective=1)
ROAD_CROPS = CropPlan(side=128, normal=2, defective=1)
BOARD_CROPS = CropPlan(side=128, normal=2, defective=2, flat=8)

PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "bc-defects": ("bc-defects",),
    "magnetic-tile": tuple(f"magnetic-tile-{kind}" for kind in TILE_KINDS),
    "neu-det": tuple(f"neu-det-{kind}" for kind in STEEL_KINDS),
    "deeppcb": ("deeppcb",),
    "crackforest": ("crackforest",),
    "dagm-thumbs": ("dagm-thumbs",),
    "synthetic": tuple(f"synthetic-{texture}" for texture in TEXTURES),
}
WITHOUT_SOURCE = frozenset({"synthetic"})


@dataclass(frozen=True)
class ProductJob:
    """A product to make. out: its folder; size: side of drawn images; dataset: of its source, if any"""

    name: str
    source: str
    out: Path
    seed: int
    size: int
    dataset: Dataset | None

    @property
    def kind(self) -> str:
        """Part of the product's name beyond its source's."""
        return self.name.removeprefix(self.source).removeprefix("-")

    @property
    def images(self) -> Dataset:
        assert self.dataset is not None  # of every source but the drawn ones
        return self.dataset


@dataclass(frozen=True)
class Maker:
    """Way to make a product. origin: where its images come from, in words; make: the product, in no split"""

    origin: str
    make: Callable[[ProductJob], Dataset]


def whole_set(job: ProductJob) -> Dataset:
    """All images of the set, as they are."""
    return job.images


def tiles(job: ProductJob) -> Dataset:
    """Tiles with a kind of defect, and a share of the free ones that no other kind has."""
    free = sorted(sample.id for sample in job.images if sample.id.startswith(FREE_TILES))
    order = generator_of(job.seed, job.source).permutation(len(free))
    own = {free[number] for number in order[TILE_KINDS.index(job.kind) :: len(TILE_KINDS)]}
    return job.images.where(lambda sample: sample.id in own or main_label(sample) == job.kind)


def steel(job: ProductJob) -> Dataset:
    """Crops of the images of a kind: with a box of any kind in them, and without."""
    images = job.images.where(lambda sample: main_label(sample) == job.kind)
    return cut_crops(images, STEEL_CROPS, job.out, seed=job.seed)


def boards(job: ProductJob) -> Dataset:
    """Crops of the boards, each with its place on the template as its reference.

    Normal ones are cut from the boards too: templates are cleaner (some 17 gray levels against 75), and a
    network would tell board from template instead of defective from normal.
    """
    return cut_crops(job.images, BOARD_CROPS, job.out, seed=job.seed)


def textures(job: ProductJob) -> Dataset:
    """A drawn surface, a third of its images defective."""
    return synthesise(
        job.out,
        surfaces=[job.kind],
        images=IMAGES_PER_TEXTURE,
        seed=int(generator_of(job.seed, job.name).integers(2**31)),
        size=(job.size, job.size),
        defective_share=1 / 3,
    )


def main_label(sample: Sample) -> str:
    """Most frequent label in lower case; of several the first in the alphabet; '' for a normal image."""
    counts = Counter(annotation.label.lower() for annotation in sample.annotations)
    return min(counts, key=lambda label: (-counts[label], label), default="")


MAKERS: Mapping[str, Maker] = {
    "bc-defects": Maker("by reference to bc-defects", whole_set),
    "magnetic-tile": Maker("by reference to magnetic-tile; free tiles shared out between the kinds", tiles),
    "neu-det": Maker(f"crops of {STEEL_CROPS.side} px from neu-det, with and without a box", steel),
    "deeppcb": Maker(f"crops of {BOARD_CROPS.side} px from deeppcb, templates as references", boards),
    "crackforest": Maker(
        f"crops of {ROAD_CROPS.side} px from crackforest, with and without a crack",
        lambda job: cut_crops(job.images, ROAD_CROPS, job.out, seed=job.seed),
    ),
    "dagm-thumbs": Maker("by reference to dagm-thumbs", whole_set),
    "synthetic": Maker("drawn", textures),
}
