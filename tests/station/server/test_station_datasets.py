"""Data sets frozen from labels: whole lots, a sealed test split, and the COCO that blemish reads."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.station.database.datasets import SPLITS, shared_out
from tests.station.server.station_builders import Bench, FakeLine

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def labelled(bench: Bench, line: FakeLine, lots: int, parts: int = 3) -> list[str]:
    """Lots of annotated and reviewed parts; returns the images' hashes in their order."""
    found = []
    if not bench.viewer.get("/classes").json()["items"]:
        bench.engineer.post("/classes", json={"name": "scratch", "colour": "#d62728"})
    for lot in range(lots):
        for number in range(parts):
            pixels = np.full((40, 50), 7 * line.seq % 256, np.uint8)
            pixels[0, :2] = line.seq // 256, line.seq % 256
            record = line.part("NG", lot=f"lot{line.seq // parts}", pixels=pixels)
            bench.ingest()
            sha = record["image"]["sha256"]
            if number == 0:
                answer = bench.operator.post(f"/inspections/{record['seq']}/review", json={"verdict": "OK"})
                assert answer.status_code == 201, answer.text
            else:
                shapes = [
                    {"kind": "box", "box": [1, 2, 11, 12]},
                    {"kind": "mask", "box": [20, 3, 22, 5], "counts": [0, 4]},
                    {"kind": "turned_box", "center": [30, 20], "length": 10, "width": 4, "angle_deg": 90},
                ]
                items = [{"class_id": 1, "shape": shape} for shape in shapes]
                answer = bench.operator.put(
                    f"/images/{sha}/annotations", json={"items": items}, headers={"If-Match": "0"}
                )
                assert answer.status_code == 200, answer.text
            found.append(sha)
        assert lot >= 0
    return found


def frozen(bench: Bench, name: str, **body: object) -> dict[str, object]:
    made = bench.engineer.post("/datasets", json={"name": name}).json()
    answer = bench.engineer.post(f"/datasets/{made['id']}/freeze", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_frozen_set_has_whole_lots_and_is_read_by_blemish(
    bench: Bench, line: FakeLine, tmp_path: Path
) -> None:
    from blemish.dataset.opening import open_dataset

    labelled(bench, line, lots=5)
    line.part("NG", lot="lot9")
    bench.ingest()
    bench.operator.post("/inspections/16/review", json={"verdict": "NG"})
    made = frozen(bench, "first")
    assert made["left_out"] == 1 and sum(made["num_images"].values()) == 15  # type: ignore[attr-defined]
    assert made["num_images"] == {"train": 9, "val": 3, "test": 3}
    archive = bench.engineer.get(f"/datasets/{made['id']}/coco")
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert "annotations/instances_test.json" not in names and len(names) == 14
    whole = bench.engineer.get(f"/datasets/{made['id']}/coco", params={"with_test": True})
    zipfile.ZipFile(io.BytesIO(whole.content)).extractall(tmp_path / "coco")
    dataset = open_dataset(tmp_path / "coco")
    assert {split: len(dataset.split(split)) for split in SPLITS} == made["num_images"]
    groups = {split: {sample.group for sample in dataset.split(split)} for split in SPLITS}
    assert not groups["train"] & groups["test"] and not groups["val"] & groups["test"]
    sample = next(sample for sample in dataset.split("train") if sample.annotations)
    boxes = sorted(tuple(each.box_xyxy) for each in sample.annotations if each.box_xyxy)
    assert boxes == [(1, 2, 11, 12), (20, 3, 22, 5), (28, 15, 32, 25)]
    again = bench.engineer.post(f"/datasets/{made['id']}/freeze", json={})
    assert again.status_code == 409
    assert "dataset.test" in {each["action"] for each in bench.engineer.get("/audit").json()["items"]}
    assert not list(bench.station.folder.jobs.iterdir()), "drafts are removed"


def test_lot_that_was_test_stays_test(bench: Bench, line: FakeLine) -> None:
    from blemish.station.database.datasets import items_of

    labelled(bench, line, lots=4)
    first = frozen(bench, "first", seed=1)
    labelled(bench, line, lots=4)
    for seed in range(3):
        second = frozen(bench, f"set {seed}", seed=seed)
        with bench.station.database.reading() as session:
            before = {item.image_id for item in items_of(session, int(str(first["id"])), ("test",))}
            after = {item.image_id for item in items_of(session, int(str(second["id"])), ("test",))}
        assert before <= after


def test_too_few_lots_are_refused_with_numbers(bench: Bench, line: FakeLine) -> None:
    labelled(bench, line, lots=2)
    made = bench.engineer.post("/datasets", json={"name": "small"}).json()
    answer = bench.engineer.post(f"/datasets/{made['id']}/freeze", json={})
    assert answer.status_code == 409 and "6 images of 2 lots" in answer.json()["error"]
    assert bench.viewer.get(f"/datasets/{made['id']}").json()["frozen_at"] is None
    assert bench.engineer.get(f"/datasets/{made['id']}/coco").status_code == 409


@given(st.dictionaries(st.text(max_size=4), st.integers(1, 50), min_size=3, max_size=30), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_sharing_out_leaves_no_split_empty_and_comes_near_the_shares(
    sizes: dict[str, int], seed: int
) -> None:
    splits = shared_out(sizes, SHARES, seed, set())
    assert splits == shared_out(sizes, SHARES, seed, set()) and set(splits) == set(sizes)
    assert set(splits.values()) == set(SPLITS)
    total, largest = sum(sizes.values()), max(sizes.values())
    for split, share in SHARES.items():
        held = sum(sizes[group] for group, where in splits.items() if where == split)
        assert held <= share * total + 2 * largest
