"""Maps, scores and inspections: right figures for known answers, one line for bad files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_sets import HEIGHT, WIDTH
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.evaluation.predictions.inspections import read_inspections
from blemish.evaluation.predictions.names import ImageNames
from blemish.inspection import Inspection, Verdict

Write = Callable[[Path, Any], Path]
DENT, SCRATCH = np.s_[3:11, 2:12], np.s_[5:9, 5:17]


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """0.4 on a's dent, 0.6 on half of b's scratch, 0.2 on a piece of c; d 0.5 on its dent and 0.1 beside."""
    folder = tmp_path / "maps"
    folder.mkdir()
    values = {name: np.zeros((HEIGHT, WIDTH), np.float32) for name in "abcde"}
    values["a"][DENT], values["b"][5:9, 5:11], values["c"][0:4, 0:4] = 0.4, 0.6, 0.2
    values["d"][1:7, 1:7], values["d"][10:14, 10:14], values["e"][2:4, 2:4] = 0.5, 0.1, 0.1
    for name in "abde":
        np.save(folder / f"{name}.npy", values[name])
    cv2.imwrite(str(folder / "c.png"), np.round(values["c"] * 65535).astype(np.uint16))
    return folder


def test_maps_are_cut_where_the_validation_images_say(outlines: Path, maps: Path, measured: Any) -> None:
    evaluation, notes = measured(maps, outlines)
    pixel = evaluation.metrics["pixel"]
    assert 0.1 < pixel["threshold"] <= 0.5
    assert (pixel["precision"], pixel["recall"]) == (1, pytest.approx((80 + 24) / 128))
    assert evaluation.metrics["operating_point"]["threshold"] == pytest.approx(0.3)
    assert evaluation.metrics["image"]["accuracy"] == 1
    assert "type" not in evaluation.metrics, "maps name no types"
    assert "2 validation images" in notes[0]


def test_a_given_threshold_cuts_pixels_and_images_alike(outlines: Path, maps: Path, measured: Any) -> None:
    evaluation, _ = measured(maps, outlines, threshold=0.5)
    assert evaluation.metrics["pixel"]["recall"] == pytest.approx(24 / 128)
    verdicts = [str(record.inspection.verdict) for record in evaluation.records]
    assert verdicts == ["OK", "NG", "OK"]
    assert [len(record.inspection.defects) for record in evaluation.records] == [0, 1, 0]
    scores = np.zeros((3, HEIGHT, WIDTH), np.float32)
    scores[0][DENT], scores[1][5:9, 5:11], scores[2][0:4, 0:4] = 0.4, 0.6, 0.2
    truth = np.zeros(scores.shape, bool)
    truth[0][DENT], truth[1][SCRATCH] = True, True
    expected = average_precision_score(truth.ravel(), scores.ravel())
    assert evaluation.metrics["pixel"]["auprc"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("a.npy", np.full((HEIGHT, WIDTH), 2.0), "must hold pixel scores in [0, 1]. Received: 0 to 2"),
        ("a.npy", np.full((HEIGHT, WIDTH), np.nan), "must hold pixel scores in [0, 1]. Received: nan"),
        ("a.npy", np.zeros((WIDTH, HEIGHT)), "Received: 20×30 for 30×20"),
        ("a.npy", np.zeros((HEIGHT, WIDTH, 3)), "must be a gray map"),
        ("a.npy", np.zeros((HEIGHT, WIDTH), np.int64), "must hold floats in [0, 1]. Received: int64"),
        ("a.png", np.zeros((HEIGHT, WIDTH), np.uint8), "a.png must have a single map. Received: "),
        ("x.npy", np.zeros((HEIGHT, WIDTH)), "a name that is not there, first 'x.npy'"),
    ],
)
def test_bad_maps_are_one_line(
    outlines: Path, maps: Path, measured: Any, name: str, values: Any, message: str
) -> None:
    if name.endswith(".png"):
        cv2.imwrite(str(maps / name), values)
    else:
        np.save(maps / name, values)
    with pytest.raises(BlemishError) as caught:
        measured(maps, outlines)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_array_and_no_folder_of_maps(
    outlines: Path, maps: Path, measured: Any, written: Write
) -> None:
    (maps / "a.npy").write_bytes(b"no array")
    with pytest.raises(BlemishError, match="must be an array file"):
        measured(maps, outlines)
    (maps / "empty").mkdir()
    with pytest.raises(BlemishError, match="must hold maps"):
        measured(maps / "empty", outlines)
    with pytest.raises(BlemishError, match=r"must be COCO results .* Received: '\.txt'"):
        measured(written(maps / "a.txt", "image,score"), outlines)
    with pytest.raises(BlemishError, match="must exist"):
        measured(maps / "none.json", outlines)


def test_scores_of_images_alone_say_nothing_of_places(
    boxes: Path, tmp_path: Path, measured: Any, written: Write
) -> None:
    scores = {"a": 0.9, "b": 0.35, "c": 0.4, "d": 0.8, "e": 0.3}
    text = "image,score\n" + "".join(f"images/{name}.png,{score}\n" for name, score in scores.items())
    evaluation, _ = measured(written(tmp_path / "s.csv", text), boxes)
    metrics = evaluation.metrics
    assert metrics["image"]["auroc"] == roc_auc_score([1, 1, 0], [0.9, 0.35, 0.4]) == 0.5
    assert not {"pixel", "defect", "detection", "type"} & metrics.keys()
    assert metrics["operating_point"]["threshold"] == pytest.approx(0.55)
    assert metrics["operating_point"]["escapes"]["n"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,score\na,1\n", "Received: picture, score. Add column 'image'"),
        ("", "Received: nothing"),
        ("image,score\na,high\n", "line 2: a score must be a number in [0, 1]. Received: 'high'"),
        ("image,score\na,0.5\nb\n", "line 3 must have 2 fields, as the first line has. Received: 1 (b)"),
        ("image,score\na,0.5\na.png,0.4\n", "line 3: an image must appear once"),
        ("image,score\na,0.5\nz,0.4\n", "a name that is not there, first 'z'"),
        ("image,score\na,0.5\n", "none for 2 of 3"),
        ("image,score\nd,0.5\n", "no prediction for any of its 3 images"),
    ],
)
def test_bad_scores_are_one_line(
    boxes: Path, tmp_path: Path, measured: Any, written: Write, text: str, message: str
) -> None:
    with pytest.raises(BlemishError) as caught:
        measured(written(tmp_path / "s.csv", text), boxes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 must be an inspection"),
        ("[]", "line 1 must be an inspection"),
        ('{"image": "a"}', "Received: no 'size'"),
        (
            '{"image": "a", "size": [20, 30], "verdict": "OK", "score": 3, "defects": [], "bundle": "b", '
            '"timings_ms": {}, "error": null}',
            "a score must be a number in [0, 1]. Received: 3",
        ),
    ],
)
def test_bad_inspections_are_one_line(
    boxes: Path, tmp_path: Path, measured: Any, written: Write, line: str, message: str
) -> None:
    with pytest.raises(BlemishError) as caught:
        measured(written(tmp_path / "i.jsonl", line + "\n"), boxes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cap/1/x.png", "cap/1/x.png"),
        ("cap/1/x", "cap/1/x.png"),
        ("/elsewhere/data/cap/1/x.png", "cap/1/x.png"),
        ("1\\x.npy", "cap/1/x.png"),
        ("y.npy", "cap/2/y.bmp"),
        ("y.png", "cap/2/y.bmp"),
        ("y.bmp.npy", "cap/2/y.bmp"),
        ("3/x.png", None),
        ("z", None),
    ],
)
def test_names_are_ends_of_paths(tmp_path: Path, name: str, found: str | None) -> None:
    for file in ("cap/1/x.png", "cap/2/x.png", "cap/2/y.bmp"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / file), np.zeros((4, 4), np.uint8))
    names = ImageNames(load_dataset(tmp_path, layout="labels"))
    sample = names.find(name)
    assert (sample and sample.id) == found
    with pytest.raises(BlemishError, match="The name 'x' must mean one image"):
        names.find("x")


def test_the_images_themselves_are_no_maps(outlines: Path, measured: Any) -> None:
    with pytest.raises(BlemishError, match=r"the image itself\. Give the folder"):
        measured(outlines, outlines)


def test_a_name_with_an_unusual_line_break_is_one_line(tmp_path: Path) -> None:
    name = "part\u2028 7.png"  # a line break to str.splitlines, and to no JSON reader
    Image.new("L", (8, 8), 90).save(tmp_path / name)
    (tmp_path / "good").mkdir()
    (tmp_path / name).rename(tmp_path / "good" / name)
    dataset = load_dataset(tmp_path, layout="labels")
    line = Inspection(f"good/{name}", (8, 8), Verdict.OK, 0.1, (), "b").to_json()
    file = tmp_path / "inspections.jsonl"
    file.write_bytes(json.dumps(line, ensure_ascii=False).encode() + b"\r\n")
    assert read_inspections(file, dataset).covered == {f"good/{name}"}
