"""The whole chain on real processes: a part's verdict, labels, a class from five boxes, compare, promote.

No command is a stand-in: the line inspects with a trained bundle, and jobs are what the runner starts.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from blemish.dataset.samples import Dataset, Sample
from blemish.station import Client
from blemish.station.add_line import add_line
from blemish.station.client import StationError
from blemish.station.line.settings import FolderSource
from tests.station.whole.running_station import (
    RunningStation,
    admin_of,
    big_picture,
    drop,
    ended_job,
    recorded,
    running,
    wait_for,
)

WIDTH, HEIGHT = 8192, 12800
BOX = [6200, 3976, 6320, 4056]
LOTS = ("lot-a", "lot-b", "lot-c", "lot-d")


@dataclass
class Chain:
    """A running station with a line "press" that watches a folder, and an engineer's client."""

    station: RunningStation
    client: Client
    watched: Path
    first_bundle: str

    def __post_init__(self) -> None:
        self.classes: dict[str, int] = {}
        self.shas: dict[str, str] = {}

    @property
    def line(self) -> int:
        return self.client.line("press").id

    def class_id(self, name: str) -> int:
        """Class of that name in the catalogue, added where it is not there."""
        if name not in self.classes:
            body = {"name": name, "colour": "#d62728", "definition": f"what looks like a {name}"}
            self.classes[name] = self.client.request("POST", "/classes", json=body)["id"]
        return self.classes[name]

    def annotate(self, sha256: str, *shapes: tuple[str, dict[str, Any]]) -> list[Any]:
        """Annotate an image by names of classes."""
        return annotate(self.client, sha256, *((self.class_id(name), shape) for name, shape in shapes))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, first_bundle: Path) -> Iterator[Chain]:
    root = tmp_path_factory.mktemp("chain")
    (root / "parts").mkdir()
    source = FolderSource(path=root / "parts", renamed=True)
    settings = add_line(root / "station", "press", bundle=first_bundle, source=source)
    assert settings.bundle is not None
    with running(root / "station") as station, admin_of(station) as admin:
        number = admin.line("press").id
        keep = {"review": True, "ng": True, "error": True, "ok_share": 1.0}
        admin.request("PATCH", f"/lines/{number}", json={"keep": keep})
        people = {"name": "emil", "password": "correct horse battery", "role": "engineer"}
        admin.request("POST", "/users", json=people)
        with Client(station.address) as client:
            client.login("emil", people["password"])
            yield Chain(station, client, root / "parts", settings.bundle.name)


def test_dropped_part_comes_into_the_live_view_with_verdict_and_picture(
    chain: Chain, tiny_dataset: Dataset
) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in chain.client.http.cookies.items())
    address = f"ws://127.0.0.1:{chain.station.port}/api/v1/lines/{chain.line}/live"
    origin = chain.station.address
    with connect(address, additional_headers={"Cookie": cookie}, origin=origin) as live:  # type: ignore[arg-type]
        drop(next(iter(tiny_dataset)).image, chain.watched, "seen.png")
        event, picture = None, None
        while event is None or picture is None:
            message = live.recv(timeout=300)
            if isinstance(message, bytes):
                picture = message
            elif (found := json.loads(message)).get("kind") == "inspection":
                event = found
    stored = recorded(chain.client, "seen")
    assert (event["seq"], event["verdict"]) == (stored["seq"], stored["verdict"])
    magic, seq, _, length = struct.unpack("<4s4xQfI", picture[:24])
    assert (magic, seq, length) == (b"BLF1", stored["seq"], len(picture) - 24)
    assert stored["bundle_id"] == chain.first_bundle


def test_class_from_five_boxes_is_compared_promoted_and_judges_the_next_part(
    chain: Chain, tiny_dataset: Dataset
) -> None:
    client, samples = chain.client, list(tiny_dataset)
    for number, sample in enumerate(samples):
        drop(sample.image, chain.watched, f"{LOTS[number % 4]}/part-{number}.png")
    pit_boxes = []
    for number, sample in enumerate(samples):
        sha = recorded(client, f"part-{number}")["image"]["sha256"]
        shapes = shapes_of(sample)
        if number % 4 != 3 and shapes and len(pit_boxes) < 5:
            shapes.append(("pit", {"kind": "box", "box": [4, 4 + number, 14, 14 + number]}))
        written = chain.annotate(sha, *shapes)
        pit_boxes += [each["id"] for each in written if each["class_id"] == chain.classes.get("pit")]
    dataset = frozen(client, "first")
    body = {
        "kind": "add_class",
        "bundle_id": chain.first_bundle,
        "class_id": chain.class_id("pit"),
        "annotation_ids": pit_boxes,
        "threads": 1,
    }
    job = ended_job(client, body)
    new = job["result"]["bundle_id"]
    assert new != chain.first_bundle
    described = client.request("GET", f"/bundles/{new}")
    assert described["parent_id"] == chain.first_bundle and described["job_id"] == job["id"]
    promotion = {"bundle_id": new, "why": "knows pits"}
    with pytest.raises(StationError, match="compare"):
        client.request("POST", f"/lines/{chain.line}/promote", json=promotion)
    asked = {"a": chain.first_bundle, "b": new, "dataset_id": dataset}
    compared = ended_job(client, asked, "/comparisons")
    promotion["comparison_id"] = compared["result"]["comparison_id"]
    doc = client.request("GET", f"/comparisons/{promotion['comparison_id']}")["doc"]
    assert doc["labelled"] == doc["images"] > 0
    client.request("POST", f"/lines/{chain.line}/promote", json=promotion)
    until_it_runs(chain, new)
    drop(samples[0].image.read_bytes() + b"\0", chain.watched, "after.png")
    assert recorded(client, "after")["bundle_id"] == new
    client.request("POST", f"/lines/{chain.line}/rollback", json={"why": "only a test"})
    until_it_runs(chain, chain.first_bundle)
    assert client.request("GET", "/audit/verify")["whole"]


def test_big_image_opens_in_tiles_and_keeps_what_is_drawn_to_the_pixel(chain: Chain) -> None:
    drop(big_picture(HEIGHT, WIDTH), chain.watched, "big.png")
    part = recorded(chain.client, "big")
    image = part["image"]
    assert (image["height"], image["width"], part["verdict"] != "ERROR") == (HEIGHT, WIDTH, True)
    sha = image["sha256"]
    levels = chain.client.request("GET", f"/images/{sha}")["levels"]
    assert chain.client.answer("GET", f"/images/{sha}/tiles/{levels - 1}/12_7").content[:3] == b"\xff\xd8\xff"
    begun = time.monotonic()
    for tile in ("12_7", "12_8", "11_7", "11_8"):
        chain.client.answer("GET", f"/images/{sha}/tiles/{levels - 1}/{tile}")
    print(f"four tiles at 1:1 in {1000 * (time.monotonic() - begun):.0f} ms")
    mask = {"kind": "mask", "box": [5119, 1024, 5120, 1025], "counts": [0, 1]}
    drawn = chain.annotate(sha, ("scratch", {"kind": "box", "box": BOX}), ("scratch", mask))
    assert [each["shape"] for each in drawn] == [{"kind": "box", "box": BOX}, mask]


def until_it_runs(chain: Chain, bundle: str) -> None:
    """Wait until the line judges by a bundle."""
    wait_for(
        lambda: (live := chain.client.line("press").fields["live"]) and live["bundle"] == bundle,
        f"the line to run {bundle}",
    )


def annotate(client: Client, sha256: str, *shapes: tuple[int, dict[str, Any]]) -> list[Any]:
    """Write the first version of an image's annotations, by numbers of classes, and read them back."""
    items = [{"class_id": number, "shape": shape} for number, shape in shapes]
    path = f"/images/{sha256}/annotations"
    client.request("PUT", path, json={"items": items}, headers={"If-Match": '"0"'})
    found: list[Any] = client.request("GET", path)["items"]
    return found


def shapes_of(sample: Sample) -> list[tuple[str, dict[str, Any]]]:
    """What a sample shows, as boxes."""
    return [
        (each.label, {"kind": "box", "box": list(each.box_xyxy)})
        for each in sample.annotations
        if each.box_xyxy is not None
    ]


def frozen(client: Client, name: str) -> int:
    """Number of a new data set of the lots, frozen."""
    number: int = client.request("POST", "/datasets", json={"name": name, "choice": {"lots": LOTS}})["id"]
    made = client.request("POST", f"/datasets/{number}/freeze", json={"val_share": 0.25, "test_share": 0.25})
    assert min(made["num_images"].values()) > 0
    return number
