"""Files of predictions with one mutation: read with all predictions, told of, or refused in a line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import metrics_json
from blemish.evaluation.predictions import Judgement, evaluate_predictions, read_predictions
from blemish.inspection import Inspection, Verdict
from blemish.progress import Reporter
from blemish.regions.filled_boxes import defect_of_box
from tests.fuzz.harness import DAMAGE, HARMLESS, LOSSES, Draw, Mutation, limited_time, settings
from tests.fuzz.outcomes import note_outcome

SIZE = (16, 24)
CLASSES = {701: "dent", 352: "scratch"}
# Names and ids that are several letters apart, so that a changed letter makes none of them another.
IMAGES = {"alpha": 101, "bravo": 225, "charlie": 338, "delta": 452}
MARKED = {"alpha": (2, 3, 8, 9), "bravo": (5, 5, 9, 15)}
SCORES = {"alpha": 0.91, "bravo": 0.55, "charlie": 0.25, "delta": 0.125}
MUTATIONS: tuple[Mutation, ...] = (*HARMLESS, *LOSSES, *DAMAGE)


def coco_dataset(root: Path) -> Path:
    rows: list[dict[str, object]] = []
    root.mkdir()
    for name, number in IMAGES.items():
        cv2.imwrite(str(root / f"{name}.png"), np.full(SIZE, number % 250, np.uint8))
        if name in MARKED:
            left, top, right, bottom = MARKED[name]
            place = {"category_id": 701, "bbox": [left, top, right - left, bottom - top]}
            polygon = [left, top, right, top, right, bottom, left, bottom]
            rows.append({"id": len(rows) + 1, "image_id": number, "segmentation": [polygon], **place})
    content = {
        "images": [{"id": number, "file_name": f"{name}.png"} for name, number in IMAGES.items()],
        "annotations": rows,
        "categories": [{"id": number, "name": name} for number, name in CLASSES.items()],
    }
    (root / "labels.json").write_text(json.dumps(content))
    return root


def scores_file(folder: Path, separator: str = ",", point: str = ".") -> None:
    lines = [separator.join(("image", "score"))]
    lines += [
        separator.join((f"{name}.png", str(score).replace(".", point))) for name, score in SCORES.items()
    ]
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")


def results() -> list[dict[str, object]]:
    """Results of every image, with boxes and outlines."""
    listed: list[dict[str, object]] = []
    for name, score in SCORES.items():
        left, top, right, bottom = MARKED.get(name, (1, 1, 4, 6))
        polygon = [left, top, right, top, right, bottom, left, bottom]
        box = [left, top, right - left, bottom - top]
        mark = {"category_id": 701, "bbox": box, "segmentation": [polygon], "score": score}
        listed.append({"image_id": IMAGES[name], **mark})
    return listed


def coco_list(folder: Path) -> None:
    (folder / "results.json").write_text(json.dumps(results()))


def coco_whole(folder: Path) -> None:
    content = json.loads((coco_dataset(folder / "data") / "labels.json").read_text())
    shutil.rmtree(folder / "data")
    rows = [{"id": number, **row} for number, row in enumerate(results())]
    (folder / "results.json").write_text(json.dumps({**content, "annotations": rows}))


def inspections_file(folder: Path) -> None:
    lines = []
    for name, score in SCORES.items():
        found = (defect_of_box(MARKED[name], "dent", score),) if name in MARKED else ()
        verdict = Verdict.NG if found else Verdict.OK
        timings = {"read": 1.5, "total": 3.25}
        line = Inspection(f"{name}.png", SIZE, verdict, score, found, "b", timings_ms=timings)
        lines.append(json.dumps(line.to_json()))
    (folder / "inspections.jsonl").write_text("\n".join(lines) + "\n")


def maps_folder(folder: Path) -> None:
    for name, score in SCORES.items():
        values = np.linspace(0, score, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
        if name in ("alpha", "charlie"):
            np.save(folder / f"{name}.npy", values)
        else:
            cv2.imwrite(str(folder / f"{name}.png"), (values * 65535).astype(np.uint16))


KINDS: dict[str, Callable[[Path], None]] = {
    "scores": scores_file,
    "scores with a decimal comma": lambda folder: scores_file(folder, ";", ","),
    "COCO list": coco_list,
    "whole COCO file": coco_whole,
    "inspections": inspections_file,
    "maps": maps_folder,
}


@dataclass(frozen=True)
class Measured:
    """Predictions by image, and all that was said but for the line that counts them."""

    numbers: Mapping[str, int]
    words: frozenset[str]


def measured(folder: Path, dataset: Dataset, *, is_maps: bool) -> Measured:
    """Measure the predictions in the folder. Raises BlemishError where they are refused."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in (".csv", ".json", ".jsonl")]
    path = folder if is_maps or not files else files[-1]
    judgement, reporter = Judgement(threshold=0.5, none_found=True), Reporter(quiet=True)
    with limited_time(folder):
        predictions = read_predictions(path, dataset, data=dataset.root, split="all")
        evaluation, notes = evaluate_predictions(predictions, dataset, "all", judgement, reporter)
        metrics_json(evaluation)
    words = (note for note in notes if not note.startswith("Predictions read:"))
    return Measured(dict(predictions.numbers), frozenset(words))


def assert_measured_or_told(
    template: Path, whole: Measured, dataset: Dataset, draw: Draw, *, is_maps: bool
) -> None:
    """Apply a mutation to a copy of the predictions, and hold its measurement against that of the whole."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "predictions"
        shutil.copytree(template, root)
        change = draw(st.sampled_from(MUTATIONS))(root, draw)
        hypothesis.note(change)
        try:
            read = measured(root, dataset, is_maps=is_maps)
        except BlemishError as error:
            assert "\n" not in str(error), "a refusal is one line"
            note_outcome("predictions", "refused")
            return
    assert read.numbers == whole.numbers or read.words - whole.words, (
        f"{change}: {whole.numbers} became {read.numbers} without a word"
    )
    note_outcome("predictions", "read with a word more" if read.words - whole.words else "read as whole")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(coco_dataset(tmp_path_factory.mktemp("data") / "data"))


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_predictions_are_measured_or_told_of(
    kind: str, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    template = tmp_path_factory.mktemp("predictions")
    KINDS[kind](template)
    is_maps = kind == "maps"
    whole = measured(template, dataset, is_maps=is_maps)

    @settings
    @given(st.data())
    def run(data: st.DataObject) -> None:
        assert_measured_or_told(template, whole, dataset, data.draw, is_maps=is_maps)

    run()
