"""Training of the memory under every regime of labels, on photographs of small parts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blemish.bundle import Bundle, load_bundle
from blemish.errors import BlemishError
from blemish.images.tiling import Tiling
from blemish.inspection import Verdict
from blemish.inspector.loading import inspector_of
from blemish.methods.memory.inference import patches_of
from blemish.methods.memory.nearest import PatchMemory
from blemish.methods.memory.settings import MemorySettings
from tests.methods.memory.conftest import SPOT_XY, part, with_spot, write

Trained = Callable[..., tuple[Bundle, list[str]]]


def test_good_images_alone_make_a_bundle_that_alarms(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "good-alone"
    for number in range(6):
        write(data / "good" / f"{number}.png", part(number))
    bundle, said = trained(data)
    assert "Learns from 6 good images: a memory of good patches alone, as no image is marked." in said
    # 6 of 6 below: 1 − 0.05^(1/6) = 39.3 %, told and kept.
    assert any("0 of 6 good rejected (true rate at most 39.3 %)" in line for line in said)
    point = bundle.manifest.operating_point
    assert point is not None and point.overkill.of == 6
    assert point.overkill.upper95 == pytest.approx(1 - 0.05 ** (1 / 6))
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    found = inspector.judge(with_spot(part(50)), "spot", with_maps=True)
    assert found.verdict is Verdict.NG
    left, top, right, bottom = found.defects[0].box_xyxy
    assert left < SPOT_XY[0] < right and top < SPOT_XY[1] < bottom
    assert inspector.judge(part(51), "good").score < found.score


def test_one_good_image_is_enough_to_begin_with_and_the_notes_say_what_it_leaves_open(
    tmp_path: Path, trained: Trained
) -> None:
    data = tmp_path / "one"
    write(data / "good" / "a.png", part(0))
    bundle, said = trained(data)
    assert any("One good image says nothing on how good parts differ" in line for line in said)
    assert any("0 of 1 good rejected (true rate at most 95.0 %)" in line for line in said)
    assert any("One good image" in note for note in bundle.manifest.notes)
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    bad, good = (inspector.judge(pixels, "x").score for pixels in (with_spot(part(1)), part(1)))
    assert bad > good


def test_a_planted_defect_is_named_in_the_notes(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "planted"
    for number in range(8):
        write(data / "good" / f"{number}.png", part(number))
    write(data / "good" / "planted.png", with_spot(part(9)))
    _, said = trained(data)
    (note,) = [line for line in said if line.startswith("Patches farthest from all others")]
    assert "planted.png at 6" in note and "0.png" not in note.replace("planted.png", "")


def test_images_of_mixed_sizes_are_learned_from(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "mixed"
    for number, size in enumerate([(96, 96), (64, 128), (131, 97), (96, 96)]):
        write(data / "good" / f"{number}.png", part(number, size))
    bundle, _ = trained(data)
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    assert inspector.judge(part(9, (80, 110)), "x", with_maps=True).maps["score_map"].shape == (80, 110)


def test_labels_teach_a_head_with_the_same_command(parts: Path, tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "labels"
    shutil.copytree(parts, data)
    for number in range(4):
        write(data / "train" / "bad" / f"b{number}.png", with_spot(part(300 + number)))
    bundle, said = trained(data)
    assert any(
        "and from 4 defective, a head (0 outlined, 0 with boxes, 4 by label alone)" in line for line in said
    )
    assert "head" in bundle.networks
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    assert inspector.judge(with_spot(part(51)), "x").score > inspector.judge(part(51), "x").score


def test_without_a_good_image_nothing_is_learned(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "bad-alone"
    for number in range(3):
        write(data / "bad" / f"{number}.png", with_spot(part(number)))
    (data / "dataset.yaml").write_text("clean: []\n")
    with pytest.raises(BlemishError, match=r"memory learns what is good.*Add images of good parts\."):
        trained(data)


def test_jittered_light_is_learned_as_good(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "light"
    for number in range(4):
        write(data / "good" / f"{number}.png", part(number))
    brighter = np.clip(1.1 * part(20) + 10, 0, 255).astype(np.uint8)
    distances = []
    for views in (0, 4):
        bundle, _ = trained(data, light_views=views, pool=12_000, memory=3000)  # all patches
        inspector = inspector_of(bundle, device="cpu")
        features, _ = inspector.inference.features(brighter, inspector.networks)
        memory = PatchMemory(bundle.networks["patches"]["good"], neighbours=1)
        distances.append(memory.distances(patches_of(features)).mean())
        shutil.rmtree(bundle.path.parent)
    assert distances[1] < distances[0]


def test_a_shifted_part_is_judged_in_its_own_place_with_alignment(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "aligned"
    for number in range(4):
        write(data / "good" / f"{number}.png", part(number))
    bundle, _ = trained(data, align="translation")
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    moved = np.roll(with_spot(part(5)), (6, -9), axis=(0, 1))
    values = inspector.judge(moved, "x", with_maps=True).maps["score_map"]
    inner = values[16:80, 16:80]  # its border shows what was rolled in
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    assert abs(row + 16 - (SPOT_XY[1] + 6)) <= 10 and abs(column + 16 - (SPOT_XY[0] - 9)) <= 10


def test_settings_that_do_not_fit_are_refused_in_a_line() -> None:
    for settings, message in (
        ({"size": 250}, "size must be a multiple of 16. Received: 250. Use 256."),
        ({"size": 256, "tile": 640}, "tile has no effect with size=256"),
        ({"size": None, "align": "rigid"}, "align must be none with size=null"),
    ):
        with pytest.raises(ValueError, match=message):
            MemorySettings.model_validate(settings)


def test_tiles_give_what_the_whole_image_gives(tmp_path: Path, trained: Trained) -> None:
    data = tmp_path / "tiles"
    for number in range(3):
        write(data / "good" / f"{number}.png", part(number))
    bundle, _ = trained(data, size=None)
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    inference = inspector.inference
    assert inference.streams == "masks"
    large = with_spot(part(7, (160, 700)))
    whole = inference.forward(large, inspector.networks)
    halo = inference.tiles.halo
    small = replace(inference, tiles=Tiling(2 * halo + 64, halo, inference.stride))
    np.testing.assert_allclose(small.forward(large, inspector.networks), whole, atol=1e-4)
