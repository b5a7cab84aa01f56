"""Each layout found and read on a tiny folder of its kind, and what goes wrong with each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders
import mask_builders
import pytest

from blemish.dataset.layouts import LAYOUTS, load_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset import tool_builders

BUILDERS: dict[str, Callable[[Path], Path]] = {
    **builders.LAYOUT_BUILDERS,
    **tool_builders.LAYOUT_BUILDERS,
    "visa": mask_builders.visa,
    "realiad": mask_builders.realiad,
}


def labels_by_id(dataset: Dataset) -> dict[str, list[str]]:
    return {sample.id: [a.label for a in sample.annotations] for sample in dataset}


def test_every_layout_has_a_builder() -> None:
    assert BUILDERS.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("layout", BUILDERS)
def test_layout_is_found_with_a_reason_and_reads_the_same_when_named(tmp_path: Path, layout: str) -> None:
    root = BUILDERS[layout](tmp_path / "data")
    found = load_dataset(root)
    assert found.layout == layout
    assert len(found.reason.split()) > 3
    assert load_dataset(root, layout=layout).samples == found.samples
    assert all(sample.image == root / sample.id and sample.image.is_file() for sample in found)
    assert len({sample.id for sample in found}) == len(found)


def test_deeppcb(tmp_path: Path) -> None:
    dataset = load_dataset(builders.deeppcb_layout(tmp_path))
    first = dataset.samples[0]
    assert (first.split, first.group) == ("train", "group1")
    assert first.reference == tmp_path / "PCBData" / "group1" / "1" / "00001_temp.jpg"
    assert [(a.label, a.box_xyxy) for a in first.annotations] == [
        ("open", (1, 2, 11, 12)),
        ("pin-hole", (5, 5, 9, 9)),
    ]
    builders.text(tmp_path / "PCBData" / "group1" / "1_not" / "00002.txt", "1 2 3 4 7\n")
    with pytest.raises(BlemishError, match=r"00002\.txt line 1 must name a known type .*Received: 7"):
        load_dataset(tmp_path)


def test_most_particular_layout_wins(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    assert load_dataset(tmp_path).layout == "masks"
    builders.voc_file(tmp_path / "MT_Crack" / "Imgs" / "e.xml", "e.jpg", [])
    assert load_dataset(tmp_path, layout="masks").layout == "masks"
    with pytest.raises(BlemishError, match=r"must hold the image 'e\.jpg'"):  # voc comes before masks
        load_dataset(tmp_path)


def test_empty_folder_no_layout_and_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"must hold images\. Received: an empty folder"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "note.txt", "nothing here")
    with pytest.raises(BlemishError, match=r"Received: no image, 1 \.txt"):
        load_dataset(tmp_path)
    builders.write_image(tmp_path / "a.png")
    with pytest.raises(
        BlemishError, match=r"must have a known layout.*1 image \(first a\.png\), 1 \.txt.*data layouts"
    ) as caught:
        load_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(
        BlemishError, match=r"layout must be a known name\. Received: 'coc'\. Did you mean 'coco'\?"
    ):
        load_dataset(tmp_path, layout="coc")
    with pytest.raises(BlemishError, match="must exist"):
        load_dataset(tmp_path / "absent")
