"""Readings of sets of masks: levels, numbers, colours, void, inversion, and what is asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.dataset.layouts import load_dataset
from blemish.dataset.mask_files import voc_palette
from blemish.dataset.masks import annotation_masks, defect_instances
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset.builders import SIZE, text, write_image
from tests.dataset.mask_builders import CUT, DENT, painted

OTHER = (20, 2, 27, 7)  # 35 pixels
GRAY = np.uint8
DEEP = np.uint16


def dataset_of(
    root: Path, *masks: NDArray[Any] | Image.Image, yaml: str = "", suffix: str = ".png"
) -> Dataset:
    """Dataset of images with these masks."""
    if yaml:
        text(root / "dataset.yaml", yaml)
    (root / "masks").mkdir(parents=True)
    for number, values in enumerate(masks):
        write_image(root / "images" / f"{number}.png")
        image = values if isinstance(values, Image.Image) else Image.fromarray(values)
        image.save(root / "masks" / f"{number}{suffix}")
    return load_dataset(root)


def marked(dataset: Dataset) -> list[list[tuple[str, int]]]:
    """(class, pixels) of the annotations of each image."""
    return [[(a.label, int(mask.sum())) for a, mask in annotation_masks(sample, SIZE)] for sample in dataset]


def rgb(*regions: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> NDArray[np.uint8]:
    channels = [painted(*((box, colour[c]) for box, colour in regions)) for c in range(3)]
    return np.stack(channels, axis=-1)


def voc(*regions: tuple[tuple[int, int, int, int], int]) -> Image.Image:
    values = painted(*regions)
    image = Image.frombytes("P", values.shape[::-1], values.tobytes())
    image.putpalette([value for colour in voc_palette() for value in colour])
    return image


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ((255, 255), GRAY),
        ((1, 1), GRAY),
        ((128, 128), GRAY),
        ((100, 100), GRAY),
        ((254, 255), GRAY),
        ((1, 1), DEEP),
        ((255, 255), DEEP),
        ((65535, 65535), DEEP),
    ],
)
def test_two_values_mark_whatever_they_are(tmp_path: Path, values: tuple[int, int], dtype: Any) -> None:
    masks = [painted((CUT, value), dtype=dtype) for value in values]
    dataset = dataset_of(tmp_path, *masks, painted(dtype=dtype))
    assert marked(dataset) == [[("defect", 35)], [("defect", 35)], []]
    assert dataset.account.warnings == ()


@pytest.mark.parametrize(
    ("low", "words"),
    [
        (painted((CUT, 1)), "mark with values up to 1, others with high ones"),
        (painted((CUT, 100)), "mark with values up to 100"),
        (painted((CUT, 2), dtype=DEEP), "mark with values up to 2 in 16 bits"),
    ],
)
def test_low_values_beside_high_ones_mark_and_are_named(
    tmp_path: Path, low: NDArray[Any], words: str
) -> None:
    dataset = dataset_of(tmp_path, painted((CUT, 255)), low, low)
    assert marked(dataset) == [[("defect", 35)]] * 3
    assert len(dataset.account.warnings) == 1
    assert words in dataset.account.warnings[0]
    assert "2 masks (masks/1.png, masks/2.png)" in dataset.account.warnings[0]


def test_bits_may_differ_from_file_to_file(tmp_path: Path) -> None:
    dataset = dataset_of(
        tmp_path, painted((CUT, 255)), painted((DENT, 65535), dtype=DEEP), rgb((CUT, (255,) * 3))
    )
    assert marked(dataset) == [[("defect", 35)], [("defect", 24)], [("defect", 35)]]
    assert dataset.account.warnings == ()


@pytest.mark.parametrize(
    "masks",
    [
        [painted((CUT, 1)), painted((CUT, 2))],
        [painted((CUT, 1), (DENT, 2))],
        [painted((CUT, 1), (DENT, 2), dtype=DEEP)],
        [painted((CUT, 26001), (DENT, 33002), dtype=DEEP)],
        [painted((CUT, 1), (DENT, 255)), painted((CUT, 255))],
    ],
)
def test_numbers_without_a_meaning_are_asked_about(tmp_path: Path, masks: list[NDArray[Any]]) -> None:
    with pytest.raises(
        BlemishError, match=r"values of masks must have one meaning.*'classes: \{\d+: NAME\}'"
    ):
        dataset_of(tmp_path, *masks)


def test_the_setting_says_what_numbers_mean(tmp_path: Path) -> None:
    masks = [painted((CUT, 1), (DENT, 2)), painted(), painted((OTHER, 2))]
    binary = dataset_of(tmp_path / "a", *masks, yaml="mask_values: binary\n")
    assert marked(binary) == [[("defect", 59)], [], [("defect", 35)]]
    classes = dataset_of(tmp_path / "b", *masks, yaml="mask_values: classes\n")
    assert marked(classes) == [[("class-1", 35), ("class-2", 24)], [], [("class-2", 35)]]
    assert classes.class_names == ("class-1", "class-2")
    named = dataset_of(tmp_path / "c", *masks, yaml="classes: [cut, dent]\n")
    assert marked(named) == [[("cut", 35), ("dent", 24)], [], [("dent", 35)]]
    instances = dataset_of(tmp_path / "d", *masks, yaml="mask_values: instances\n")
    assert marked(instances) == [[("defect", 35), ("defect", 24)], [], [("defect", 35)]]
    assert [a.id for a in instances.samples[0].annotations] == ["1", "2"]


def test_instances_that_touch_stay_apart_and_parts_of_one_together(tmp_path: Path) -> None:
    touching = painted(((0, 0, 5, 5), 1), ((5, 0, 10, 5), 2), ((25, 10, 28, 13), 2), dtype=DEEP)
    (sample,) = dataset_of(tmp_path, touching, yaml="mask_values: instances\n")
    boxes = [instance.box_xyxy for instance in defect_instances(sample, SIZE)]
    assert boxes == [(0, 0, 5, 5), (5, 0, 28, 13)]


def test_numbers_of_cityscapes_hold_the_class(tmp_path: Path) -> None:
    values = painted((CUT, 1001), (DENT, 2001), (OTHER, 1002), dtype=DEEP)
    dataset = dataset_of(tmp_path, values, yaml="mask_values: instances\nclasses: [cut, dent]\n")
    assert marked(dataset) == [[("cut", 35), ("cut", 35), ("dent", 24)]]


def test_a_name_for_the_background_and_values_without_a_name_are_refused(tmp_path: Path) -> None:
    masks = [painted((CUT, 1)), painted((CUT, 3))]
    with pytest.raises(BlemishError, match=r"'classes' must name defects only.*Received: 'background'"):
        dataset_of(tmp_path / "a", *masks, yaml="classes: [background, cut, dent]\n")
    with pytest.raises(
        BlemishError, match=r"1\.png must show known values only \(1 cut, 2 dent\)\. Received: 3"
    ):
        dataset_of(tmp_path / "b", *masks, yaml="classes: [cut, dent]\n")


def test_void_is_no_class_and_no_defect_alone(tmp_path: Path) -> None:
    bordered = painted((CUT, 1), (DENT, 255))
    dataset = dataset_of(tmp_path / "a", bordered, painted((CUT, 2)), yaml="mask_values: classes\n")
    assert marked(dataset) == [[("class-1", 35)], [("class-2", 35)]]
    assert "the value 255, which is read as void" in dataset.account.warnings[0]
    with pytest.raises(BlemishError, match=r"1\.png must show a class, or be 0 all over"):
        dataset_of(tmp_path / "b", bordered, painted((CUT, 255)), yaml="mask_values: classes\n")


def test_voc_s_palette_keeps_dark_classes_apart_and_its_border_is_void(tmp_path: Path) -> None:
    masks = [voc((CUT, number)) for number in (1, 2, 8, 16, 24, 64)]
    dataset = dataset_of(tmp_path, *masks, voc((CUT, 8), (DENT, 255)))
    labels = [these[0][0] for these in marked(dataset)]
    assert labels == [
        f"colour-{c}" for c in ("800000", "008000", "400000", "004000", "404000", "200000", "400000")
    ]
    assert all(these[0][1] == 35 and len(these) == 1 for these in marked(dataset))
    assert "void pixels" in dataset.account.warnings[0]


def test_colours_of_the_settings_name_palette_indices_too(tmp_path: Path) -> None:
    yaml = "colours: {cut: '#400000', dent: '#004000'}\n"
    dataset = dataset_of(tmp_path, voc((CUT, 8), (DENT, 16)), rgb((CUT, (0, 64, 0))), yaml=yaml)
    assert marked(dataset) == [[("cut", 35), ("dent", 24)], [("dent", 35)]]


def test_dark_colours_are_classes_and_those_near_black_are_refused(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "a", rgb((CUT, (64, 0, 0))), rgb((CUT, (0, 64, 0)), (DENT, (255, 0, 0))))
    assert marked(dataset) == [[("colour-400000", 35)], [("colour-004000", 35), ("colour-ff0000", 24)]]
    with pytest.raises(
        BlemishError, match=r"colours of masks must differ from black\. Received: \(1, 0, 0\)"
    ):
        dataset_of(tmp_path / "b", rgb((CUT, (1, 0, 0))), rgb((CUT, (2, 0, 0))))


def test_gray_masks_among_coloured_ones_are_told_of(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, rgb((CUT, (255, 0, 0))), painted((CUT, 255)))
    assert marked(dataset) == [[("colour-ff0000", 35)], [("colour-ffffff", 35)]]
    assert "white or gray is read as a class of its own" in dataset.account.warnings[0]


def test_low_regions_of_masks_with_high_ones_are_told_of(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, painted((CUT, 255), (DENT, 100)))
    assert marked(dataset) == [[("defect", 35)]]
    assert "regions of low values (100), which are read as background" in dataset.account.warnings[0]


@pytest.mark.parametrize(
    ("masks", "named"),
    [
        ([painted((CUT, 1))] * 3, []),
        ([255 - painted((CUT, 255))] * 2, ["0.png", "1.png"]),
        ([1 - painted((CUT, 1))] * 2, ["0.png", "1.png"]),
        ([painted((CUT, 255))] * 3 + [255 - painted((CUT, 255))], ["3.png"]),
        ([painted((CUT, 255)), 255 - painted(((5, 2, 20, 18), 255))], ["1.png"]),  # a large defect, inverted
        ([painted(((0, 0, 30, 12), 255))] * 2, []),  # large defects
    ],
)
def test_inverted_masks_are_told_of(tmp_path: Path, masks: list[NDArray[Any]], named: list[str]) -> None:
    lines = [line for line in dataset_of(tmp_path, *masks).account.warnings if "inverted?" in line]
    assert len(lines) == bool(named)
    assert all(f"masks/{name}" in lines[0] for name in named)


def test_noise_of_jpeg_is_neither_defect_nor_class(tmp_path: Path) -> None:
    masks = [painted(((4, 4, 20, 16), 255)), painted()]
    dataset = dataset_of(tmp_path / "a", *masks, suffix=".jpg")
    ((label, pixels),) = marked(dataset)[0]
    assert label == "defect"
    assert pixels == pytest.approx(16 * 12, rel=0.05)
    assert marked(dataset)[1] == []
    with pytest.raises(BlemishError, match=r"0\.jpg must hold class numbers.*a lossy format"):
        dataset_of(tmp_path / "b", *masks, suffix=".jpg", yaml="mask_values: classes\n")


def test_dim_masks_with_noise_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"0\.jpg must have defect pixels above 127.*'above: "):
        dataset_of(tmp_path, painted(((4, 4, 14, 12), 90)), suffix=".jpg")


def test_above_goes_before_what_values_seem_to_mean(tmp_path: Path) -> None:
    masks = [painted((CUT, 1), (DENT, 2)), painted((CUT, 1))]
    dataset = dataset_of(tmp_path, *masks, yaml="above: 1\n")
    assert marked(dataset) == [[("defect", 24)], []]
    assert "1 mask (masks/1.png) has no pixel above 1" in dataset.account.warnings[0]


def test_marks_in_the_alpha_channel_are_read_with_a_word(tmp_path: Path) -> None:
    layer = Image.merge("LA", [Image.new("L", SIZE[::-1], 255), Image.fromarray(painted((CUT, 255)))])
    dataset = dataset_of(tmp_path, layer)
    assert marked(dataset) == [[("defect", 35)]]
    assert "marked in the alpha channel alone" in dataset.account.warnings[0]
