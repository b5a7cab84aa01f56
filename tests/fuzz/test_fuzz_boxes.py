"""The readers of COCO, Pascal VOC and YOLO on fuller trees, with mutations of what their files hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataset import builders
from tests.fuzz.harness import MUTATIONS, Draw, assert_read_or_told, drawn_file, nodes, settings

SPLITS = {"train": "abc", "val": "de"}


def coco_tree(root: Path) -> Path:
    """Two files of images with sizes, boxes, polygons, run lengths, crowd regions and image labels."""
    number = 0
    for split, names in SPLITS.items():
        images, marks = [], []
        for image_id, name in enumerate(names):
            builders.write_image(root / split / f"{name}.png")
            images.append({"id": image_id, "file_name": f"{name}.png", "width": 30, "height": 20})
            box = [2 + 3 * image_id, 3, 4, 5]
            x, y = box[:2]
            outline = [[x, y, x + 4, y, x + 4, y + 5, x, y + 5]]
            runs = {"counts": [x * 20 + 3, 5, 15, 5, 15, 5, 15, 5, 600 - x * 20 - 68], "size": [20, 30]}
            for segmentation in (outline, runs, []) if name != "c" else ():
                number += 1
                mark = {"id": number, "image_id": image_id, "category_id": number % 2 + 1, "bbox": box}
                marks.append({**mark, "segmentation": segmentation, "iscrowd": int(number == 2)})
        classes = [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}]
        content = {"info": {}, "images": images, "annotations": marks, "categories": classes}
        builders.text(root / "annotations" / f"instances_{split}.json", json.dumps(content))
    return root


def voc_tree(root: Path) -> Path:
    """A development kit: sizes, difficult objects, lists of two splits, a clean image."""
    for split, names in SPLITS.items():
        for number, name in enumerate(names):
            builders.write_image(root / "JPEGImages" / f"{name}.png")
            boxes = [("dent", 2, 3 + number, 9, 12), ("scratch", 11, 2, 20 + number, 8)]
            builders.voc_file(root / "Annotations" / f"{name}.xml", f"{name}.png", boxes[: 2 * (name != "c")])
            path = root / "Annotations" / f"{name}.xml"
            size = "<size><width>30</width><height>20</height><depth>1</depth></size>"
            text = path.read_text().replace("</filename>", f"</filename>{size}")
            path.write_text(text.replace("</name>", "</name><difficult>1</difficult>", 1))
        builders.text(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(names) + "\n")
    return root


def yolo_tree(root: Path) -> Path:
    """Boxes and polygons in folders of two splits; the clean image has an empty label file."""
    for split, names in SPLITS.items():
        for number, name in enumerate(names):
            builders.write_image(root / "images" / f"{split}1" / f"{name}.png")
            lines = f"0 0.5 0.{number + 3} 0.25 0.5\n1 0.1 0.1 0.4 0.1 0.4 0.6 0.1 0.6\n"
            text = lines if name != "c" else ""
            builders.text(root / "labels" / f"{split}1" / f"{name}.txt", text)
    data = "path: .\ntrain: images/train1\nval: images/val1\nnc: 2\nnames: {0: dent, 1: scratch}\n"
    builders.text(root / "data.yaml", data)
    return root


TREES: dict[str, Callable[[Path], Path]] = {"coco": coco_tree, "voc": voc_tree, "yolo": yolo_tree}


def lost_key(root: Path, draw: Draw) -> str:
    """Take a key from an object of a JSON file, but not the crowd flag, which is 0 where it is absent."""
    path = drawn_file(root, draw, (".json",))
    content = json.loads(path.read_text())
    places = [(h, k) for h, k in nodes(content) if isinstance(h, dict) and k != "iscrowd"]
    holder, key = draw(st.sampled_from(places))
    del holder[key]
    path.write_text(json.dumps(content))
    return f"{path.name}: '{key}' lost"


def swapped_or_shared_value(root: Path, draw: Draw) -> str:
    """Give a value of a JSON file to another place of its key: it then stands for two things."""
    path = drawn_file(root, draw, (".json",))
    content = json.loads(path.read_text())
    places = list(nodes(content))
    holder, key = draw(st.sampled_from(places))
    others = [(h, k) for h, k in places if k == key and h is not holder and isinstance(h, dict)]
    hypothesis.assume(others)
    other, _ = draw(st.sampled_from(others))
    if draw(st.booleans()):
        other[key], holder[key] = holder[key], other[key]
    else:
        other[key] = holder[key]
    path.write_text(json.dumps(content))
    return f"{path.name}: '{key}' given to another"


def doubled_entry(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw, (".json",))
    content = json.loads(path.read_text())
    lists: list[list[Any]] = [value for value in content.values() if isinstance(value, list) and value]
    entries = draw(st.sampled_from(lists))
    entries.append(dict(draw(st.sampled_from(entries))))
    path.write_text(json.dumps(content))
    return f"{path.name}: an entry twice"


def other_folder_in_name(root: Path, draw: Draw) -> str:
    """Write another folder before the file names of a JSON or XML file."""
    path = drawn_file(root, draw, (".json", ".xml"))
    folder = draw(st.sampled_from(["x/", "val/", "/home/me/", "C:\\\\me\\\\", "./", "images/", "..\\\\"]))
    text = path.read_text()
    count = draw(st.integers(1, max(1, text.count(".png"))))
    changed = re.sub(r"([a-e]\.png)", lambda match: folder + match[1], text, count=count)
    hypothesis.assume(changed != text)
    path.write_text(changed)
    return f"{path.name}: {count} names in {folder}"


def doubled_line(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw, (".txt", ".yaml"))
    lines = path.read_text().splitlines()
    hypothesis.assume(lines)
    line = draw(st.sampled_from(lines))
    path.write_text("\n".join([*lines, line]) + "\n")
    return f"{path.name}: '{line}' twice"


def lost_word(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw, (".txt",))
    words = path.read_text().split(" ")
    hypothesis.assume(len(words) > 1)
    lost = draw(st.integers(0, len(words) - 1).filter(lambda n: "\n" not in words[n]))
    path.write_text(" ".join(words[:lost] + words[lost + 1 :]))
    return f"{path.name}: word {lost} lost"


def lost_or_doubled_tag(root: Path, draw: Draw) -> str:
    """Rename, empty or double an element of an XML file; whole objects stay, as fewer may be meant."""
    path = drawn_file(root, draw, (".xml",))
    text = path.read_text()
    tags = list(re.finditer(r"<(\w+)>([^<]*)</\1>", text))
    hypothesis.assume(tags)
    tag = draw(st.sampled_from(tags))
    other = draw(st.sampled_from([f"<x>{tag[2]}</x>", f"<{tag[1]}/>", tag[0] * 2, ""]))
    path.write_text(text[: tag.start()] + other + text[tag.end() :])
    return f"{path.name}: {tag[0]} is {other}"


OWN = {
    "coco": (lost_key, swapped_or_shared_value, doubled_entry, other_folder_in_name),
    "voc": (lost_or_doubled_tag, other_folder_in_name, doubled_line),
    "yolo": (doubled_line, lost_word),
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid tree of each layout."""
    return {name: build(tmp_path_factory.mktemp(name) / name) for name, build in TREES.items()}


@pytest.mark.parametrize("layout", TREES)
def test_a_mutated_tree_of_boxes_is_read_or_told_of(layout: str, trees: dict[str, Path]) -> None:
    @settings
    @given(st.data())
    def run(data: st.DataObject) -> None:
        assert_read_or_told(trees[layout], data.draw, (*OWN[layout], *MUTATIONS))

    run()
