"""`inspect --resume`: every image has one answer, and those that were given stay as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.errors import BlemishError, WrongUseError
from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY, files_below
from blemish.inspector.line_scan.web import Web
from blemish.inspector.live.options import LiveOptions
from blemish.workflows.inspect import inspect_images
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture: bundles of all methods


@pytest.fixture
def bundle(unpacked: Path) -> Path:
    """An exported bundle, so that no torch is needed."""
    return unpacked / "bundles" / "casae-onnx"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six images, a broken one, and one of two pages."""
    folder, noise = tmp_path / "images", np.random.default_rng(0)
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f"{number}.png"), noise.integers(60, 200, (96, 96), np.uint8))
    (folder / "3b.png").write_bytes(b"no picture")
    cv2.imwritemulti(str(folder / "4b.tif"), [np.full((96, 96), level, np.uint8) for level in (80, 90)])
    return folder


def inspected(bundle: Path, images: Path, out: Path, **options: Any) -> list[str]:
    """Lines of the record that an inspection leaves."""
    recorded = inspect_images([bundle], [images], out, **{"quiet": True, **options})
    lines = recorded.file.read_text().splitlines(keepends=True)
    summary = json.loads((out / SUMMARY).read_text())
    assert summary["complete"] and summary["images"] == recorded.counts.images == len(lines)
    assert sum(summary["verdicts"].values()) == len(lines)
    assert not (out / DRAFT).exists()
    return lines


def answer(line: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(line).items() if key not in ("id", "at", "timings_ms")}


def killed(out: Path, content: str) -> None:
    """Leave in a folder what a killed inspection leaves."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    (out / DRAFT).write_text(content)


CUT = '{"schema_version": 3, "ima'


@pytest.mark.parametrize(("number", "cut"), [(0, ""), (0, CUT), (1, "\0" * 64), (4, CUT), (9, "")])
def test_every_image_has_one_answer_and_those_that_were_given_stay(
    bundle: Path, images: Path, tmp_path: Path, number: int, cut: str
) -> None:
    whole = inspected(bundle, images, tmp_path / "whole")
    assert len(whole) == 9
    killed(tmp_path / "out", "".join(whole[:number]) + cut)
    lines = inspected(bundle, images, tmp_path / "out", resume=True)
    assert lines[:number] == whole[:number]
    assert list(map(answer, lines)) == list(map(answer, whole))


def test_pictures_and_tables_are_those_of_an_unbroken_inspection(
    bundle: Path, images: Path, tmp_path: Path
) -> None:
    everything = {"overlay": True, "sheet": True, "csv": True}
    whole = inspected(bundle, images, tmp_path / "whole", **everything)
    killed(tmp_path / "out", "".join(whole[:5]))
    shutil.copytree(tmp_path / "whole" / "overlays", tmp_path / "out" / "overlays")
    drawn = sorted((tmp_path / "out" / "overlays").iterdir())
    for file in drawn[3:]:  # the last one was not drawn when its line was written
        file.unlink()
    inspected(bundle, images, tmp_path / "out", resume=True, **everything)
    assert sorted((tmp_path / "out" / "overlays").iterdir()) == drawn and len(drawn) == 8
    for name in (
        "inspections.csv",
        "defects.csv",
        "sheet.png",
        *(f"overlays/{file.name}" for file in drawn[:3]),
    ):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_finished_inspection_takes_what_came_since(bundle: Path, images: Path, tmp_path: Path) -> None:
    first = inspected(bundle, images, tmp_path / "out", resume=True)
    assert inspected(bundle, images, tmp_path / "out", resume=True) == first
    shutil.copy(images / "0.png", images / "9.png")
    after = inspected(bundle, images, tmp_path / "out", resume=True)
    assert after[:-1] == first and json.loads(after[-1])["image"] == str(images / "9.png")


def test_another_picture_under_the_name_is_another_image(bundle: Path, images: Path, tmp_path: Path) -> None:
    first = inspected(bundle, images, tmp_path / "out")
    shutil.copy(images / "0.png", images / "1.png")
    after = inspected(bundle, images, tmp_path / "out", resume=True)
    assert after[:-1] == first
    assert json.loads(after[-1])["image_sha256"] == json.loads(first[0])["image_sha256"]


def test_an_image_that_is_named_twice_has_two_answers(bundle: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("images/0.png\nimages/0.png\nimages/1.png\n")
    whole = inspected(bundle, tmp_path / "twice.txt", tmp_path / "whole")
    killed(tmp_path / "out", whole[0])
    lines = inspected(bundle, tmp_path / "twice.txt", tmp_path / "out", resume=True)
    assert lines[0] == whole[0] and list(map(answer, lines)) == list(map(answer, whole))


@pytest.mark.parametrize("options", [{"mm_per_px": 0.1}, {"input_check": False}, {}])
def test_answers_of_another_bundle_or_under_other_options_are_not_gone_on_with(
    bundle: Path, unpacked: Path, images: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    inspected(bundle, images, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    other = bundle if options else unpacked / "bundles" / "casae"
    with pytest.raises(BlemishError, match="--resume goes on with the same bundle, decision and opt") as told:
        inspected(other, images, tmp_path / "out", resume=True, **options)
    assert "\n" not in str(told.value) and "line 1: casae-" in str(told.value)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("line", ["no JSON\n", "{}\n", "[]\n", '{"image": 1}\n', "\xff\n", "\n"])
def test_a_damaged_line_is_named(bundle: Path, images: Path, tmp_path: Path, line: str) -> None:
    whole = inspected(bundle, images, tmp_path / "whole")
    killed(tmp_path / "out", whole[0] + line + whole[1])
    with pytest.raises(BlemishError, match=rf"{DRAFT}, line 2 ") as told:
        inspected(bundle, images, tmp_path / "out", resume=True)
    assert "\n" not in str(told.value)
    assert (tmp_path / "out" / DRAFT).read_text() == whole[0] + line + whole[1]


@pytest.mark.parametrize("name", [DRAFT, RECORD])
@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path.parent.parent / "elsewhere")])
def test_what_is_no_file_is_refused(
    bundle: Path, images: Path, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    (tmp_path / "elsewhere").write_text("of another\n")
    (tmp_path / "out").mkdir()
    make(tmp_path / "out" / name)
    with pytest.raises(BlemishError, match=f"{name} must be a file"):
        inspected(bundle, images, tmp_path / "out", resume=True)
    assert (tmp_path / "elsewhere").read_text() == "of another\n"


def test_what_is_no_set_of_images_is_wrong_use(bundle: Path, images: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUseError, match="Received: --line-scan"):
        inspect_images([bundle], [images], tmp_path / "out", web=Web("web"), resume=True)
    with pytest.raises(WrongUseError, match="Received: a live source or --watch"):
        inspect_images([bundle], [images], tmp_path / "out", live=LiveOptions(True, 1.0, None), resume=True)


def test_without_it_answers_of_an_inspection_that_did_not_end_are_kept_aside(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = inspected(bundle, images, tmp_path / "whole"), tmp_path / "out"
    killed(out, "".join(whole[:4]) + '{"cut')
    inspected(bundle, images, out, quiet=False)
    first = out / "inspections-unfinished-1.jsonl"
    assert first.read_text() == "".join(whole[:4]) + '{"cut'
    assert f"{first} keeps the answers of an inspection that did not end" in capsys.readouterr().err
    stopped = (out / RECORD).read_text()
    summary = json.loads((out / SUMMARY).read_text())
    (out / SUMMARY).write_text(json.dumps({**summary, "complete": False}))
    inspected(bundle, images, out)
    assert (out / "inspections-unfinished-2.jsonl").read_text() == stopped
    inspected(bundle, images, out)
    assert len(list(out.glob("inspections-unfinished-*"))) == 2, "a finished one is replaced"
    assert not files_below(out).images


def test_of_two_that_did_not_end_the_later_is_gone_on_with_and_the_earlier_kept(
    bundle: Path, images: Path, tmp_path: Path
) -> None:
    whole, out = inspected(bundle, images, tmp_path / "whole"), tmp_path / "out"
    stopped = inspected(bundle, images, out)
    summary = json.loads((out / SUMMARY).read_text())
    (out / SUMMARY).write_text(json.dumps({**summary, "complete": False}))
    (out / DRAFT).write_text("".join(whole[:4]))
    assert inspected(bundle, images, out, resume=True)[:4] == whole[:4]
    assert (out / "inspections-unfinished-1.jsonl").read_text() == "".join(stopped)
