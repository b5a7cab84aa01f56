"""Files below a folder: each is an image to be inspected, or is named with the reason why it is not."""

from __future__ import annotations

import os
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.folder_lock import LOCK_NAME
from blemish.inspector import found_files
from blemish.inspector.found_files import FoundFiles, Why, files_below


def found_in(folder: Path) -> tuple[list[str], dict[str, Why]]:
    """(images, left out with the reason), as paths relative to the folder."""
    found = files_below(folder)
    names = [path.relative_to(folder).as_posix() for path in found.images]
    return names, {Path(left.path).relative_to(folder).as_posix(): left.why for left in found.left_out}


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_suffixes_count_in_any_case_and_videos_are_found_as_well(tmp_path: Path) -> None:
    touch(tmp_path, "a.PNG", "b.JpEg", "c.TIFF", "in/d.MP4", "in/e.webp", "readme.md", "labels.json")
    assert found_in(tmp_path) == (
        ["a.PNG", "b.JpEg", "c.TIFF", "in/d.MP4", "in/e.webp"],
        {"readme.md": Why.OTHER, "labels.json": Why.OTHER},
    )


def test_sheets_and_tables_of_an_inspection_are_its_own_and_those_of_others_are_not(tmp_path: Path) -> None:
    written = ["sheet.png", "sheet-01.png", "sheet-12.png", "sheet-100.png", "inspections.csv", "defects.csv"]
    others = ["sheet-1.png", "sheet-metal.png", "a-sheet.png", "sheet.PNG"]
    for folder, record in (
        ("out", "inspections.jsonl"),
        ("stopped", "inspections.jsonl.part"),
        ("parts", "a.txt"),
    ):
        touch(tmp_path, *(f"{folder}/{name}" for name in (*written, *others, record)))
    for folder in ("out", "stopped"):
        images, left_out = found_in(tmp_path / folder)
        assert images == sorted(others)
        assert {name for name, why in left_out.items() if why is Why.WRITTEN} >= set(written)
    images, left_out = found_in(tmp_path / "parts")
    assert set(images) == {name for name in (*written, *others) if name.lower().endswith("png")}
    assert left_out["defects.csv"] is Why.OTHER


def test_links_are_followed_each_real_folder_once(tmp_path: Path) -> None:
    touch(tmp_path, "line/a.png", "lot2/b.png", "lot2/deep/c.png")
    (tmp_path / "line" / "lot2").symlink_to("../lot2")
    (tmp_path / "line" / "again").symlink_to(tmp_path / "lot2")
    (tmp_path / "lot2" / "deep" / "up").symlink_to("../..")  # a loop
    (tmp_path / "line" / "file.png").symlink_to("a.png")
    images, left_out = found_in(tmp_path / "line")
    assert Counter(Path(name).name for name in images) == Counter(["a.png", "file.png", "b.png", "c.png"])
    assert set(left_out.values()) == {Why.TWICE}


def test_two_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    for name in "xyz":
        (tmp_path / name).symlink_to(".")
    assert found_in(tmp_path) == (["a.png"], dict.fromkeys("xyz", Why.TWICE))


def test_links_that_lead_nowhere_are_lacks(tmp_path: Path) -> None:
    for name in ("lot3", "a.png", "notes.txt"):
        (tmp_path / name).symlink_to("unmounted/" + name)
    images, left_out = found_in(tmp_path)
    assert images == ["a.png"], "to be an ERROR"
    assert left_out == {"lot3": Why.CLOSED, "notes.txt": Why.OTHER}
    assert Why.CLOSED.is_lack and not Why.OTHER.is_lack


def test_a_folder_that_cannot_be_read_is_a_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "closed/b.png")
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert found_in(tmp_path) == (["a.png"], {"closed": Why.CLOSED})


def test_hidden_files_and_folders_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "._a.png", ".cache/b.png", "__MACOSX/c.png")
    assert found_in(tmp_path) == (["a.png"], dict.fromkeys(("._a.png", ".cache", "__MACOSX"), Why.HIDDEN))


def image_bytes(kind: str) -> bytes:
    if kind == "TIFF, big":
        return struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    from io import BytesIO

    file = BytesIO()
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "BMP", "TIFF", "TIFF, big", "WEBP", "PPM", "GIF", "JPEG2000"]
)
@pytest.mark.parametrize("name", ["0001", "a.png~", "b.dat"])
def test_an_image_by_its_first_bytes_is_a_lack_whatever_its_name(
    tmp_path: Path, kind: str, name: str
) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / name).write_bytes(image_bytes(kind))
    assert found_in(tmp_path) == (["a.png"], {name: Why.UNREAD})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"BM is short for",
        b"P1 of part 3\n",
        b"0 0.5 0.5 0.1 0.1\n",
        b"<annotation/>",
        b"{}",
        b"PK\x03\x04",
        b"II",
    ],
)
def test_other_files_are_no_images(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert found_in(tmp_path) == ([], {"file": Why.OTHER})


@pytest.mark.parametrize("name", ["a.heic", "b.CR2", "c.m2ts", "d.avif", "e.raw"])
def test_types_that_are_not_read_are_lacks_by_their_suffix(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    assert found_in(tmp_path) == ([], {name: Why.UNREAD})


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "a.png")
    assert found_in(tmp_path) == (["a.png"], {"pipe": Why.OTHER})


def test_what_blemish_wrote_is_no_part(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "inspected/inspections.jsonl", "inspected/overlays/a.png", "inspected/own.png")
    touch(tmp_path, "stopped/inspections.jsonl.part", "stopped/overlays/a.png")
    touch(tmp_path, "run/run.json", "run/log.jsonl", "run/pictures/0.png", "run/bundle/manifest.json")
    touch(tmp_path, "space/embeddings.csv", "space/embeddings.png", f"out/{LOCK_NAME}")
    touch(
        tmp_path, "parts/overlays/b.png", "parts/pictures/c.png", "parts/run.json"
    )  # a user's folders of these names
    images, left_out = found_in(tmp_path)
    assert images == ["a.png", "inspected/own.png", "parts/overlays/b.png", "parts/pictures/c.png"]
    written = {name for name, why in left_out.items() if why is Why.WRITTEN}
    assert written == {
        "inspected/inspections.jsonl",
        "inspected/overlays/a.png",
        "stopped/inspections.jsonl.part",
        "stopped/overlays/a.png",
        "run/pictures/0.png",
        "space/embeddings.png",
        f"out/{LOCK_NAME}",
    }
    assert found_in(tmp_path / "inspected" / "overlays") == (["a.png"], {}), "asked for by name"


def test_a_name_that_is_not_utf8_is_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    touch(tmp_path, name, os.fsdecode(b"\xff/b.png"))
    assert found_in(tmp_path)[0] == [name, os.fsdecode(b"\xff/b.png")]


NAMES = st.sampled_from(
    ["a.png", "b.JPG", ".c", "d.txt", "e", "f.heic", "g.avi", "overlays/h.png", "x/i.bmp"]
)


@given(st.sets(st.tuples(st.sampled_from(["", "lot/", "lot/deep/", ".git/"]), NAMES).map("".join)))
def test_found_files_add_up(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    """Every file is in one of the lists, once; of a hidden folder, the folder."""
    folder = tmp_path_factory.mktemp("found")
    touch(folder, *names)
    images, left_out = found_in(folder)
    assert len(images) + len(left_out) == len(files_below(folder).images + files_below(folder).left_out)
    expected = {".git" if name.startswith(".git") else name for name in names}
    assert set(images) | set(left_out) == expected and not set(images) & set(left_out)


def test_moving_images_to_those_left_out_keeps_the_number() -> None:
    found = FoundFiles([Path("a.png"), Path("in/../b.png"), Path("c.png")])
    found.leave_out_images({"b.png", "nowhere.png"}, Why.MASK)
    assert found.images == [Path("a.png"), Path("c.png")]
    assert [left.path for left in found.left_out] == ["in/../b.png"]


def test_no_suffix_is_both_read_and_not_read() -> None:
    assert found_files.is_inspected("a.png") and found_files.is_inspected("a.MKV")
    assert not found_files.is_inspected("png") and not found_files.is_inspected(".png")
