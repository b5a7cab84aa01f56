"""dataset.yaml: every key, and the one-line errors for wrong ones."""

from __future__ import annotations

from pathlib import Path

import builders
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.settings import DatasetSettings
from blemish.dataset.settings_file import read_settings
from blemish.errors import BlemishError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("layuot: masks\n", r"Received: 'layuot'\. Did you mean 'layout'\?"),
        ("zzz: 1\n", r"Received: 'zzz'\. Use one of layout, root"),
        ("mm_per_px: -1\n", r"'mm_per_px' must be valid\. Received: -1"),
        ("mm_per_px: .inf\n", r"'mm_per_px' must be valid\. Received: \.inf"),
        ("group: '(['\n", r"'group' must be valid\..*not a regular expression"),
        ("group: abc\n", "without a group in parentheses"),
        ("group: ''\n", "without a group in parentheses"),
        ("mm_per_px: 1e300\n", r"'mm_per_px' must be valid\. Received: 1e300"),
        ("colours: {a: red}\n", "'red', not a colour such as '#ff0000'"),
        ("splits: {dev: a.txt}\n", "'splits' must be valid"),
        ("- a\n", r"must hold 'key: value' lines\. Received: a list"),
        ("a: [\n", "must be a YAML file"),
    ],
)
def test_wrong_settings(tmp_path: Path, content: str, message: str) -> None:
    path = builders.text(tmp_path / "dataset.yaml", content)
    with pytest.raises(BlemishError, match=rf"dataset\.yaml.*{message}") as caught:
        read_settings(path)
    assert "\n" not in str(caught.value)


def test_layout_scale_and_group(tmp_path: Path) -> None:
    builders.pairs_layout(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "layout: pairs\ngroup: '/(\\w)\\.'\nmm_per_px: 0.05\n")
    dataset = load_dataset(tmp_path)
    assert [sample.group for sample in dataset] == ["a", "b", "c"]
    assert dataset.info["mm_per_px"] == 0.05
    assert dataset.reason == "named in dataset.yaml"


def test_group_that_misses_an_image(tmp_path: Path) -> None:
    builders.pairs_layout(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "group: '/(a)'\n")
    with pytest.raises(BlemishError, match=r"'group' must match every image.*'image/b\.jpg'"):
        load_dataset(tmp_path)


def test_yaml_elsewhere_names_the_images(tmp_path: Path) -> None:
    builders.pairs_layout(tmp_path / "images" / "lot")
    path = builders.text(tmp_path / "own" / "mine.yaml", "root: ../images/lot\n")
    dataset = load_dataset(path)
    assert len(dataset) == 3
    builders.text(path, "root: ../absent\n")
    with pytest.raises(BlemishError, match=r"mine\.yaml: 'root' must be a folder"):
        load_dataset(path)


def test_classes_order_rename_and_refuse(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "classes: [Hole, Crack, Stain]\n")
    assert load_dataset(tmp_path).class_names == ("Hole", "Crack", "Stain")
    builders.text(tmp_path / "dataset.yaml", "classes: {Crack: Hole}\n")
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("Hole",)
    assert dataset.class_counts == {"Hole": 2}
    builders.text(tmp_path / "dataset.yaml", "classes: [Hole, Crak]\n")
    with pytest.raises(BlemishError, match=r"a\.jpg must be marked.*'Crack'\. Did you mean 'Crak'\?"):
        load_dataset(tmp_path)
    assert list(load_dataset(tmp_path, skip_broken=True).skipped) == ["MT_Crack/Imgs/a.jpg"]
    builders.text(tmp_path / "dataset.yaml", "classes: {Crak: Riss}\n")
    with pytest.raises(
        BlemishError, match=r"must rename known ones\. Received: 'Crak'\. Did you mean 'Crack'\?"
    ):
        load_dataset(tmp_path)


LONG = "x" * 200_000


@pytest.mark.parametrize("key", sorted(DatasetSettings.model_fields))
def test_a_long_value_is_not_repeated(tmp_path: Path, key: str) -> None:
    builders.labels_layout(tmp_path)
    path = builders.text(tmp_path / "dataset.yaml", f"{key}: '(({LONG}'\n")
    with pytest.raises(BlemishError) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("../absent", "No such file"),
        ("dataset.yaml", "a file"),
        ("/", "with all that there is"),
        ("/proc/self", "a folder of the system"),
        ("sub/../../../../../../../../../../../../../..", "with all that there is"),
        ("a\\0b", "NUL"),
        ("/".join(["x" * 300] * 3), "too long"),
        ("loop", "loop|[Tt]oo many"),
    ],
)
def test_a_root_that_is_no_folder_of_images(tmp_path: Path, root: str, words: str) -> None:
    builders.labels_layout(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    path = builders.text(tmp_path / "dataset.yaml", f'root: "{root}"\n')
    with pytest.raises(BlemishError, match=words) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1500


def test_annotations_are_those_of_coco(tmp_path: Path) -> None:
    builders.coco_layout(tmp_path)
    builders.labels_layout(tmp_path)
    path = builders.text(tmp_path / "dataset.yaml", "annotations: annotations/instances_train.json\n")
    assert load_dataset(path).layout == "coco"
    builders.text(path, "annotations: nowhere.json\n")
    with pytest.raises(BlemishError, match=r"nowhere\.json"):
        load_dataset(path)
    builders.text(path, "layout: labels\nannotations: annotations/instances_train.json\n")
    with pytest.raises(
        BlemishError,
        match=r"'annotations' must go with a layout of one label file, .*Received: layout 'labels'",
    ):
        load_dataset(path)
