"""Annotations: versions that only grow, conflicts that lose nothing, shapes to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.run_lengths import decode, encode
from blemish.dataset.samples import RunLengths
from blemish.station.coco_folder import coco_place
from blemish.station.shapes import MaskShape, packed, unpacked, whole_image_counts
from tests.station.server.station_builders import Bench, FakeLine

BOX = {"kind": "box", "box": [6.5, 3, 60, 40]}


@pytest.fixture
def sha(bench: Bench, line: FakeLine) -> str:
    found: str = line.part("NG")["image"]["sha256"]
    bench.ingest()
    for name in ("scratch", "spot"):
        assert bench.engineer.post("/classes", json={"name": name, "colour": "#d62728"}).status_code == 201
    return found


def put(client: object, sha: str, version: int, *items: dict[str, object]) -> object:
    return client.put(
        f"/images/{sha}/annotations", json={"items": items}, headers={"If-Match": f'"{version}"'}
    )  # type: ignore[attr-defined]


def test_versions_only_grow_and_old_ones_can_be_read(bench: Bench, sha: str) -> None:
    assert bench.viewer.get(f"/images/{sha}/annotations").json() == {"version": 0, "items": []}
    first = put(
        bench.operator,
        sha,
        0,
        {"class_id": 1, "shape": BOX},
        {"class_id": 2, "shape": {"kind": "whole_image"}},
    )
    assert first.headers["ETag"] == '"1"'
    box, whole = first.json()["items"]
    assert box["shape"] == BOX
    moved = {"id": box["id"], "class_id": 1, "shape": {**BOX, "box": [7, 3, 60, 40]}}
    second = put(
        bench.engineer, sha, 1, moved, {"id": whole["id"], "class_id": 2, "shape": whole["shape"]}
    ).json()
    assert {each["id"] for each in second["items"]} & {box["id"], whole["id"]} == {whole["id"]}
    assert put(bench.engineer, sha, 2).json() == {"version": 3, "items": []}, "said to have no defect"
    old = bench.viewer.get(f"/images/{sha}/annotations", params={"version": 1}).json()
    assert old["items"] == first.json()["items"]
    who = bench.viewer.get(f"/images/{sha}/annotations/versions").json()["items"]
    assert [(each["version"], each["by"]) for each in who] == [
        (3, "engineer"),
        (2, "engineer"),
        (1, "operator"),
    ]
    assert bench.engineer.get("/audit/verify").json()["whole"]


def test_conflict_gives_both_states(bench: Bench, sha: str) -> None:
    theirs = put(bench.operator, sha, 0, {"class_id": 1, "shape": BOX}).json()
    answer = put(bench.engineer, sha, 0, {"class_id": 2, "shape": {"kind": "whole_image"}})
    assert answer.status_code == 409
    assert answer.json()["current"] == theirs
    assert answer.json()["yours"]["items"][0]["class_id"] == 2 and answer.json()["yours"]["version"] == 0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"kind": "box", "box": [10, 10, 10, 20]}, "x0 < x1"),
        ({"kind": "box", "box": [200, 0, 210, 20]}, "must lie in the image of 96 × 64"),
        ({"kind": "polygon", "rings": [[[0, 0], [1, 1]]]}, "at least 3"),
        ({"kind": "mask", "box": [0, 0, 4, 4], "counts": [3, 4]}, "sum to the pixels"),
        ({"kind": "mask", "box": [0, 0, 4, 4], "counts": [16]}, "must have a pixel"),
        ({"kind": "mask", "box": [90, 0, 100, 1], "counts": [0, 10]}, "must lie in the image"),
        ({"kind": "circle"}, "kind"),
        (
            {"kind": "turned_box", "center": [5, 5], "length": -1, "width": 2, "angle_deg": 0},
            "greater than 0",
        ),
    ],
)
def test_bad_shape_is_refused(bench: Bench, sha: str, shape: dict[str, object], message: str) -> None:
    answer = put(bench.operator, sha, 0, {"class_id": 1, "shape": shape})
    assert answer.status_code == 422 and message in answer.json()["error"], answer.json()
    assert bench.viewer.get(f"/images/{sha}/annotations").json()["version"] == 0


def test_unknown_class_foreign_annotation_and_missing_version_are_refused(bench: Bench, sha: str) -> None:
    assert put(bench.operator, sha, 0, {"class_id": 9, "shape": BOX}).status_code == 404
    assert put(bench.operator, sha, 0, {"id": 77, "class_id": 1, "shape": BOX}).status_code == 422
    assert bench.operator.put(f"/images/{sha}/annotations", json={"items": []}).status_code == 422
    assert bench.viewer.get(f"/images/{sha}/annotations", params={"version": 5}).status_code == 404


def test_a_thousand_annotations_are_one_version(bench: Bench, sha: str) -> None:
    items = [
        {"class_id": 1, "shape": {"kind": "box", "box": [n % 90, n % 60, n % 90 + 1, n % 60 + 1]}}
        for n in range(1000)
    ]
    assert len(put(bench.operator, sha, 0, *items).json()["items"]) == 1000


def test_mask_of_one_pixel_comes_back_to_the_pixel(bench: Bench, sha: str) -> None:
    shape = {"kind": "mask", "box": [13, 7, 16, 9], "counts": [3, 1, 2]}
    assert put(bench.operator, sha, 0, {"class_id": 1, "shape": shape}).json()["items"][0]["shape"] == shape
    place = coco_place(MaskShape.model_validate(shape), 64, 96)
    mask = decode(RunLengths(tuple(place["segmentation"]["counts"]), (64, 96)))
    assert list(zip(*np.nonzero(mask), strict=True)) == [(8, 14)]
    assert place["bbox"] == [14, 8, 1, 1] and place["area"] == 1


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_mask_in_its_box_is_the_mask_in_the_image(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
    bits = data.draw(st.lists(st.booleans(), min_size=(y1 - y0) * (x1 - x0), max_size=(y1 - y0) * (x1 - x0)))
    part = np.array(bits).reshape(y1 - y0, x1 - x0)
    if not part.any():
        part[0, 0] = True
    shape = MaskShape(kind="mask", box=(x0, y0, x1, y1), counts=list(encode(part).counts))
    whole = np.zeros((height, width), bool)
    whole[y0:y1, x0:x1] = part
    assert np.array_equal(
        decode(RunLengths(tuple(whole_image_counts(shape, height, width)), (height, width))), whole
    )
    rows, columns = np.nonzero(whole)
    expected = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    assert coco_place(shape, height, width)["bbox"] == expected
    assert unpacked(packed(shape.counts)) == shape.counts
