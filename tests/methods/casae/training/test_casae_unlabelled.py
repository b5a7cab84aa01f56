"""Training with few masks: which images it reads, what it may not read, and that it changes nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from blemish.bundle import Bundle
from blemish.dataset import masks
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, MaskFile, Sample
from blemish.dataset.splits.labelled import draw_labelled
from blemish.errors import BlemishError
from blemish.methods.casae import METHOD
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.casae.training.unlabelled import UnlabelledSource, select_training_images
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train
from blemish.training.trainer import RunTrainer

SHORT = {"steps": 4, "second_steps": 2, "types_steps": 2, "size": 32}
SPLIT_OF = dict(enumerate(["train"] * 8 + ["val"] * 3 + ["test"] * 2))


def tiny(**changes: Any) -> CasaeSettings:
    return CasaeSettings(**{"preset": "tiny", "device": "cpu", "precision": "fp32", **SHORT, **changes})


def run(dataset: Dataset, out: Path, settings: CasaeSettings, **more: Any) -> Bundle:
    return train(Request(METHOD, dataset, settings, out, **more), Reporter(quiet=True))


def fit(dataset: Dataset, out: Path, settings: CasaeSettings) -> None:
    """Training alone, without the fingerprint of the data, for which every file is read."""
    out.mkdir()
    METHOD.fit(dataset, settings, RunTrainer(out, settings, seed=0, reporter=Reporter(quiet=True)))


def same(one: Bundle, other: Bundle, prefix: str = "") -> bool:
    tensors = {
        f"{network}.{name}": (tensor, other.networks[network][name])
        for network, of in one.networks.items()
        for name, tensor in of.items()
    }
    return all(np.array_equal(*pair) for name, pair in tensors.items() if name.startswith(prefix))


def photograph(path: Path, seed: int) -> None:
    """A gray surface with a brighter square."""
    pixels = np.random.default_rng(seed).integers(90, 120, (48, 48)).astype(np.uint8)
    pixels[10 + seed : 18 + seed, 12:20] += 100
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Thirteen marked images: eight to learn from, three for validation, two for test."""
    for number in SPLIT_OF:
        mask = np.zeros((48, 48), np.uint8)
        mask[10 + number : 18 + number, 12:20] = 255
        photograph(tmp_path / "data" / "image" / f"{number:02}.png", number)
        (tmp_path / "data" / "mask").mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / "data" / "mask" / f"{number:02}.png"), mask)
    dataset = load_dataset(tmp_path / "data")
    return dataset.with_splits({one.id: SPLIT_OF[number] for number, one in enumerate(dataset)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images that no one has marked."""
    for number in range(4):
        photograph(tmp_path / "line 3" / f"{number}.png", 20 + number)
    return tmp_path / "line 3"


# What is read


def test_masks_of_images_that_are_not_drawn_are_never_read(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, others = draw_labelled(data.split("train").samples, 3, 0)
    gone = {one.id for one in others}
    mine = Annotation("defect", mask=MaskFile(tmp_path / "gone.png"))
    planted = replace(
        data,
        class_names=("defect",),
        samples=tuple(replace(one, annotations=(mine,)) if one.id in gone else one for one in data),
    )
    read: set[Path] = set()
    real = masks.read_stored
    monkeypatch.setattr(masks, "read_stored", lambda path: read.add(path) or real(path))
    fit(planted, tmp_path / "few", tiny(labelled=3))
    allowed = (*drawn, *data.split("val"))
    assert read == {one.mask.path for sample in allowed for one in sample.annotations}
    with pytest.raises(BlemishError, match=r"gone\.png"):
        fit(planted, tmp_path / "all", tiny())


def test_both_ways_of_having_unlabelled_images_end_in_one_list(data: Dataset, folder: Path) -> None:
    settings = tiny(labelled=5, unlabelled=str(folder))
    learned = select_training_images(data, settings, 7)
    assert [len(part) for part in (learned.labelled, learned.hidden, learned.foreign)] == [5, 3, 4]
    assert not any(one.annotations for one in learned.unlabelled)
    assert not {one.image for one in learned.unlabelled} & {one.image for one in learned.labelled}
    assert {one.split for one in data if one in learned.labelled} == {"train"}
    assert learned.sentences == (
        "Of 8 training images 5 are learned from with their masks, and 7 images without.",
    )
    off = select_training_images(data, settings.model_copy(update={"unlabelled_weight": 0.0}), 7)
    assert off.labelled == learned.labelled
    assert not off.unlabelled
    assert select_training_images(data, tiny(), 7).sentences == ()


def test_both_views_have_one_geometry_and_a_draw_follows_from_its_step(folder: Path) -> None:
    pixels = np.zeros((40, 60), np.uint8)
    pixels[12:20, 30:44] = 200
    settings = tiny(size=64, noise=0.0, contrast=0.0, illumination=0.2, unlabelled_batch=3, ramp=0.5)
    source = UnlabelledSource(settings, lambda sample: pixels, [Sample(folder, "one")], seed=5)
    one, again, later = source.draw(1, 0), source.draw(1, 0), source.draw(2, 0)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["plain"], later["plain"])
    assert one["plain"].shape == one["jittered"].shape == (3, 1, 64, 64)
    shift = (one["jittered"] - one["plain"]).flatten(1)
    assert float(shift.std(dim=1).max()) < 1e-6  # the light of a whole image and nothing else
    assert len({round(float(value), 4) for value in shift.mean(dim=1)}) == 3


def test_a_bundle_knows_the_images_again_and_not_where_they_lay(
    data: Dataset, folder: Path, tmp_path: Path
) -> None:
    bundle = run(data, tmp_path / "run", tiny(unlabelled=str(folder)))
    assert bundle.manifest.settings["unlabelled"] == "line 3"
    assert str(tmp_path) not in json.dumps(bundle.manifest.model_dump(mode="json")["notes"])
    assert bundle.manifest.notes == (
        "Of 8 training images 8 are learned from with their masks, and 4 images without.",
    )
    assert len(bundle.manifest.data["trained_on_before"]) == 4
    assert not [name for name in bundle.networks["cascade"] if "teacher" in name]


def boxed(data: Dataset, numbers: set[int]) -> Dataset:
    """The dataset with these images' defects marked by a box alone."""
    marks = (Annotation("defect", box_xyxy=(12, 12, 20, 20)),)
    samples = (replace(one, annotations=marks) if n in numbers else one for n, one in enumerate(data))
    return replace(data, class_names=("defect",), samples=tuple(samples))


def test_images_marked_by_boxes_are_neither_learned_from_nor_drawn_nor_choose_thresholds(
    data: Dataset, tmp_path: Path
) -> None:
    partly = boxed(data, {1, 4, 9})
    without = partly.where(lambda one: one not in {partly.samples[n] for n in (1, 4, 9)})
    left, gone = run(partly, tmp_path / "left", tiny()), run(without, tmp_path / "gone", tiny())
    assert same(left, gone)
    assert left.manifest.curves["threshold_sweep"] == gone.manifest.curves["threshold_sweep"]
    note = "2 training and 1 validation images have defects without an outline"
    assert left.manifest.notes[0].startswith(note)
    assert (tmp_path / "left" / "log.jsonl").read_text().count(note) == 1
    drawn = select_training_images(partly, tiny(labelled=5), 0)
    assert drawn.labelled == select_training_images(without, tiny(labelled=5), 0).labelled
    assert len(drawn.hidden) == 1


def test_an_unlabelled_image_may_not_show_a_sealed_image_that_is_left_out(
    data: Dataset, folder: Path, tmp_path: Path
) -> None:
    shutil.copy(data.samples[9].image, folder / "4.png")
    message = refusal(boxed(data, {9}), tmp_path / "run", unlabelled=str(folder))
    assert "of split 'val' must not be learned from" in message


def test_the_same_folder_from_another_working_directory_is_the_same(
    data: Dataset, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = folder.parent / "elsewhere" / folder.name
    shutil.copytree(folder, other)
    monkeypatch.chdir(folder.parent)
    settings = tiny(unlabelled=folder.name)
    bundle = run(data, tmp_path / "run", settings)
    monkeypatch.chdir(folder)
    resumed = run(data, tmp_path / "run", tiny(unlabelled=f"../{folder.name}"), resume=True)
    assert same(bundle, resumed)
    assert resumed.manifest.settings["unlabelled"] == folder.name
    monkeypatch.chdir(other.parent)
    with pytest.raises(BlemishError, match=r"Give the same folder, or choose another --out\.") as caught:
        run(data, tmp_path / "run", settings, resume=True)
    assert f"unlabelled={other}, the run has {folder}" in str(caught.value)


# What is refused


def refusal(data: Dataset, out: Path, **changes: Any) -> str:
    with pytest.raises(BlemishError) as caught:
        run(data, out, tiny(**changes))
    assert not out.exists()  # nothing half-written
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_learned_from_is_refused_before_training(
    data: Dataset, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert "at most the number of training images, 8. Received: 9" in refusal(data, out, labelled=9)
    assert "no such folder" in refusal(data, out, unlabelled=str(tmp_path / "gone"))
    (folder / "4.png").write_bytes(b"no picture")
    assert str(folder / "4.png") in refusal(data, out, unlabelled=str(folder))
    shutil.copy(data.split("val").samples[0].image, folder / "4.png")
    assert "of split 'val' must not be learned from" in refusal(data, out, unlabelled=str(folder))
    message = refusal(boxed(data, set(SPLIT_OF)), out, labelled=2)
    assert "must have masks or polygons with defect pixels" in message


# What it changes


def test_a_weight_of_zero_is_the_supervised_training_on_the_drawn_images(
    data: Dataset, folder: Path, tmp_path: Path
) -> None:
    whole = run(data, tmp_path / "whole", tiny())
    off = run(data, tmp_path / "off", tiny(unlabelled=str(folder), unlabelled_weight=0))
    assert same(whole, off)
    drawn = {one.id for one in draw_labelled(data.split("train").samples, 3, 0)[0]}
    few = data.where(lambda one: one.id in drawn or one.split != "train")
    by_hand = run(few, tmp_path / "few", tiny())
    assert same(by_hand, run(data, tmp_path / "labelled", tiny(labelled=3, unlabelled_weight=0)))
    taught = run(data, tmp_path / "taught", tiny(labelled=3))
    assert not same(by_hand, taught, "cascade.first")


def test_the_kept_network_is_the_teacher_of_the_checkpoint(data: Dataset, tmp_path: Path) -> None:
    bundle = run(data, tmp_path / "run", tiny(labelled=3))
    state = load_file(tmp_path / "run" / "checkpoints" / "first.safetensors")
    for name, tensor in bundle.networks["cascade"].items():
        if name.startswith("first."):
            kept = name.removeprefix("first.")
            student, teacher = (state[f"network.{who}.{kept}"].ravel() for who in ("student", "teacher"))
            assert np.array_equal(tensor.ravel(), teacher)
            statistic = kept.endswith(("running_mean", "running_var", "num_batches_tracked"))
            assert np.array_equal(tensor.ravel(), student) == statistic


@pytest.mark.parametrize("stage", ["first", "second"])
def test_a_run_killed_with_a_teacher_resumes_to_the_same_weights(
    data: Dataset, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    settings = tiny(labelled=3, unlabelled=str(folder), checkpoint_every=1)
    unbroken = run(data, tmp_path / "unbroken", settings)
    advance = RunTrainer.advance

    def stops(self: RunTrainer, of: Any, step: int, *rest: Any) -> float:
        if of.name == stage and step == 1:
            raise KeyboardInterrupt
        return advance(self, of, step, *rest)

    monkeypatch.setattr(RunTrainer, "advance", stops)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "broken", settings)
    monkeypatch.undo()
    if stage == "first":
        photograph(folder / "new.png", 29)
        with pytest.raises(BlemishError, match=r"setting unlabelled: --resume needs the images that"):
            run(data, tmp_path / "broken", settings, resume=True)
        (folder / "new.png").unlink()
    assert same(unbroken, run(data, tmp_path / "broken", settings, resume=True))
