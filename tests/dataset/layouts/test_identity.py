"""Names that label files give images: which file each means, and what is refused or told."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.dataset.layouts.identity import (
    ELSEWHERE,
    ENCODED,
    OTHER_CASE,
    OTHER_SUFFIX,
    Match,
    PathNames,
    normal,
)
from blemish.errors import BlemishError

ROOT = Path("/sets/castings")
PARTS = ("images/lotA/001.png", "images/lotA/002.png", "images/lotB/002.png")


def names(*paths: str) -> PathNames:
    return PathNames(paths, ROOT)


@pytest.mark.parametrize(
    "name",
    [
        "images/lotA/001.png",
        "./images/lotA/001.png",
        "images//lotA/./001.png",
        "images\\lotA\\001.png",
        "lotA/001.png",
        "001.png",
        "001",
        " 001.png ",
        "images/lotB/../lotA/001.png",
        "/sets/castings/images/lotA/001.png",
        "castings/images/lotA/001.png",
        "sets/castings/images/lotA/001.png",
    ],
)
def test_ways_to_write_a_path_are_one_file_without_a_doubt(name: str) -> None:
    assert names(*PARTS).find(name) == Match("images/lotA/001.png")


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("001.PNG", OTHER_CASE),
        ("LotA/001.Png", OTHER_CASE),
        ("lotA/001.jpg", OTHER_SUFFIX),
        ("lotA%2F001.png", ""),
        ("/home/annotator/project/001.png", ELSEWHERE),
        ("C:\\Users\\me\\lotA\\001.png", ELSEWHERE),
        ("\\\\server\\share\\001.png", ELSEWHERE),
        ("https://host/a/001.png?token=1", ELSEWHERE),
        ("/data/local-files/?d=upload/001.png", ELSEWHERE),
        ("../../elsewhere/001.png", ELSEWHERE),
        ("data/001.png", ELSEWHERE),
    ],
)
def test_what_was_overlooked_is_told(name: str, doubt: str) -> None:
    if not doubt:
        with pytest.raises(BlemishError, match="no such file"):
            names(*PARTS).find(name)
    else:
        assert names(*PARTS).find(name) == Match("images/lotA/001.png", doubt)


def test_percent_encoding_is_told() -> None:
    assert names("a b.png").find("a%20b.png") == Match("a b.png", ENCODED)
    assert names("a%20b.png", "a b.png").find("a%20b.png") == Match("a%20b.png")


@pytest.mark.parametrize(
    "name",
    [
        "lotB/001.png",  # another lot's picture has the name
        "lotC/001.png",
        "images/001.png",  # `images` is there, and holds no such file
        "/home/annotator/lotB/001.png",
        "other.lotA/001.png",
        "01.png",
        "001.v2",
        "",
    ],
)
def test_file_of_another_folder_or_name_is_not_meant(name: str) -> None:
    with pytest.raises(BlemishError, match=r"must hold the image .* Received: no such file"):
        names(*PARTS).find(name)


@pytest.mark.parametrize("name", ["002.png", "002", "C:\\photos\\002.png", "002.PNG"])
def test_name_of_two_files_is_refused_with_both(name: str) -> None:
    with pytest.raises(BlemishError, match=r"must mean one image.*lotA/002\.png and .*lotB/002\.png"):
        names(*PARTS).find(name)


def test_file_nearest_to_the_label_file_is_meant() -> None:
    files = names("train/images/a.png", "valid/images/a.png", "valid/images/b.png", "c.png")
    assert files.find("a.png", near="train/annotations/x.json").path == "train/images/a.png"
    assert files.find("a.png", near="valid/x.json").path == "valid/images/a.png"
    with pytest.raises(BlemishError, match="must mean one image"):
        files.find("a.png", near="annotations/x.json")
    with pytest.raises(BlemishError, match=r"no such file; valid/images/b\.png lies in another folder"):
        files.find("b.png", near="train/annotations/x.json")
    assert files.find("../valid/images/b.png", near="train/x.json").path == "valid/images/b.png"
    assert files.find("c.png", near="train/x.json").path == "c.png"  # its path is written out


def test_folder_of_the_label_file_s_own_name_is_meant() -> None:
    files = names("images/dent/a.png", "images/scratch/a.png", "images/dent/b.png")
    assert files.find("a", near="Annotations/scratch/a.xml").path == "images/scratch/a.png"
    with pytest.raises(BlemishError, match="no such file"):
        files.find("b", near="Annotations/scratch/b.xml")


def test_case_decides_where_two_files_differ_in_it() -> None:
    files = names("A.png", "a.png")
    assert files.find("a.png") == Match("a.png")
    assert files.find("A") == Match("A.png")
    with pytest.raises(BlemishError, match=r"must mean one image.*A\.png and a\.png"):
        files.find("a.PNG")


def test_dots_that_begin_no_image_suffix_belong_to_the_name() -> None:
    assert names("frame.png", "frame.001.png").find("frame.001").path == "frame.001.png"
    with pytest.raises(BlemishError, match="no such file"):
        names("frame.png").find("frame.001")


FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")


@given(st.sampled_from(FORMS), st.sampled_from(FORMS), st.booleans())
def test_letters_may_be_composed_in_either_way(
    stored: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"], folder: bool
) -> None:
    path = unicodedata.normalize(stored, "Prüfstände/Prüfteil_é.png" if folder else "Prüfteil_é.png")
    files = names(path, "b.png")
    assert files.find(unicodedata.normalize(written, path)) == Match(path)
    assert files.find(unicodedata.normalize(written, "Prüfteil_é")) == Match(path)


def test_two_files_whose_names_look_alike_are_told_apart_or_refused() -> None:
    composed, decomposed = (unicodedata.normalize(form, "ü/a.png") for form in ("NFC", "NFD"))
    files = names(composed, decomposed)
    assert files.find(composed).path == composed
    assert files.find(decomposed).path == decomposed
    with pytest.raises(BlemishError, match="must mean one image"):
        files.find("a.png")


PATHS = st.lists(
    st.lists(st.sampled_from(["a", "B", "images", "train", "1"]), min_size=1, max_size=3).map("/".join),
    min_size=1,
    max_size=6,
    unique=True,
).map(lambda stems: tuple(f"{stem}.png" for stem in stems))


@given(PATHS, st.data())
def test_whole_path_always_means_its_file(paths: tuple[str, ...], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(paths))
    assert names(*paths).find(path) == Match(path)


@given(
    PATHS, st.text(alphabet="aB1/.\\:%~ü", max_size=12), st.sampled_from(["", "images/x.json", "a/b/x.xml"])
)
def test_any_other_name_means_a_file_of_its_last_part_or_none(
    paths: tuple[str, ...], name: str, near: str
) -> None:
    try:
        found = names(*paths).find(name, near=near)
    except BlemishError:
        return
    stem = normal(name.strip().replace("\\", "/")).rpartition("/")[2].casefold()
    assert found.path in paths
    assert found.path.rpartition("/")[2].removesuffix(".png").casefold() == stem.removesuffix(".png")
