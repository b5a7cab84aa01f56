"""Lists of paths as people and programs write them, and patterns."""

from __future__ import annotations

import glob
import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.errors import BlemishError
from blemish.inspector.found_files import FoundFiles, Why
from blemish.inspector.path_lists import (
    decoded_lines,
    file_lines,
    flat_matches,
    is_address,
    matches,
    matching,
    path_of,
)

# Text and line ends


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ["", "end"])
def test_lists_of_every_encoding_with_a_mark_and_every_line_end(
    tmp_path: Path, encoding: str, end: str, last: str
) -> None:
    lines = ["a.png", "Prüfling 划痕.png", "", "in/b.png"]
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "list.txt").write_bytes((mark + end.join(lines) + (end if last else "")).encode(encoding))
    assert list(file_lines(tmp_path / "list.txt")) == lines


def test_a_mark_before_the_second_file_of_joined_lists_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert path_of("\ufeffa.png", tmp_path) == tmp_path / "a.png"


def test_bytes_that_are_no_utf8_are_those_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.png\n")
    assert [os.fsencode(line) for line in file_lines(tmp_path / "list.txt")] == [b"caf\xe9.png"]


@pytest.mark.parametrize(
    "content",
    [
        b"a.png\n\x89PNG\r\n\x1a\n\x00\x00",
        b"a" * 100_000,
        "a.png\n".encode("utf-16-le"),
        "a".encode("utf-32"),
    ],
)
def test_files_that_are_no_text_are_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(
        BlemishError, match=r"list\.txt must be a list of paths, one a line, in UTF-8\. Received: "
    ):
        list(file_lines(tmp_path / "list.txt"))


@given(st.lists(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])), min_size=1))
def test_lines_come_back_as_they_were_written(lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    mark = b"\xef\xbb\xbf"
    expected = [lines[0].removeprefix("\ufeff"), *lines[1:]]
    assert list(decoded_lines(io.BytesIO(data), "list")) in (lines, expected)
    assert list(decoded_lines(io.BufferedReader(io.BytesIO(mark + data)), "list")) == lines


# Lines


@pytest.mark.parametrize(
    "line",
    [
        "in/a b.png",
        "  in/a b.png\t",
        '"in/a b.png"',
        " 'in/a b.png' ",
        "in\\a b.png",
        '"in\\a b.png"',
        ".\\in\\a b.png",
        "in/../in/a b.png",
    ],
)
def test_a_path_is_found_as_other_programs_write_it(tmp_path: Path, line: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a b.png").touch()
    path = path_of(line, tmp_path)
    assert path is not None and path.samefile(tmp_path / "in" / "a b.png")


@pytest.mark.parametrize(
    "name", [" a.png", '"a.png"', "a\\b.png", "#1.png", "# a.png", "a.png ", "http:a.png"]
)
def test_a_file_of_the_very_name_goes_first(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    for other in ("a.png", "b.png"):
        (tmp_path / other).touch()
    assert path_of(name, tmp_path) == tmp_path / name


@pytest.mark.parametrize(
    ("written", "stored"), [("Prüf.png", "Pru\u0308f.png"), ("Pru\u0308f.png", "Prüf.png")]
)
def test_letters_may_be_composed_or_not(tmp_path: Path, written: str, stored: str) -> None:
    (tmp_path / stored).touch()
    assert path_of(written, tmp_path) == tmp_path / stored


@pytest.mark.parametrize("line", ["", "  ", "\t", "# a comment", "#a.png"])
def test_blank_lines_and_comments_name_no_file(tmp_path: Path, line: str) -> None:
    assert path_of(line, tmp_path) is None


@pytest.mark.parametrize(
    "line", ["lost.png", '"lost.png"', "C:\\data\\lost.png", "a.png,1", "x" * 5000, "a\x01"]
)
def test_a_line_without_a_file_stays_a_path(tmp_path: Path, line: str) -> None:
    path = path_of(line, tmp_path)
    assert path is not None and not os.path.lexists(path)


@pytest.mark.parametrize(
    "line", ["http://a/b.png", "rtsp://a", "concat:a|b", "subfile,,:a", "pipe:0", "file:///a"]
)
def test_addresses_are_known(line: str) -> None:
    assert is_address(line) or "," in line
    assert not is_address("C:\\a.png") and not is_address("in/a.png")


# Patterns


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "a.png",
        "b.PNG",
        "n.txt",
        "s/c.png",
        "s/t/d.png",
        "s/t/e.jpg",
        ".h/f.png",
        "[1].png",
        "u/n.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "pattern", ["**/*.png", "s/**/*.png", "**/t/*", "**/*.jpg", "s/**/d.png", "**/s/**/*.jpg", "./**/*.png"]
)
def test_two_stars_match_as_glob_has_them(tree: Path, pattern: str) -> None:
    for prefix in ("", f"{tree}/"):
        names = {Path(name) for name in glob.glob(prefix + pattern, recursive=True)}  # noqa: PTH207
        expected = sorted(name for name in names if name.is_file())
        assert matching(Path(prefix + pattern)).images == expected


def test_a_loop_of_links_ends(tree: Path) -> None:
    for name in "xyz":
        (tree / "s" / name).symlink_to("..")
    names = [path.name for path in matching(tree / "**" / "*.png").images]
    assert sorted(names) == ["[1].png", "a.png", "c.png", "d.png"]


def test_a_matched_folder_is_inspected_as_a_shell_would_give_it(tree: Path) -> None:
    found = matching(tree / "*")
    names = [path.relative_to(tree).as_posix() for path in found.images]
    assert names == ["[1].png", "a.png", "b.PNG", "s/c.png", "s/t/d.png", "s/t/e.jpg"]
    assert {(Path(left.path).name, left.why) for left in found.left_out} == {("n.txt", Why.OTHER)}
    assert len(found.left_out) == 2


def test_a_pattern_with_a_suffix_takes_every_file_of_it(tree: Path) -> None:
    assert matching(tree / "*.txt").images == [tree / "n.txt"]


def test_what_blemish_drew_is_not_matched(tree: Path) -> None:
    (tree / "s" / "inspections.jsonl").touch()
    (tree / "s" / "overlays").mkdir()
    (tree / "s" / "overlays" / "c.png").touch()
    found = matching(tree / "s" / "**" / "*.png")
    assert [path.name for path in found.images] == ["c.png", "d.png"]
    assert [left.why for left in found.left_out if left.path.endswith(".png")] == [Why.WRITTEN]


NAMES = st.lists(st.sampled_from(["a", "b", "a.png", "[x]"]), max_size=4).map(tuple)


@given(NAMES, st.lists(st.sampled_from(["a", "*", "**", "?", "*.png", "[ab]"]), max_size=4).map(tuple))
def test_matching_is_that_of_the_expression(names: tuple[str, ...], parts: tuple[str, ...]) -> None:
    import fnmatch
    import re

    one = {"**": "(?:[^/]+/)*"}
    text = "".join(
        one.get(part) or f"(?:{fnmatch.translate(part)[4:-3].replace('.*', '[^/]*')})/" for part in parts
    )
    assert matches(names, parts) == bool(re.fullmatch(text, "".join(f"{name}/" for name in names)))


@pytest.mark.parametrize("folder", ["[1]", "lot [b]x", "a*", "what?"])
@pytest.mark.parametrize("pattern", ["*.png", "?.png", "**/*.png", "*"])
def test_a_folder_whose_name_reads_as_a_pattern_goes_first(tmp_path: Path, folder: str, pattern: str) -> None:
    for place in (folder, "1", "lot bx", "ab", "whats"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "i.png").touch()
    assert matching(tmp_path / folder / pattern).images == [tmp_path / folder / "i.png"]


@given(
    st.lists(st.sampled_from(["a.png", "b.png", ".h.png", "in/a.png", "in/.b/c.png", "[a].png"]), unique=True)
)
@pytest.mark.parametrize("pattern", ["*", "*.png", "*/*", "*/a.png", "[ab].png", ".*", "in/*", "i?/*.png"])
def test_patterns_match_as_those_of_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, names: list[str]
) -> None:
    root = tmp_path_factory.mktemp("files")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    expected = {Path(name) for name in glob.glob(str(root / pattern))}  # noqa: PTH207
    assert flat_matches(root, Path(pattern).parts, FoundFiles()) == expected


def test_folders_that_a_pattern_cannot_look_into_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "i.png").touch()
    listdir = os.listdir

    def guarded(place: Path) -> list[str]:
        if Path(place).name == "b":
            raise PermissionError(13, "Permission denied", str(place))
        return listdir(place)

    monkeypatch.setattr(os, "listdir", guarded)
    found = matching(tmp_path / "*" / "*.png")
    assert found.images == [tmp_path / "a" / "i.png"]
    assert [(left.path, left.why) for left in found.left_out] == [(str(tmp_path / "b"), Why.CLOSED)]
    with pytest.raises(BlemishError, match=r"b cannot be read"):
        matching(tmp_path / "b" / "*.png")
