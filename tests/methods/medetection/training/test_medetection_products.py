"""Images that a product's training takes as normal or as defective."""

from __future__ import annotations

from pathlib import Path

from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.methods.medetection.training.products import notes_on_doubtful, pool

BOX = (0.0, 0.0, 4.0, 4.0)
MARKS = {
    "clean": (),
    "marked": (Annotation("dent", BOX),),
    "crowd": (Annotation("dent", BOX, crowd=True),),
    "difficult": (Annotation("dent", BOX, difficult=True),),
    "both": (Annotation("dent", BOX), Annotation("dent", BOX, difficult=True)),
}


def test_an_image_of_difficult_defects_alone_is_neither_normal_nor_defective() -> None:
    samples = tuple(Sample(Path(name), name, marks, split="train") for name, marks in MARKS.items())
    dataset = Dataset(Path(), samples, ("dent",))
    product = pool(dataset, "cap", "train", {name: number for number, name in enumerate(MARKS)})
    assert (product.normals, product.defectives) == ((0,), (1, 2, 4))
    assert notes_on_doubtful(samples) == (
        "1 images with difficult defects alone are left out: neither normal nor defective.",
    )
    assert notes_on_doubtful(samples[:3]) == ()
