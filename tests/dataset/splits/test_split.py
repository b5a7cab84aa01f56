"""Splits: shares, whole groups and contents, seeds, few shots, and lists that read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import builders
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, MaskFile, Sample
from blemish.dataset.splits import split as module
from blemish.dataset.splits.split import few_shot, split_dataset, write_splits
from blemish.errors import BlemishError


def abstract(classes: list[str], groups: list[str | None] | None = None) -> Dataset:
    """A dataset without files; '' is clean."""
    groups = groups or [None] * len(classes)
    samples = tuple(
        Sample(Path(f"{i:04}.png"), f"{i:04}.png", (Annotation(label),) if label else (), group=group)
        for i, (label, group) in enumerate(zip(classes, groups, strict=True))
    )
    return Dataset(Path("data"), samples, tuple(sorted({label for label in classes if label})))


@pytest.fixture(autouse=True)
def content_is_the_id(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasets without files: each image its own content, unless the test is about files."""
    if "tmp_path" not in request.fixturenames:
        monkeypatch.setattr(module, "content_of", lambda dataset: {s.id: s.id for s in dataset})


def test_every_class_gets_its_share() -> None:
    classes = ["a"] * 100 + ["b"] * 40 + ["c"] * 10 + [""] * 200
    parts = split_dataset(abstract(classes), test=0.3, val=0.2, seed=4)
    for name, share in (("test", 0.3), ("val", 0.14), ("train", 0.56)):
        part = parts.split(name)
        expected = {"a": 100 * share, "b": 40 * share, "c": 10 * share}
        assert part.class_counts == {label: pytest.approx(n, abs=1) for label, n in expected.items()}
        assert sum(not s.is_defective for s in part) == pytest.approx(200 * share, abs=1)


def test_a_rare_class_beside_a_common_one_gets_its_share_first() -> None:
    common, rare = Annotation("a"), Annotation("r")
    samples = tuple(
        Sample(Path(f"{i:03}"), f"{i:03}", (common, rare) if i < 10 else (common,)) for i in range(100)
    )
    for seed in range(10):
        parts = split_dataset(Dataset(Path(), samples, ("a", "r")), test=0.3, val=0, seed=seed)
        assert parts.split("test").class_counts == {"a": 30, "r": 3}


def test_seed_decides_and_file_order_does_not() -> None:
    dataset = abstract(["a", "", "b", "a"] * 10)
    turned = Dataset(dataset.root, dataset.samples[::-1], dataset.class_names)
    first = {s.id: s.split for s in split_dataset(dataset, seed=1)}
    assert first == {s.id: s.split for s in split_dataset(turned, seed=1)}
    assert first != {s.id: s.split for s in split_dataset(dataset, seed=2)}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 9)), min_size=20, max_size=60),
    st.integers(0, 99),
)
def test_groups_and_equal_contents_stay_whole(rows: list[tuple[str, int]], seed: int) -> None:
    dataset = abstract([label for label, _ in rows], [f"g{group}" for _, group in rows])
    contents = {sample.id: str(i // 2) for i, sample in enumerate(dataset)}
    if len(module.make_units(dataset, contents, joined=module.joined_by(dataset, "group"))) < 3:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "content_of", lambda _: contents)
        grouped = split_dataset(dataset, by="group", seed=seed)
        loose = split_dataset(dataset, seed=seed)
    for key in ("group", "content"):
        sides: dict[str | None, set[str | None]] = {}
        for sample in grouped:
            sides.setdefault(sample.group if key == "group" else contents[sample.id], set()).add(sample.split)
        assert all(len(splits) == 1 for splits in sides.values())
    assert {"train", "val", "test"} == set(grouped.splits)
    by_content: dict[str, set[str | None]] = {}
    for sample in loose:
        by_content.setdefault(contents[sample.id], set()).add(sample.split)
    assert all(len(splits) == 1 for splits in by_content.values())


def test_equal_pictures_share_a_side_on_disk(tmp_path: Path) -> None:
    builders.labels_layout(tmp_path, clean=12, bad=12)
    for number in range(4):
        builders.write_image(tmp_path / "good" / f"same{number}.png", seed=1)
    builders.write_image(tmp_path / "bad" / "same4.bmp", seed=1)
    for seed in range(5):
        parts = split_dataset(load_dataset(tmp_path), seed=seed)
        assert len({s.split for s in parts if "same" in s.id}) == 1


def test_near_duplicates_share_a_side(tmp_path: Path) -> None:
    """A surface under another light, stored again: other pixels, so content does not join them."""
    generator = np.random.default_rng(0)
    surfaces = [cv2.GaussianBlur(generator.normal(0, 1, (128, 128)), (0, 0), 1.5) for _ in range(24)]
    for number, surface in enumerate(surfaces):
        gray = np.clip(128 + 120 * surface, 0, 255).astype(np.uint8)
        (tmp_path / "good").mkdir(exist_ok=True), (tmp_path / "bad").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / ("good" if number % 2 else "bad") / f"{number}.png"), gray)
    for number, light in enumerate((0.95, 0.9, 0.8, 0.7)):
        again = (light * np.clip(128 + 120 * surfaces[0], 0, 255)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / ("good" if number % 2 else "bad") / f"again{number}.jpg"), again)
    dataset = load_dataset(tmp_path)
    names = {s.id for s in dataset if "again" in s.id} | {"bad/0.png"}
    assert len(names) == 5
    torn = 0
    for seed in range(5):
        by_similarity = split_dataset(dataset, by="similarity", seed=seed)
        assert len({s.split for s in by_similarity if s.id in names}) == 1
        assert {"train", "val", "test"} == set(by_similarity.splits)
        torn += len({s.split for s in split_dataset(dataset, seed=seed) if s.id in names}) > 1
    assert split_dataset(dataset, by="looks", seed=4) == by_similarity  # its former name
    assert torn  # by content alone they are torn apart


def test_shares_of_nothing_and_impossible_ones() -> None:
    dataset = abstract(["a", "b", ""])
    assert set(split_dataset(dataset, test=0, val=0, seed=0).splits) == {"train"}
    assert split_dataset(dataset, seed=0).splits.keys() == {"train", "val", "test"}
    with pytest.raises(BlemishError, match=r"test must be a share of at least 0 and below 1\. Received: 1"):
        split_dataset(dataset, test=1, seed=0)
    with pytest.raises(BlemishError, match=r"needs at least 3 groups of images\. Received: 2"):
        split_dataset(abstract(["a", ""]), seed=0)
    with pytest.raises(BlemishError, match="A split by group needs groups"):
        split_dataset(dataset, by="group", seed=0)


def test_few_shot_keeps_k_images_a_class_and_the_clean_ones() -> None:
    classes = ["a"] * 30 + ["b"] * 20 + [""] * 10
    parts = split_dataset(abstract(classes), shots=3, seed=5)
    full = split_dataset(abstract(classes), seed=5)
    assert parts.split("train").class_counts == {"a": 3, "b": 3}
    assert sum(not s.is_defective for s in parts.split("train")) == sum(
        not s.is_defective for s in full.split("train")
    )
    assert parts.split("test").samples == full.split("test").samples
    assert parts.splits[""] == len(full.split("train")) - len(parts.split("train"))
    without = split_dataset(abstract(classes), shots=3, keep_clean=False, seed=5)
    assert len(without.split("train")) == 6


def test_few_shot_counts_images_of_several_classes_once_each() -> None:
    both = Sample(Path("z"), "z", (Annotation("a"), Annotation("b")), split="train")
    alone = tuple(
        Sample(Path(f"{c}{i}"), f"{c}{i}", (Annotation(c),), split="train") for c in "ab" for i in range(5)
    )
    dataset = Dataset(Path(), (*alone, both), ("a", "b"))
    for seed in range(10):
        remaining = few_shot(dataset, shots=2, seed=seed).split("train")
        assert remaining.class_counts == {"a": 2, "b": 2}


def test_few_shot_choice_is_spread_over_seeds_and_refuses_too_many() -> None:
    dataset = abstract(["a"] * 20).with_splits({f"{i:04}.png": "train" for i in range(20)})
    chosen = {few_shot(dataset, shots=1, seed=seed).split("train").samples[0].id for seed in range(20)}
    assert len(chosen) > 5
    with pytest.raises(BlemishError, match=r"Received: 21, but 'a' has 20"):
        few_shot(dataset, shots=21, seed=0)
    with pytest.raises(BlemishError, match="shots must be at least 1"):
        few_shot(dataset, shots=0, seed=0)


def test_written_splits_read_back_without_moving_images(tmp_path: Path) -> None:
    root = builders.masks_layout(tmp_path / "data")
    builders.text(root / "dataset.yaml", "classes: [Hole, Crack]\nmm_per_px: 0.1\n")
    before = sorted(root.rglob("*"))
    parts = split_dataset(load_dataset(root), seed=3)
    write_splits(parts, tmp_path / "out" / "one")
    again = load_dataset(tmp_path / "out" / "one")
    assert [(s.id, s.split, s.annotations, s.image.resolve()) for s in again] == [
        (s.id, s.split, replace_root(s.annotations, again, parts), s.image) for s in parts
    ]
    assert again.class_names == ("Hole", "Crack")
    assert again.info["mm_per_px"] == 0.1
    assert "root: ../../data" in (tmp_path / "out" / "one" / "dataset.yaml").read_text()
    assert sorted(root.rglob("*")) == before
    write_splits(again.with_splits({}), tmp_path / "out" / "two")
    assert load_dataset(tmp_path / "out" / "two").splits == {"": 4}


def replace_root(annotations: tuple[Annotation, ...], to: Dataset, of: Dataset) -> tuple[Annotation, ...]:
    moved = []
    for annotation in annotations:
        assert isinstance(annotation.mask, MaskFile)
        path = to.root / annotation.mask.path.relative_to(of.root)
        moved.append(replace(annotation, mask=replace(annotation.mask, path=path)))
    return tuple(moved)


def test_permutation_is_not_the_file_order() -> None:
    dataset = abstract(["a"] * 40)
    test = [int(s.id[:4]) for s in split_dataset(dataset, test=0.5, val=0, seed=0).split("test")]
    assert not np.array_equal(np.diff(test), np.ones(len(test) - 1))


def test_a_dataset_yaml_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text("layout: yolo\n")
    with pytest.raises(BlemishError, match=r"dataset\.yaml exists and is not overwritten"):
        write_splits(Dataset(tmp_path, (), ()), tmp_path)
    assert (tmp_path / "dataset.yaml").read_text() == "layout: yolo\n"
    assert not (tmp_path / "splits").exists()
