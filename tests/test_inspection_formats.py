"""An inspection drawn, as COCO results, as a labelme file, and as a table of arrays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from blemish.dataset.masks import polygon_mask
from blemish.defect import Defect, Rectangle
from blemish.errors import BlemishError
from blemish.images.encode import png_bytes
from blemish.inspection import Inspection, Verdict, failed

SIZE = (40, 60)
SQUARE = ((4.0, 5.0), (14.0, 5.0), (14.0, 25.0), (4.0, 25.0))
FLECK = ((20.0, 6.0), (24.0, 6.0), (24.0, 10.0), (20.0, 10.0))


def defect(label: str, box: tuple[float, ...], contour: Any = (), confidence: float = 0.5) -> Defect:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return Defect(label, confidence, box, contour, Rectangle((0.0, 0.0), 1.0, 1.0, 0.0), area)  # type: ignore[arg-type]


@pytest.fixture
def inspection() -> Inspection:
    """A scratch of two parts, and a spot of which only the box is known."""
    defects = (
        defect("scratch", (4.0, 5.0, 24.0, 25.0), (SQUARE, FLECK), 0.9),
        defect("spot", (30.0, 10.5, 36.0, 20.0), (), 0.25),
    )
    return Inspection("part.png", SIZE, Verdict.NG, 0.9, defects, "stand-in")


def test_coco_results_are_read_by_pycocotools(inspection: Inspection, tmp_path: Path) -> None:
    truth = {
        "info": {},
        "images": [{"id": 7, "file_name": "part.png", "height": 40, "width": 60}],
        "annotations": [],
        "categories": [{"id": 3, "name": "scratch"}, {"id": 5, "name": "spot"}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    results = inspection.to_coco(7, {"scratch": 3, "spot": 5})
    (tmp_path / "results.json").write_text(json.dumps(results))
    coco = COCO(str(tmp_path / "truth.json"))
    read = coco.loadRes(str(tmp_path / "results.json"))
    scratch, spot = (read.loadAnns(read.getAnnIds(catIds=[number]))[0] for number in (3, 5))
    assert (scratch["bbox"], scratch["score"]) == ([4.0, 5.0, 20.0, 20.0], 0.9)
    assert (spot["bbox"], spot["image_id"]) == ([30.0, 10.5, 6.0, 9.5], 7)
    expected = np.zeros(SIZE, np.bool_)
    expected[5:25, 4:14] = expected[6:10, 20:24] = True
    assert np.array_equal(read.annToMask(scratch).astype(bool), expected)
    assert coco_mask.area(read.annToRLE(scratch)) == 216
    assert "segmentation" not in results[1]


def test_a_class_without_a_number_is_refused(inspection: Inspection) -> None:
    with pytest.raises(
        BlemishError, match=r"Received: 'spot', and numbers for scratch, spots\. Add it\. Did you mean"
    ):
        inspection.to_coco(1, {"scratch": 1, "spots": 2})
    with pytest.raises(BlemishError, match="Received: 'spot', and numbers for scratch"):
        inspection.to_detections(["scratch"])


def test_a_labelme_file_holds_what_labelme_asks_for(inspection: Inspection) -> None:
    """Its keys, and those of shapes, are what LabelFile.load of labelme 5 reads."""
    content = json.loads(json.dumps(inspection.to_labelme("../part.png")))
    assert set(content) == {
        "version",
        "flags",
        "shapes",
        "imagePath",
        "imageData",
        "imageHeight",
        "imageWidth",
    }
    assert (content["imagePath"], content["imageHeight"], content["imageWidth"]) == ("../part.png", 40, 60)
    assert content["imageData"] is None and content["version"].startswith("5.")
    for shape in content["shapes"]:
        assert set(shape) == {"label", "points", "group_id", "description", "shape_type", "flags", "mask"}
    kinds = [(shape["label"], shape["shape_type"], shape["group_id"]) for shape in content["shapes"]]
    assert kinds == [("scratch", "polygon", 0), ("scratch", "polygon", 0), ("spot", "rectangle", None)]
    assert content["shapes"][2]["points"] == [[30.0, 10.5], [36.0, 20.0]]
    polygons = [shape["points"] for shape in content["shapes"][:2]]
    again = polygon_mask(polygons, SIZE)
    table = inspection.to_detections()
    assert table.mask is not None and np.array_equal(again, table.mask[0])


def test_a_table_has_what_supervision_takes(inspection: Inspection) -> None:
    table = inspection.to_detections(["spot", "scratch"])
    assert len(table) == 2
    assert table.xyxy.shape == (2, 4) and table.xyxy.dtype == np.float32
    assert table.xyxy[1].tolist() == [30.0, 10.5, 36.0, 20.0]
    assert table.class_id.tolist() == [1, 0] and np.issubdtype(table.class_id.dtype, np.integer)
    assert table.class_name.tolist() == ["scratch", "spot"] == table.data["class_name"].tolist()
    assert table.confidence.tolist() == pytest.approx([0.9, 0.25])
    assert table.mask is not None and table.mask.shape == (2, *SIZE) and table.mask.dtype == np.bool_
    assert table.mask.sum(axis=(1, 2)).tolist() == [216, 0]
    assert inspection.to_detections().class_id.tolist() == [0, 1]


def test_masks_are_the_pixels_found_where_the_map_is_there(inspection: Inspection) -> None:
    numbers = np.zeros(SIZE, np.int32)
    numbers[0, :3], numbers[9, 9] = 1, 2
    table = replace(inspection, maps={"defects": numbers}).to_detections()
    assert table.mask is not None and table.mask.sum(axis=(1, 2)).tolist() == [3, 1]


def test_without_defects_or_outlines_there_is_no_mask(inspection: Inspection) -> None:
    none = replace(inspection, defects=())
    table = none.to_detections(["scratch"])
    assert (len(table), table.xyxy.shape, table.mask) == (0, (0, 4), None)
    assert none.to_coco(1, {}) == [] and none.to_labelme()["shapes"] == []
    assert replace(inspection, defects=inspection.defects[1:]).to_detections().mask is None


def test_an_image_that_was_not_read_has_no_labelme_file() -> None:
    with pytest.raises(BlemishError, match=r"part\.png must have been inspected. Received: verdict ERROR"):
        failed("part.png", "truncated.", bundle="b").to_labelme()


def test_a_drawing_shows_the_defects_on_a_copy(inspection: Inspection, tmp_path: Path) -> None:
    pixels = np.full(SIZE, 90, np.uint8)
    (tmp_path / "part.png").write_bytes(png_bytes(pixels))
    drawn = inspection.draw(pixels)
    # Enlarged by 8, and a line of 18 pixels below with 4 above and below it.
    assert drawn.shape == (8 * SIZE[0] + 26, 8 * SIZE[1], 3) and drawn.dtype == np.uint8
    assert (pixels == 90).all() and (drawn != 90).any()
    assert np.array_equal(drawn, inspection.draw(tmp_path / "part.png"))
    heat = np.zeros(SIZE, np.float32)
    heat[20:, 26:] = 1
    hot = replace(inspection, maps={"score_map": heat})
    assert np.array_equal(hot.draw(pixels), drawn)
    assert not np.array_equal(hot.draw(pixels, score_map_max=1.0), drawn)
    with pytest.raises(BlemishError, match=r"the one inspected, 60×40 pixels\. Received: 40×60"):
        inspection.draw(pixels.T)


def test_a_piece_of_a_web_is_in_its_own_pixels(inspection: Inspection) -> None:
    web = replace(
        inspection, rows=(1000, 1040), defects=tuple(each.moved(1000) for each in inspection.defects)
    )
    assert web.to_coco(1, {"scratch": 1, "spot": 2}) == inspection.to_coco(1, {"scratch": 1, "spot": 2})
    pixels = np.zeros(SIZE, np.uint8)
    assert np.array_equal(web.draw(pixels), inspection.draw(pixels))


def test_json_and_back(inspection: Inspection) -> None:
    assert Inspection.from_json(json.loads(json.dumps(inspection.to_json()))) == inspection
