"""Pictures: the pyramid against the pixels, 16 bits in a window, crops, and files that do harm."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.station.images.tiles import level_count
from blemish.station.images.worker import ImageUnreadableError, ImageWorker, View
from tests.station.server.station_builders import Bench, FakeLine


def picture(content: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return found if found.ndim == 2 else found[:, :, ::-1]


@pytest.fixture
def colour() -> np.ndarray:
    rng = np.random.default_rng(3)
    base = cv2.resize(
        rng.integers(0, 256, (40, 60, 3), np.uint8), (1500, 1100), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(base, np.uint8)


def test_tiles_put_together_are_the_image(bench: Bench, line: FakeLine, colour: np.ndarray) -> None:
    sha = line.part("NG", pixels=colour)["image"]["sha256"]
    bench.ingest()
    facts = bench.viewer.get(f"/images/{sha}").json()
    assert (facts["levels"], facts["tile_size"], facts["tiles"]) == (3, 512, "none")
    found = np.zeros((1100, 1500, 3), np.uint8)
    for y in range(3):
        for x in range(3):
            answer = bench.viewer.get(f"/images/{sha}/tiles/2/{x}_{y}", params={"exact": True})
            tile = picture(answer.content)
            found[y * 512 : y * 512 + tile.shape[0], x * 512 : x * 512 + tile.shape[1]] = tile
            lossy = bench.viewer.get(f"/images/{sha}/tiles/2/{x}_{y}")
            assert (
                lossy.headers["content-type"] == "image/jpeg"
                and "immutable" in lossy.headers["cache-control"]
            )
            assert np.abs(picture(lossy.content).astype(int) - tile).mean() < 4
    assert np.array_equal(found, colour[:, :, ::-1])  # the line wrote BGR
    assert bench.viewer.get(f"/images/{sha}").json()["tiles"] == "ready"
    assert picture(bench.viewer.get(f"/images/{sha}/tiles/0/0_0").content).shape == (275, 375, 3)
    assert bench.viewer.get(f"/images/{sha}/tiles/2/3_0").status_code == 404
    assert bench.viewer.get(f"/images/{sha}/tiles/9/0_0").status_code == 404


@pytest.mark.parametrize(
    ("size", "levels"), [((1, 1), 1), ((512, 512), 1), ((513, 2), 2), ((8192, 12800), 6)]
)
def test_level_count(size: tuple[int, int], levels: int) -> None:
    assert level_count(*size) == levels


def test_sixteen_bits_are_exact_or_in_a_window(bench: Bench, line: FakeLine) -> None:
    pixels = np.arange(600 * 700, dtype=np.uint32).reshape(600, 700).astype(np.uint16)
    sha = line.part("NG", pixels=pixels)["image"]["sha256"]
    bench.ingest()
    exact = picture(bench.viewer.get(f"/images/{sha}/tiles/1/0_1", params={"exact": True}).content)
    assert exact.dtype == np.uint16 and np.array_equal(exact, pixels[512:, :512])
    params = {"lo": 1000, "hi": 1510, "exact": True}
    shown = picture(bench.viewer.get(f"/images/{sha}/tiles/1/0_0", params=params).content)
    expected = np.clip(np.rint((pixels[:512, :512].astype(float) - 1000) / 510 * 255), 0, 255)
    assert shown.dtype == np.uint8 and np.abs(shown - expected).max() <= 1
    assert bench.viewer.get(f"/images/{sha}/crop", params={"lo": 9, "hi": 9}).status_code == 422


def test_crop_is_cut_moved_inside_and_scaled(bench: Bench, line: FakeLine, colour: np.ndarray) -> None:
    sha = line.part("NG", pixels=colour)["image"]["sha256"]
    bench.ingest()
    box = {"x0": 1400, "y0": 1000, "x1": 9000, "y1": 1080, "exact": True}
    assert np.array_equal(
        picture(bench.viewer.get(f"/images/{sha}/crop", params=box).content), colour[1000:1080, 1400:, ::-1]
    )
    assert picture(bench.viewer.get(f"/images/{sha}/crop", params={"largest": 150}).content).shape == (
        110,
        150,
        3,
    )
    assert bench.viewer.get(f"/images/{sha}/crop", params={"x0": 5000}).status_code == 422


def test_original_is_the_file_and_one_that_was_not_kept_is_gone(bench: Bench, line: FakeLine) -> None:
    kept, gone = line.part("NG")["image"]["sha256"], line.part("OK")["image"]["sha256"]
    bench.ingest()
    content = bench.viewer.get(f"/images/{kept}/original").content
    assert hashlib.sha256(content).hexdigest() == kept
    assert bench.viewer.get(f"/images/{gone}/original").status_code == 410
    assert bench.viewer.get(f"/images/{'f' * 64}/original").status_code == 404


def test_damaged_pyramid_is_made_anew(bench: Bench, line: FakeLine) -> None:
    sha = line.part("NG")["image"]["sha256"]
    bench.ingest()
    bench.station.folder.tile_file(sha).write_bytes(b"no zip")
    assert bench.viewer.get(f"/images/{sha}/tiles/0/0_0").status_code == 503
    assert bench.viewer.get(f"/images/{sha}/tiles/0/0_0").status_code == 200


def test_image_of_sixty_thousand_a_side_and_damage_are_refused_by_the_child(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    (tmp_path / "bomb.png").write_bytes(content)
    (tmp_path / "good.png").write_bytes(cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes())
    worker = ImageWorker()
    with pytest.raises(ImageUnreadableError, match="60000"):
        worker.crop(tmp_path / "bomb.png", None, 100, View())
    assert worker.crop(tmp_path / "good.png", None, 100, View()).type == "image/jpeg", "the child lives on"
    assert worker.child is not None
    worker.child.kill()
    with pytest.raises(ImageUnreadableError, match=r"in time"):
        worker.crop(tmp_path / "good.png", None, 100, View())
    assert worker.crop(tmp_path / "good.png", None, 100, View()).data[:2] == b"\xff\xd8", (
        "a new one was started"
    )
    worker.close()
