"""`blemish station demo`: one command, and parts come to a line that inspects them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from blemish.images.decode import read_image
from blemish.station import demo
from blemish.station.demo_parts import draw_part, put_part
from blemish.station.layout import StationFolder
from blemish.station.line.settings import read_settings
from tests.station.whole.running_station import admin_of, running, wait_for


def test_one_command_shows_a_line_at_work(tiny_bundle: Path, tmp_path: Path) -> None:
    """With a bundle in place of the trained one, as it is found where the command was run before."""
    station = StationFolder(tmp_path / "station")
    shutil.copytree(tiny_bundle, station.demo / "run/bundle")
    with running(station.root, "--every", "0.2", command="demo") as opened, admin_of(opened) as admin:
        wait_for(lambda: len(list(admin.inspections())) > 2, "three parts")
        found = list(admin.inspections())
        assert {each.serial[:5] for each in found} == {"part-"} and {each.lot[:4] for each in found} == {
            "lot-"
        }
        assert all(each.image_sha256 and admin.original(each.image_sha256) for each in found)
        assert admin.line("demo").state == "running"
    settings = read_settings(station.line("demo"))
    demo.prepare_demo(station.root, quiet=True)
    assert read_settings(station.line("demo")) == settings, "a line that is there is not touched"
    assert not list(station.demo.rglob(".*.png.*")), "no part is left half-written"


def test_parts_are_whole_images_of_a_lot(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    drawn = [draw_part(generator) for _ in range(6)]
    assert len(set(drawn)) == 6
    file = put_part(tmp_path, drawn[0], datetime(2026, 11, 30, 18, 5, 7, 8000, tzinfo=UTC))
    assert file.relative_to(tmp_path).as_posix() == "lot-1130-1805/part-1130-180507-008.png"
    assert read_image(file).shape[:2] == demo.SIZE
