"""Folders of a stopped writer are told from finished datasets, or are not left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import builders
import pytest

from blemish.dataset.convert import convert
from blemish.dataset.layouts import load_dataset
from blemish.dataset.splits.split import split_dataset, write_splits
from blemish.dataset.synthetic import synthesise
from blemish.dataset.unfinished import MARKER, refuse_unfinished, whole_folder
from blemish.errors import BlemishError


def written(root: Path, to: str) -> Path:
    """A converted dataset with splits."""
    builders.voc_layout(root / "in")
    convert(load_dataset(root / "in"), root / "out", to)
    return root / "out"


@pytest.mark.parametrize(
    ("to", "lost"),
    [
        ("voc", ("dataset.yaml", "ImageSets/Main/test.txt")),
        ("voc", ("dataset.yaml",)),
        ("voc", ("ImageSets/Main/train.txt",)),
        ("coco", ("annotations/instances_test.json",)),
        ("yolo", ("data.yaml",)),
        ("yolo", ("dataset.yaml",)),
    ],
)
def test_a_folder_without_what_makes_it_whole_is_refused(
    tmp_path: Path, to: str, lost: tuple[str, ...]
) -> None:
    out = written(tmp_path, to)
    assert len(load_dataset(out)) == 2
    for name in lost:
        (out / name).unlink()
    with pytest.raises(BlemishError, match=r"`blemish data convert` did not finish") as caught:
        load_dataset(out)
    assert all(name in str(caught.value) for name in lost)
    (out / MARKER).unlink()
    if to == "voc":
        assert len(load_dataset(out)) == 2, "as it is, if that is meant"


def test_images_and_their_labels_may_be_removed(tmp_path: Path) -> None:
    out = written(tmp_path, "voc")
    for name in ("JPEGImages/b.png", "Annotations/b.xml", "ImageSets/Main/test.txt"):
        (out / name).write_text("") if name.endswith("txt") else (out / name).unlink()
    assert len(load_dataset(out)) == 1


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("error", [BlemishError, KeyboardInterrupt, OSError])
def test_nothing_stays_where_writing_ends_early(
    tmp_path: Path, error: type[BaseException], is_new: bool
) -> None:
    out = tmp_path / "out"
    if not is_new:
        out.mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    with pytest.raises(error), whole_folder(out, by="blemish data convert"):
        (out / "a").mkdir()
        (out / "a" / "b.txt").write_text("x")
        (out / "link").symlink_to(tmp_path / "kept")
        raise error("stopped")
    assert out.exists() is not is_new
    assert not out.exists() or not [*out.iterdir()]
    assert (tmp_path / "kept" / "mine.txt").read_text() == "mine"


def test_a_killed_writer_leaves_what_is_told(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from blemish.dataset.unfinished import whole_folder\n"
        "with whole_folder(Path(sys.argv[1]), by='blemish data synth'):\n"
        "    print('inside', flush=True); time.sleep(60)"
    )
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"inside\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    builders.voc_layout(out)  # what it had written by then
    with pytest.raises(
        BlemishError, match=r"without dataset\.yaml, which `blemish data synth` did not finish"
    ):
        load_dataset(out)
    with pytest.raises(BlemishError, match="an earlier command left unfinished; delete it"):
        convert(load_dataset(builders.voc_layout(tmp_path / "other")), out, "voc")


def test_a_synthetic_set_without_its_splits_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "set"
    synthesise(out, surfaces=["brushed_metal"], images=5, size=(64, 64), seed=0)
    (out / "splits" / "val.txt").unlink()
    with pytest.raises(BlemishError, match="`blemish data synth` did not finish"):
        load_dataset(out)
    for file in (out / "splits").iterdir():
        file.unlink()
    assert load_dataset(out).splits == {"": 5}, "lists that are all removed are meant to be made anew"


@pytest.mark.parametrize("lost", ["splits/test.txt", "dataset.yaml"])
def test_a_split_that_lost_a_list_is_refused(tmp_path: Path, lost: str) -> None:
    root = builders.labels_layout(tmp_path / "in", clean=6, bad=6)
    for out in (tmp_path / "out", root):  # elsewhere, and beside the images
        split = split_dataset(load_dataset(root), test=0.3, val=0.2, seed=0)
        write_splits(split, out)
        assert load_dataset(out).splits == split.splits
        (out / lost).unlink()
        with pytest.raises(BlemishError, match="`blemish data split` did not finish"):
            load_dataset(out)


def test_an_unfinished_folder_of_images_is_refused_from_elsewhere(tmp_path: Path) -> None:
    out = written(tmp_path, "voc")
    path = builders.text(tmp_path / "own" / "mine.yaml", "root: ../out\nlayout: voc\n")
    assert len(load_dataset(path)) == 2
    (out / "dataset.yaml").unlink()
    with pytest.raises(BlemishError, match="did not finish"):
        load_dataset(path)


def as_folder(marker: Path) -> None:
    marker.unlink()
    marker.mkdir()


def as_fifo(marker: Path) -> None:
    marker.unlink()
    os.mkfifo(marker)


@pytest.mark.parametrize(
    "change",
    [
        lambda marker: marker.write_text("{"),
        lambda marker: marker.write_text("[]"),
        lambda marker: marker.write_text(json.dumps({"whole_with": 1})),
        lambda marker: marker.write_text(json.dumps({"whole_with": ["../../etc/passwd"]})),
        lambda marker: marker.write_text(json.dumps({"whole_with": [1]})),
        lambda marker: marker.write_bytes(b"\xff" * 2**21),
        as_folder,
        as_fifo,
    ],
)
def test_a_hostile_marker_is_one_line(tmp_path: Path, change: Callable[[Path], object]) -> None:
    out = written(tmp_path, "voc")
    change(out / MARKER)
    start = time.monotonic()
    with pytest.raises(BlemishError, match=MARKER) as caught:
        refuse_unfinished(out)
    assert "\n" not in str(caught.value) and time.monotonic() - start < 5
