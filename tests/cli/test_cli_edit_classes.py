"""`add-class` with good parts, false alarms and further examples; `remove-class`; `rename-class`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.bundle import load_bundle
from blemish.bundle.manifest import known_images
from blemish.dataset.convert import convert
from blemish.dataset.samples import Annotation, Dataset
from blemish.inspector.loading import open_inspector
from tests.cli.tlsdd_bundles import OLD, is_one_line

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    generator = np.random.default_rng(3)
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), generator.integers(90, 110, (96, 96, 3), np.uint8))
    return folder


@pytest.fixture(scope="module")
def larger(modern_parent: Path, examples: Path, good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import blemish

    out = tmp_path_factory.mktemp("larger") / "bundle"
    return blemish.add_class(modern_parent, "fray", examples, out, device="cpu", good=good, negative=examples)


def boxed(dataset: Dataset, out: Path, *boxes: tuple[float, float, float, float], images: int = 1) -> Path:
    """Examples of "thing": the same boxes on each of some images."""
    chosen = [sample for sample in dataset if sample.annotations][:images]
    annotations = tuple(Annotation("thing", box_xyxy=box) for box in boxes)
    samples = tuple(replace(sample, split=None, annotations=annotations) for sample in chosen)
    convert(replace(dataset, samples=samples, class_names=("thing",)), out, "coco")
    return out


def test_the_new_bundle_has_a_row_and_inspects(
    modern_parent: Path, larger: Path, tiny_dataset: Dataset
) -> None:
    old, new = load_bundle(modern_parent), load_bundle(larger)
    assert new.manifest.class_names == (*OLD, "fray")
    for name in ("detector.safetensors", "bank.safetensors"):
        assert new.manifest.files[name] == old.manifest.files[name]
    assert new.networks["enrolled"]["counts"].tolist() == [[3 * 200, 2 * 50 + 3 * 50]]
    assert len(known_images(new.manifest.data)) == 3
    image = tiny_dataset.samples[0].image
    before, after = (open_inspector(path, device="cpu").inspect(image) for path in (modern_parent, larger))
    assert "fray" in {each.label for each in after.candidates}
    assert [each for each in after.candidates if each.label != "fray"] == list(before.candidates)


def test_more_examples_go_to_the_class_of_that_name(
    blemish: Command, larger: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    more = boxed(tiny_dataset, tmp_path / "more", (5.0, 5.0, 30.0, 25.0))
    out = tmp_path / "new"
    answer = blemish("add-class", larger, "--name", "fray", "--examples", more, "--out", out)
    assert answer.code == 0, answer.err
    new = load_bundle(out)
    assert new.manifest.class_names == (*OLD, "fray")
    assert len(new.manifest.memory["examples"]["fray"]) == 4
    assert new.networks["enrolled"]["counts"][0, 0] == 4 * 200
    assert "Examples added to 'fray': 1." in new.manifest.notes


def test_removing_restores_the_tensors_and_the_data(
    blemish: Command, modern_parent: Path, larger: Path, tmp_path: Path
) -> None:
    out = tmp_path / "smaller"
    answer = blemish("remove-class", larger, "--name", "fray", "--out", out)
    assert answer.code == 0, answer.err
    assert answer.out == f"{out}\n"
    old, new = load_bundle(modern_parent), load_bundle(out)
    assert new.manifest.class_names == old.manifest.class_names
    assert {name: new.manifest.files[name] for name in old.manifest.files} == old.manifest.files
    assert known_images(new.manifest.data) == known_images(old.manifest.data)
    assert "added" not in new.manifest.data
    assert new.manifest.provenance["parent"] == load_bundle(larger).id


def test_a_class_by_prototype_is_removed_too(
    blemish: Command, parent: Path, examples: Path, tmp_path: Path
) -> None:
    larger, out = tmp_path / "larger", tmp_path / "smaller"
    asked = ("--name", "fray", "--examples", examples, "--out", larger)
    added = blemish("add-class", parent, *asked)
    assert added.code == 0 and "was added by its prototype alone" in added.err
    assert blemish("remove-class", larger, "--name", "fray", "--out", out).code == 0
    assert load_bundle(out).manifest.files == load_bundle(parent).manifest.files


def test_another_name_finds_the_same(
    blemish: Command, larger: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    image = tiny_dataset.samples[0].image
    for old, new in (("fray", "loose end"), ("spot", "dot")):
        out = tmp_path / new
        answer = blemish("rename-class", larger, "--name", old, "--to", new, "--out", out)
        assert answer.code == 0, answer.err
        assert load_bundle(out).manifest.files == load_bundle(larger).manifest.files
        before, after = (open_inspector(path, device="cpu").inspect(image) for path in (larger, out))
        renamed = [replace(each, label=new) if each.label == old else each for each in before.candidates]
        assert list(after.candidates) == renamed
    again = blemish("remove-class", tmp_path / "loose end", "--name", "loose end", "--out", tmp_path / "less")
    assert again.code == 0, again.err


def refused(blemish: Command, *words: object) -> str:
    answer = blemish(*words, "--quiet")
    assert answer.code in {1, 2}
    assert is_one_line(answer.err), answer.err
    return str(answer.err)


def test_what_cannot_be_edited_is_one_line(
    blemish: Command, larger: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "new")
    said = refused(blemish, "remove-class", larger, "--name", "spot", *out)
    assert "'spot' was learned in training and stays" in said
    said = refused(blemish, "remove-class", larger, "--name", "frai", *out)
    assert "has no class 'frai'. Did you mean 'fray'?" in said
    said = refused(blemish, "rename-class", larger, "--name", "fray", "--to", "spot", *out)
    assert "already has a class 'spot'. Choose another --to." in said
    said = refused(blemish, "rename-class", larger, "--name", "fray", "--to", " ", *out)
    assert "--to must be words" in said
    said = refused(blemish, "remove-class", tiny_bundle, "--name", "spot", *out)
    assert "method severity learns its classes in training" in said
    said = refused(blemish, "rename-class", larger, "--name", "fray", "--to", "x", "--out", larger)
    assert "already exists. Choose another --out." in said
    assert not (tmp_path / "new").exists()


def test_negatives_that_cannot_be_used_are_one_line(
    blemish: Command, modern_parent: Path, examples: Path, good: Path, tmp_path: Path
) -> None:
    add = ("add-class", modern_parent, "--name", "fray", "--examples", examples, "--out", tmp_path / "new")
    assert "must be a folder of images of good parts" in refused(
        blemish, *add, "--good", tmp_path / "nowhere"
    )
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(blemish, *add, "--good", tmp_path / "empty")
    broken = Path(shutil.copytree(good, tmp_path / "broken"))
    (broken / "0.png").write_bytes(b"no image")
    assert "0.png" in refused(blemish, *add, "--good", broken)
    unmarked = Path(shutil.copytree(examples, tmp_path / "unmarked"))
    file = next(file for file in unmarked.rglob("*.json") if not file.name.startswith("."))
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    assert "must hold boxes about false alarms" in refused(blemish, *add, "--negative", unmarked)
    tuned = refused(blemish, *add, "--good", good, "--fine-tune", "--check", examples)
    assert "--good is for a class that is added without training" in tuned
    assert not (tmp_path / "new").exists()


def test_a_class_is_tuned_unless_told_otherwise(
    blemish: Command, modern_parent: Path, examples: Path, tmp_path: Path
) -> None:
    add = ("add-class", modern_parent, "--name", "fray", "--examples", examples, "--device", "cpu")
    answers = {
        name: blemish(*add, *option, "--out", tmp_path / name)
        for name, option in {"tuned": (), "closed": ("--no-training",)}.items()
    }
    assert all(answer.code == 0 for answer in answers.values()), answers["tuned"].err
    sentence = "'fray' is tuned on all regions of its examples' images"
    assert sentence in answers["tuned"].err and sentence not in answers["closed"].err
    tuned, closed = (load_bundle(tmp_path / name).networks for name in answers)
    for network, tensors in closed.items():
        for name, tensor in tensors.items():
            same = np.array_equal(tensor, tuned[network][name])
            assert same == ((network, name) != ("enrolled", "weights")), f"{network}.{name}"
    undone = tmp_path / "undone"
    assert blemish("remove-class", tmp_path / "tuned", "--name", "fray", "--out", undone).code == 0
    before, after = load_bundle(modern_parent).networks, load_bundle(undone).networks
    for network, tensors in before.items():
        for name, tensor in tensors.items():
            assert np.array_equal(tensor, after[network][name]), f"{network}.{name}"


def test_one_image_thrice_counts_once(
    blemish: Command, modern_parent: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    first = next(sample for sample in tiny_dataset if sample.annotations)
    files = []
    for number in range(3):
        files.append(tmp_path / f"copy{number}{first.image.suffix}")
        shutil.copy(first.image, files[-1])
    box = (Annotation("thing", box_xyxy=(10.0, 20.0, 50.0, 60.0)),)
    samples = tuple(replace(first, image=file, id=file.name, split=None, annotations=box) for file in files)
    convert(replace(tiny_dataset, samples=samples, class_names=("thing",)), tmp_path / "data", "coco")
    out = tmp_path / "new"
    asked = ("--name", "fray", "--examples", tmp_path / "data", "--out", out)
    answer = blemish("add-class", modern_parent, *asked)
    assert answer.code == 0, answer.err
    assert sum("the same image as" in line for line in answer.err.splitlines()) == 1
    assert load_bundle(out).networks["enrolled"]["counts"][0, 0] == 200


def test_boxes_that_cover_each_other_are_told(
    blemish: Command, modern_parent: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    whole, part, apart = (10.0, 20.0, 50.0, 60.0), (12.0, 22.0, 30.0, 40.0), (55.0, 5.0, 80.0, 30.0)
    data = boxed(tiny_dataset, tmp_path / "data", part, whole, apart)
    out = tmp_path / "new"
    answer = blemish("add-class", modern_parent, "--name", "fray", "--examples", data, "--out", out)
    assert answer.code == 0, answer.err
    assert sum("which alone counts: a defect has one box." in line for line in answer.err.splitlines()) == 1
    assert len(load_bundle(out).manifest.memory["examples"]["fray"]) == 2
