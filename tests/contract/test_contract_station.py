"""What a station's line records of every method replays to the same bytes, and a changed byte is named.

`make test-station` replays more: BLEMISH_STATION_REPLAYS=1000 decisions of each method.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.bundle import Bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.station.bundles import add_bundle
from blemish.station.layout import StationFolder
from blemish.station.line.judging import open_judge
from blemish.station.line.settings import Keep
from blemish.workflows.replay import Replay, replay
from tests.station.line.stand_in_line import asked, inspections, new_line, opened, running

REPLAYS = int(os.environ.get("BLEMISH_STATION_REPLAYS", "10"))
DECISION = """schema_version: 1
bundle: {bundle}
revision: 1
score: {{review: 0.3, ng: 0.6}}
"""


@dataclass(frozen=True)
class Recorded:
    """What a line has recorded. docs: inspections as the journal has them; images, bundle: folders"""

    docs: list[dict[str, Any]]
    images: Path
    bundle: Path

    def replayed(self, file: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Replay:
        """Outcome of a replay from a file of the docs. change: made to the first of them"""
        docs = json.loads(json.dumps(self.docs))
        if change is not None:
            change(docs[0])
        file.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
        return replay(file, self.images, bundles=[self.bundle], quiet=True)


def parts(dataset: Dataset, count: int) -> list[bytes]:
    """PNGs of a set's images, no two of them alike: each time around they are moved and a pixel is marked."""
    pixels = [cv2.imread(str(sample.image), cv2.IMREAD_GRAYSCALE) for sample in dataset]
    found = []
    for number in range(count):
        image = np.roll(pixels[number % len(pixels)], 7 * (number // len(pixels)), axis=1)
        image[0, :3] = list(number.to_bytes(3, "big"))
        found.append(cv2.imencode(".png", image)[1].tobytes())
    return found


@pytest.fixture
def recorded(
    bundle: Bundle, four_images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Recorded:
    """Decisions of a line with that bundle under a decision, every image kept."""
    station = StationFolder(tmp_path / "station")
    path = add_bundle(station, bundle.path)
    (station.root / path / "decision.yaml").write_text(DECISION.format(bundle=bundle.id))
    line = new_line(station.root, bundle=path.name, keep=Keep(ok_share=1.0))
    with running(line, monkeypatch, opened_by=open_judge):
        channel = opened(line)
        for number, content in enumerate(parts(four_images, REPLAYS)):
            assert "seq" in asked(channel, content, serial=f"part {number}")
    docs = [record["doc"] for record in inspections(line)]
    return Recorded(docs, station.images, station.root / path)


def test_a_line_s_decisions_replay_and_a_changed_byte_is_named(recorded: Recorded, tmp_path: Path) -> None:
    file = tmp_path / "inspections.jsonl"
    outcome = recorded.replayed(file)
    assert (outcome.same, outcome.lines, outcome.findings) == (REPLAYS, REPLAYS, [])
    recorded = replace(recorded, docs=recorded.docs[:3])  # a change is found among few as well

    def change_record(doc: dict[str, Any]) -> None:
        doc["score"] = float(np.nextafter(doc["score"], 2))

    assert {(each.line, each.key) for each in recorded.replayed(file, change_record).findings} == {
        (1, "score")
    }

    decision = recorded.bundle / "decision.yaml"
    with changed(decision, decision.read_bytes().replace(b"0.6", b"0.7")):
        assert {each.line for each in recorded.replayed(file).findings} == {1, 2, 3}
        assert "decision" in " ".join(map(str, recorded.replayed(file).findings))

    image = next(recorded.images.rglob(f"{recorded.docs[0]['image_sha256']}.png"))
    with changed(image, flipped(image.read_bytes(), at=-20)):
        assert {each.line for each in recorded.replayed(file).findings} == {1}

    weights = next(recorded.bundle.glob("*.safetensors"))
    with (
        changed(weights, flipped(weights.read_bytes(), at=-1)),
        pytest.raises(BlemishError, match=f"{weights.name} was changed or damaged"),
    ):
        recorded.replayed(file)


def flipped(data: bytes, *, at: int) -> bytes:
    """Data with a bit of one byte flipped."""
    found = bytearray(data)
    found[at] ^= 1
    return bytes(found)


class changed:  # noqa: N801 - as contextlib's
    """A file with other content, until the end of the block."""

    def __init__(self, file: Path, content: bytes) -> None:
        self.file, self.content, self.before = file, content, file.read_bytes()

    def __enter__(self) -> None:
        self.file.write_bytes(self.content)

    def __exit__(self, *_: object) -> None:
        self.file.write_bytes(self.before)
