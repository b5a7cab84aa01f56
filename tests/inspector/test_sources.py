from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.errors import BlemishError
from blemish.images.video import video_frames
from blemish.inspector.found_files import Why
from blemish.inspector.sources import source_of


def inspected(*paths: Path) -> tuple[list[str], list[str]]:
    """(images relative to the first path, notes)."""
    notes: list[str] = []
    source = source_of(list(paths), notes.append)
    names = [item.name for item in source.items]
    assert source.count == len(names)
    return [Path(name).relative_to(paths[0]).as_posix() for name in names], notes


def draw(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((8, 9), np.uint8)
    pixels[2:5, 3:6] = value
    assert cv2.imwrite(str(path), pixels)


def test_images_below_a_folder_in_order_and_files_as_given(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "sub/c.bmp", "notes.txt", "d.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert inspected(tmp_path) == (["a.JPG", "b.png", "d.tiff", "sub/c.bmp"], [])
    given = [tmp_path / "notes", tmp_path / "b.png"]
    given[0].write_bytes(b"")
    assert [item.name for item in source_of(given, pytest.fail).items] == [str(path) for path in given]


def test_masks_beside_images_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    for name, value in (("MT_Crack/a", 255), ("MT_Crack/b", 0), ("MT_Hole/c", 255)):
        draw(tmp_path / f"{name}.jpg", 90)
        draw(tmp_path / f"{name}.png", value)
    draw(tmp_path / "MT_Crack" / "lost.jpg", 90)  # its mask is missing; it is an image all the same
    draw(tmp_path / "MT_Free" / "d.jpg", 90)
    images, notes = inspected(tmp_path)
    assert images == [
        "MT_Crack/a.jpg",
        "MT_Crack/b.jpg",
        "MT_Crack/lost.jpg",
        "MT_Free/d.jpg",
        "MT_Hole/c.jpg",
    ]
    (note,) = notes
    assert f"{tmp_path} is a dataset (masks: " in note
    assert "its 5 images are inspected and 3 others, its masks and references, are not." in note


def test_ground_truth_folders_are_left_out(tmp_path: Path) -> None:
    names = ("train/good/0.png", "test/good/0.png", "test/crack/0.png")
    for name in (*names, "ground_truth/crack/0_mask.png"):
        draw(tmp_path / name, 255)
    images, notes = inspected(tmp_path)
    assert images == sorted(names)
    assert "(mvtec: " in notes[0]


@pytest.mark.parametrize("listed", [["0.png"], ["0.png", "1.png"]])
def test_images_that_an_annotation_file_does_not_list_are_inspected_all_the_same(
    tmp_path: Path, listed: list[str]
) -> None:
    for number in range(3):
        draw(tmp_path / f"{number}.png", 90)
    images = [{"id": number, "file_name": name} for number, name in enumerate(listed)]
    boxes = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "pit"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    assert inspected(tmp_path) == (["0.png", "1.png", "2.png"], [])


def test_a_dataset_without_masks_is_inspected_whole_and_in_silence(tmp_path: Path) -> None:
    for name in ("good/a.png", "bad/b.png"):
        draw(tmp_path / name, 90)
    assert inspected(tmp_path) == (["bad/b.png", "good/a.png"], [])


def test_masks_of_a_dataset_that_cannot_be_read_are_told_by_names_and_values(tmp_path: Path) -> None:
    for name, value in (("image/a.png", 90), ("image/b.png", 90), ("mask/a.png", 1), ("mask/b.png", 0)):
        draw(tmp_path / name, value)
    (tmp_path / "dataset.yaml").write_text("layout: unheard-of")
    images, notes = inspected(tmp_path)
    assert images == ["image/a.png", "image/b.png"]
    assert "cannot be read as a dataset" in notes[0] and "unheard-of" in notes[0]
    assert "is a folder with masks: its 2 images are inspected and 2 others" in notes[1]


def photograph(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 12, (96, 128))
    pixels = np.clip(np.linspace(60, 180, 128) + noise, 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(path), pixels)


def test_a_photograph_with_the_name_of_a_mask_is_inspected(tmp_path: Path) -> None:
    names = ["a.png", "a_mask.png", "b.png", "b_label.png", "gt/c.png", "masks/a.png"]
    for name in names:
        photograph(tmp_path / name)
    images, _ = inspected(tmp_path)
    assert images == names


def test_what_a_dataset_uses_as_an_image_is_inspected_whatever_its_name_and_values(tmp_path: Path) -> None:
    for name in ("0.png", "0_mask.png"):
        draw(tmp_path / name, 255)
    images = [{"id": number, "file_name": name} for number, name in enumerate(("0.png", "0_mask.png"))]
    boxes = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 2, 2]}]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "pit"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    assert inspected(tmp_path)[0] == ["0.png", "0_mask.png"]


def test_a_mask_without_an_image_is_a_lack_that_somebody_must_look_at(tmp_path: Path) -> None:
    for name in ("images/a.png", "images/b.png"):
        photograph(tmp_path / name)
    for name in ("masks/a.png", "masks/lost.png"):
        draw(tmp_path / name, 255)
    source = source_of([tmp_path], lambda note: None)
    assert [Path(item.name).name for item in source.items] == ["a.png", "b.png"]
    assert {(Path(left.path).name, left.why) for left in source.left_out} == {
        ("a.png", Why.MASK),
        ("lost.png", Why.LONE_MASK),
    }
    assert Why.LONE_MASK.is_lack and Why.LONE_MASK.remedy and not Why.MASK.is_lack


def test_a_path_that_is_not_there_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="nowhere does not exist"):
        inspected(tmp_path / "nowhere")
    with pytest.raises(BlemishError, match=r"holds no image\. Looked for .*\.png"):
        inspected(tmp_path)


# Lists, globs, standard input


def names_of(*paths: Path | str, every: int = 1) -> list[str]:
    return [item.name for item in source_of([Path(path) for path in paths], pytest.fail, every=every).items]


def test_a_list_names_paths_from_its_own_folder_and_blank_lines_name_none(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "ä b.png", 1)
    elsewhere = tmp_path / "x.png"
    (tmp_path / "in" / "some.txt").write_text(f"ä b.png\r\n\n../y.png\n{elsewhere}", encoding="utf-8")
    items = list(source_of([tmp_path / "in" / "some.txt"], pytest.fail).items)
    expected = [tmp_path / "in" / "ä b.png", tmp_path / "in" / ".." / "y.png", elsewhere]
    assert [item.name for item in items] == [str(path) for path in expected]
    assert items[0].read().shape == (8, 9)
    with pytest.raises(BlemishError, match=r"y\.png must exist"):
        items[1].read()


def test_a_list_is_read_as_it_goes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "all.txt").symlink_to(tmp_path / "pipe")
    assert not (tmp_path / "all.txt").is_file()  # so a pipe is given on standard input
    read, write = os.pipe()
    before = os.dup(0)
    os.dup2(read, 0)
    try:
        items = iter(source_of([Path("-")], pytest.fail).items)
        os.write(write, b"a.png\n")
        assert next(items).name == "a.png"
        os.write(write, b"sub/b.png\n")
        assert next(items).name == "sub/b.png"
        os.close(write)
        assert list(items) == []
    finally:
        os.dup2(before, 0)


def test_lists_that_name_nothing_or_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "picture.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BlemishError, match=r"empty\.txt names no image\. Write one path a line"):
        names_of(tmp_path / "empty.txt")
    with pytest.raises(BlemishError, match=r"picture\.txt must be a list of paths, one a line, in UTF-8"):
        names_of(tmp_path / "picture.txt")


def test_a_list_made_on_windows_is_inspected_whole(tmp_path: Path) -> None:
    for name in ("a.png", "in/b c.png"):
        draw(tmp_path / name, 1)
    (tmp_path / "list.txt").write_bytes(
        '\ufeff# made by hand\r\na.png\r\n"in\\b c.png"\r\n\r\n'.encode("utf-16")
    )
    source = source_of([tmp_path / "list.txt"], pytest.fail)
    assert [Path(item.name).name for item in source.items] == ["a.png", "b c.png"]
    (left,) = source.left_out
    assert (left.path, left.why) == (f"{tmp_path / 'list.txt'}, line 1", Why.COMMENT)


@pytest.mark.parametrize("suffix", ["mp4", "png", "txt"])
@pytest.mark.parametrize(
    "kind", ["http://{}/a.", "HTTP://{}/a.", "rtsp://{}/a.", "concat:http://{}/a.", "tcp://{}?a."]
)
def test_an_address_in_a_list_is_an_error_at_once_and_no_connection(
    tmp_path: Path, server: socket.socket, kind: str, suffix: str
) -> None:
    line = kind.format(f"127.0.0.1:{server.getsockname()[1]}") + suffix
    (tmp_path / "list.txt").write_text(f"{line}\n")
    (item,) = source_of([tmp_path / "list.txt"], pytest.fail).items
    assert item.name == line
    with pytest.raises(BlemishError, match=r"must be the path of a file\. Received: .*, an address"):
        item.read()


@pytest.mark.parametrize("suffix", [".png", ".avi", ".tiff", ""])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "device", "folder", "dangling link", "loop"])
def test_what_is_no_regular_file_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = Path(f"x{suffix}")
    name = path.name
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(name)
    elif kind == "device":
        name = "/dev/zero"
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    else:
        path.symlink_to(name)
    (tmp_path / "list.txt").write_text(f"{name}\n")
    (item,) = source_of([tmp_path / "list.txt"], pytest.fail).items
    assert item.digest is None, "it is not hashed either"
    with pytest.raises(BlemishError, match=r"must (exist|be a file|be a readable file)\. Received: "):
        item.read()


def test_a_given_path_that_is_no_file_is_refused_before_any_work(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(BlemishError, match=r"x\.png must be a file\. Received: a FIFO"):
        source_of([tmp_path / "x.png"], pytest.fail)


def test_a_glob_is_sorted_and_two_stars_go_down_into_folders(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "a.jpg", "sub/sub/c.png"):
        draw(tmp_path / name, 1)
    assert names_of(tmp_path / "*.png") == [str(tmp_path / name) for name in ("a.png", "b.png")]
    deep = [str(tmp_path / name) for name in ("a.png", "b.png", "sub/sub/c.png")]
    assert names_of(tmp_path / "**" / "*.png") == deep
    draw(tmp_path / "[1].png", 1)
    assert names_of(tmp_path / "[1].png") == [str(tmp_path / "[1].png")], "a file of that name goes first"
    with pytest.raises(BlemishError, match=r"\*\.bmp matches no image"):
        names_of(tmp_path / "*.bmp")


def test_no_pixel_is_read_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(3):
        draw(tmp_path / f"{index}.png", 1)
    monkeypatch.setattr("blemish.images.decode.stored_pixels", lambda *_: pytest.fail("was decoded"))
    assert len(names_of(tmp_path)) == 3


def test_several_paths_are_one_after_the_other(tmp_path: Path) -> None:
    draw(tmp_path / "b.png", 1)
    draw(tmp_path / "in" / "a.png", 1)
    (tmp_path / "list.txt").write_text("b.png")
    source = source_of([tmp_path / "list.txt", tmp_path / "in", tmp_path / "b.png"], pytest.fail)
    assert source.count is None
    assert [Path(item.name).name for item in source.items] == ["b.png", "a.png", "b.png"]


# Videos


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames of 32×48, each of one gray, 20 times its number."""
    path = tmp_path / "clips" / "line.avi"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (48, 32))
    for number in range(10):
        writer.write(np.full((32, 48, 3), 20 * number, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("every", [1, 4])
def test_every_nth_frame_of_a_video_is_a_picture_with_its_number(video: Path, every: int) -> None:
    source = source_of([video], pytest.fail, every=every)
    numbers = range(0, 10, every)
    assert source.count == len(numbers)
    seen = [(item.name, item.stem, item.read()) for item in source.items]
    assert [name for name, _, _ in seen] == [f"{video}#{number:06d}" for number in numbers]
    assert [stem for _, stem, _ in seen] == [f"clips__line__{number:06d}" for number in numbers]
    for number, (_, _, pixels) in zip(numbers, seen, strict=True):
        assert pixels.shape == (32, 48, 3)
        assert np.abs(pixels.astype(int) - 20 * number).max() <= 3


def test_red_is_red(tmp_path: Path) -> None:
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (48, 32))
    writer.write(np.full((32, 48, 3), (0, 0, 255), np.uint8))  # OpenCV's order
    writer.release()
    ((_, read),) = [(number, read()) for number, read in video_frames(path)]
    assert read[..., 0].min() > 200 and read[..., 2].max() < 50


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_a_file_that_is_no_video_is_one_picture_that_cannot_be_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    (item,) = source_of([tmp_path / "a.mp4"], pytest.fail).items
    assert item.name == str(tmp_path / "a.mp4")
    with pytest.raises(BlemishError, match=r"a\.mp4 must be a video"):
        item.read()
    assert capfd.readouterr().err == ""


def test_a_video_that_was_cut_off_says_so_behind_its_last_frame(video: Path) -> None:
    data = video.read_bytes()
    short = video.with_name("short.avi")
    short.write_bytes(data[: data.index(b"movi") + (len(data) - data.index(b"movi")) // 3])
    *whole, last = [(item.name, item.read) for item in source_of([short], pytest.fail).items]
    assert 0 < len(whole) < 9
    with pytest.raises(BlemishError, match=rf"short\.avi ends after {len(whole)} of 10 frames"):
        last[1]()


def test_a_folder_that_cannot_be_read_does_not_keep_the_others_from_being_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "open/b.png", "closed/c.png"):
        draw(tmp_path / name, 1)
    scandir = os.scandir

    def guarded(place: str) -> object:
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", guarded)
    notes: list[str] = []
    source = source_of([tmp_path], notes.append)
    assert [item.name for item in source.items] == [str(tmp_path / "a.png"), str(tmp_path / "open" / "b.png")]
    assert [left.path for left in source.left_out if left.why.is_lack] == [str(tmp_path / "closed")]
    assert len(notes) == 1 and "closed must be a readable folder" in notes[0]
