"""Tasks of peers hold exactly the images, splits and boxes that the rows beside them learn from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from benchmarks.peers.prepare import Prepared, prepared
from benchmarks.tables.kinds.external import ExternalSettings
from benchmarks.tables.kinds.few_shot import draw_of, resolved_classes
from benchmarks.tables.table import Table, open_table
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.masks import class_map
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.images.decode import image_size, read_image
from blemish.progress import Reporter

FEW: dict[str, Any] = {
    "title": "Few", "paper": "none", "method": "tlsdd",
    "synthetic": {
        "images": 30, "seed": 3, "size": [96, 96], "surfaces": ["cast_metal", "brushed_metal"],
        "class_weights": {"scratch": 1, "spot": 1, "stain": 2}, "contrast": [70, 120], "defective_share": 0.9,
    },
    "classes": {"common": ["scratch", "spot"], "rare": ["stain"]},
    "rare_images": 6,
    "rows": [
        {"name": "yolo", "kind": "external-few-shot", "settings": {"peer": "yolo", "minutes": 1, "shots": 2}},
    ],
    "columns": [{"path": "few_shot.nap50", "heading": "nAP50"}],
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "title": "Plain", "paper": "none",
    "synthetic": {"images": 20, "seed": 1, "size": [64, 64], "surfaces": ["concrete"]},
    "rows": [
        {"name": "unet", "kind": "external", "settings": {"peer": "smp-unet", "minutes": 1}},
        {"name": "yolo", "kind": "external", "settings": {"peer": "yolo", "minutes": 1}},
    ],
    "columns": [{"path": "pixel.f1", "heading": "F1"}],
}  # fmt: skip
PRODUCTS: dict[str, Any] = {
    "title": "Products", "paper": "none", "dataset": "tasks", "method": "medetection", "targets": ["wood"],
    "rows": [
        {"name": "patches", "kind": "external-product", "settings": {"peer": "patchcore", "minutes": 1}},
    ],
    "columns": [{"path": "image.auroc", "heading": "AUROC"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(name: str, experiment: Mapping[str, Any]) -> Table:
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments", f"{name}.yaml").write_text(yaml.safe_dump(dict(experiment), sort_keys=False))
    return open_table(name, Path("out"), data=Path("data"), reporter=Reporter(quiet=True))


def task_of(table: Table, row: int = 0, seed: int = 0) -> Prepared:
    chosen = table.experiment.rows[row]
    settings = ExternalSettings.model_validate(chosen.settings)
    return prepared(table, chosen, settings, seed, Path("out", "task"))


def ids(table: Table, split: str) -> list[str]:
    return [sample.id for sample in table.dataset.split(split)]


def test_no_test_or_validation_image_is_trained_on_and_all_are_predicted() -> None:
    table = opened("few", FEW)
    task = task_of(table).task
    trained, predicted = {image.id for image in task.train}, [image.id for image in task.predict]
    assert predicted == ids(table, "val") + ids(table, "test")
    assert trained <= set(ids(table, "train"))
    assert not trained & set(predicted)
    contents = {Path(image.image).read_bytes() for image in task.train}
    assert not contents & {Path(image.image).read_bytes() for image in task.predict}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_boxes_are_those_of_common_classes_and_the_drawn_rare_ones(seed: int) -> None:
    table = opened("few", FEW)
    prepared = task_of(table, seed=seed)
    _, draw = draw_of(table, resolved_classes(table), 2, seed)
    assert len(draw.classes["stain"]) == 2
    wanted = set()
    for sample in table.dataset.split("train"):
        for box in boxed_instances(sample, image_size(sample.image)):
            if box.label in ("scratch", "spot") or box.id in draw.ids:
                wanted.add((sample.id, box.label, *np.float32(box.box_xyxy).tolist()))
    handed = {
        (image.id, prepared.task.classes[label], *box)
        for image in prepared.task.train
        for box, label in zip(image.boxes, image.labels, strict=True)
    }
    assert handed == wanted
    assert prepared.draw is not None
    assert (prepared.draw["digest"], prepared.draw["shots"]) == (draw.digest, 2)


def test_boxes_that_were_not_drawn_are_painted_over_and_nothing_else_is() -> None:
    table = opened("few", FEW)
    task = task_of(table).task
    samples = {sample.id: sample for sample in table.dataset}
    painted = [image for image in task.train if not samples[image.id].image.samefile(image.image)]
    assert painted
    for image in painted:
        before, after = (read_image(path, channels=3) for path in (samples[image.id].image, image.image))
        inside, drawn = np.zeros(image.size, bool), np.zeros(image.size, bool)
        for box in boxed_instances(samples[image.id], image.size):
            left, top, right, bottom = (int(value) for value in box.box_xyxy)
            inside[top : bottom + 1, left : right + 1] = True
            if tuple(np.float32(box.box_xyxy).tolist()) in image.boxes:
                drawn[top:bottom, left:right] = True
        changed = (before != after).any(axis=2)
        assert changed.any()
        assert not (changed & ~inside).any()
        assert not (changed & drawn).any()
        assert len(np.unique(after[changed], axis=0)) == 1


def test_outlines_are_the_masks_of_all_defects() -> None:
    table = opened("plain", PLAIN)
    task = task_of(table).task
    samples = {sample.id: sample for sample in table.dataset}
    assert task.kind == "outlines"
    assert {image.defective for image in task.train} == {True, False}
    for image in task.train:
        stored = cv2.imread(str(image.mask), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(stored)) <= {0, 255}
        truth = class_map(samples[image.id], table.dataset.class_names, image.size) > 0
        assert ((stored == 255) == truth).all()
        assert image.defective == truth.any()


def test_boxes_of_a_whole_dataset_are_all_of_them() -> None:
    table = opened("plain", PLAIN)
    task = task_of(table, row=1).task
    train = [one for one in table.dataset if one.id in {image.id for image in task.train}]
    assert sum(len(one.boxes) for one in task.train) == sum(
        len(boxed_instances(sample, image_size(sample.image))) for sample in train
    )
    assert not {one.id for one in task.predict} & {one.id for one in task.train}


def test_a_product_is_handed_over_alone_with_its_verdicts() -> None:
    for name, surface in (("wood", "wood_grain"), ("cast", "cast_metal")):
        synthesise(Path("data", "tasks", name), surfaces=[surface], images=24, seed=1, size=(48, 48))
    table = opened("products", PRODUCTS)
    prepared = task_of(table)
    own = [sample for sample in table.dataset if sample.product == "wood"]
    assert {image.id for image in (*prepared.task.train, *prepared.task.predict)} == {
        image.id for image in own
    }
    defective = {sample.id: sample.is_defective for sample in own}
    assert all(image.defective == defective[image.id] for image in prepared.task.train)
    assert {image.id for image in prepared.task.train} == {
        image.id for image in own if image.split == "train"
    }


def test_a_draw_without_shots_is_refused() -> None:
    rows = [{"name": "yolo", "kind": "external-few-shot", "settings": {"peer": "yolo", "minutes": 1}}]
    with pytest.raises(BlemishError, match=r"must have a setting shots. Received: none"):
        task_of(opened("few", {**FEW, "rows": rows}))
