"""Readers of masks on trees with one mutation: read with all marked pixels, told of, or refused in a line."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.dataset.layouts import load_dataset
from blemish.dataset.mask_files import voc_palette
from blemish.dataset.masks import annotation_masks
from blemish.dataset.quality.check import check_dataset
from blemish.dataset.samples import MaskFile
from blemish.errors import BlemishError
from blemish.images.decode import image_size
from tests.dataset import mask_builders
from tests.fuzz.harness import MUTATIONS, Draw, assert_read_or_told, settings
from tests.fuzz.outcomes import note_outcome

Counts = tuple[int, int, dict[str, int]]


def reading(root: Path) -> tuple[Counts, set[str]]:
    """(images, defective, pixels marked per class) and all that was said of the tree."""
    dataset = load_dataset(root)
    words = {problem.message.replace(str(root), "") for problem in check_dataset(dataset).problems}
    pixels: Counter[str] = Counter()
    for sample in dataset:
        for annotation, marked in annotation_masks(sample, image_size(sample.image)):
            pixels[annotation.label] += int(marked.sum())
    return (len(dataset), sum(s.is_defective for s in dataset), dict(pixels)), words


def masks_of(root: Path) -> list[Path]:
    dataset = load_dataset(root)
    return sorted({a.mask.path for s in dataset for a in s.annotations if isinstance(a.mask, MaskFile)})


def drawn_masks(root: Path, draw: Draw) -> list[Path]:
    """A marked mask, or all of them."""
    masks = masks_of(root)
    return masks if draw(st.booleans()) else [draw(st.sampled_from(masks))]


def marked_in(path: Path) -> np.ndarray:
    image = Image.open(path)
    return np.asarray(image if image.mode == "P" else image.convert("L")) > 0


def rewritten(root: Path, draw: Draw, change: Callable[[np.ndarray, str], Image.Image], what: str) -> str:
    masks = drawn_masks(root, draw)
    for path in masks:
        change(marked_in(path), path.suffix).save(path)
    return f"{what}: {[path.name for path in masks]}"


def other_level(root: Path, draw: Draw) -> str:
    value = draw(st.sampled_from([1, 2, 3, 64, 100, 127, 128, 200, 254, 255]))
    return rewritten(
        root, draw, lambda marked, _: Image.fromarray(np.uint8(marked * value)), f"level {value}"
    )


def sixteen_bits(root: Path, draw: Draw) -> str:
    value = draw(st.sampled_from([1, 2, 255, 256, 4095, 26001, 33000, 65535]))
    hypothesis.assume(not any(path.suffix == ".bmp" for path in masks_of(root)))
    return rewritten(
        root, draw, lambda marked, _: Image.fromarray(np.uint16(marked * value)), f"16 bits {value}"
    )


def palette(root: Path, draw: Draw) -> str:
    value = draw(st.sampled_from([1, 2, 8, 16, 24, 254]))

    def change(marked: np.ndarray, _: str) -> Image.Image:
        image = Image.frombytes("P", marked.shape[::-1], np.uint8(marked * value).tobytes())
        image.putpalette([v for colour in voc_palette() for v in colour])
        return image

    return rewritten(root, draw, change, f"palette index {value}")


def colours(root: Path, draw: Draw) -> str:
    levels = st.sampled_from([0, 1, 64, 128, 255])
    colour = draw(st.tuples(levels, levels, levels).filter(any))
    return rewritten(
        root,
        draw,
        lambda marked, _: Image.fromarray(np.uint8(marked[..., None] * np.uint8(colour))),
        f"{colour}",
    )


def alpha(root: Path, draw: Draw) -> str:
    gray = draw(st.sampled_from([0, 255]))
    hypothesis.assume(not any(path.suffix == ".bmp" for path in masks_of(root)))

    def change(marked: np.ndarray, _: str) -> Image.Image:
        shown = Image.new("L", marked.shape[::-1], gray)
        return Image.merge("LA", [shown, Image.fromarray(np.uint8(marked * 255))])

    return rewritten(root, draw, change, f"alpha of {gray}")


def inverted(root: Path, draw: Draw) -> str:
    value = draw(st.sampled_from([1, 255]))
    return rewritten(root, draw, lambda marked, _: Image.fromarray(np.uint8(~marked * value)), "inverted")


def one_bit(root: Path, draw: Draw) -> str:
    return rewritten(root, draw, lambda marked, _: Image.fromarray(marked), "one bit")


def photograph(root: Path, draw: Draw) -> str:
    noise = np.random.default_rng(draw(st.integers(0, 9))).normal(128, 20, (20, 30))
    return rewritten(root, draw, lambda *_: Image.fromarray(np.uint8(np.clip(noise, 0, 255))), "photograph")


def other_size(root: Path, draw: Draw) -> str:
    return rewritten(root, draw, lambda marked, _: Image.fromarray(np.uint8(marked[:-1] * 255)), "a row less")


def soft_edges(root: Path, draw: Draw) -> str:
    """Blur by less than half a pixel: the pixels above half of white stay."""

    def change(marked: np.ndarray, _: str) -> Image.Image:
        return Image.fromarray(cv2.GaussianBlur(np.uint8(marked * 255), (3, 3), 0.4))

    return rewritten(root, draw, change, "soft edges")


def renamed(root: Path, draw: Draw) -> str:
    path = draw(st.sampled_from(masks_of(root)))
    name = draw(st.sampled_from(["x{}", "{}x", "{}_mask", "{}_GT", "{}_Label", "{}-seg", "{} 2", "{}_v2"]))
    new = path.with_name(name.format(path.stem) + path.suffix)
    path.rename(new)
    return f"{path.name} renamed to {new.name}"


def other_case(root: Path, draw: Draw) -> str:
    path = draw(st.sampled_from(masks_of(root)))
    new = path.with_name(
        draw(st.sampled_from([path.stem.upper() + path.suffix, path.stem + path.suffix.upper()]))
    )
    path.rename(new)
    return f"{path.name} renamed to {new.name}"


def renamed_folder(root: Path, draw: Draw) -> str:
    folders = sorted({path.parent for path in masks_of(root)} - {root})
    hypothesis.assume(folders)
    folder = draw(st.sampled_from(folders))
    name = draw(
        st.sampled_from(["mask", "GT", "Ground_Truth", "annotations", "extra", "Segmentation", "x_mask"])
    )
    hypothesis.assume(not folder.with_name(name).exists())
    folder.rename(folder.with_name(name))
    return f"{folder.name} renamed to {name}"


def removed(root: Path, draw: Draw) -> str:
    path = draw(st.sampled_from(masks_of(root)))
    path.unlink()
    return f"{path.name} removed"


def cut(root: Path, draw: Draw) -> str:
    path = draw(st.sampled_from(masks_of(root)))
    content = path.read_bytes()
    length = draw(st.integers(0, len(content) - 13))
    path.write_bytes(content[:length])
    return f"{path.name} cut to {length} bytes"


def copied(root: Path, draw: Draw) -> str:
    """Copy a mask under the name of a second one; in a folder of masks of one image that is a defect more."""
    path = draw(st.sampled_from(masks_of(root)))
    hypothesis.assume(path.parent.name != path.stem)
    new = path.with_name(draw(st.sampled_from(["{}_mask", "{}_2", "other"])).format(path.stem) + path.suffix)
    hypothesis.assume(not new.exists())
    shutil.copy(path, new)
    return f"{path.name} copied to {new.name}"


LEVELS = (other_level, sixteen_bits, palette, colours, alpha, inverted, one_bit)
PIXELS = (photograph, other_size, soft_edges)
NAMES = (renamed, other_case, renamed_folder, removed, cut, copied)
CHANGES = (*LEVELS, *PIXELS, *NAMES)


@contextmanager
def copy_of(template: Path) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        root = Path(folder) / template.name
        shutil.copytree(template, root)
        yield root


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: build(tmp_path_factory.mktemp(name) / name) for name, build in mask_builders.TREES.items()}


@pytest.fixture(scope="module")
def whole(trees: dict[str, Path]) -> dict[str, tuple[Counts, set[str]]]:
    """Counts of each tree, and what is said of it."""
    return {name: reading(root) for name, root in trees.items()}


@settings
@given(st.sampled_from(sorted(mask_builders.TREES)), st.data())
def test_marked_pixels_of_a_mutated_tree_are_those_of_the_whole_or_told_of(
    trees: dict[str, Path], whole: dict[str, tuple[Counts, set[str]]], form: str, data: st.DataObject
) -> None:
    with copy_of(trees[form]) as root:
        change = data.draw(st.sampled_from(CHANGES))(root, data.draw)
        hypothesis.note(change)
        try:
            counts, words = reading(root)
        except BlemishError as error:
            assert "\n" not in str(error)
            note_outcome("masks", "refused")
            return
    before, said = whole[form]
    note_outcome("masks", "read with a word more" if words - said else "read as whole")
    assert counts == before or same_but_names(counts, before) or words - said, f"{change}: {before}, {counts}"


@settings
@given(st.sampled_from(sorted(mask_builders.TREES)), st.data())
def test_a_tree_of_masks_with_any_mutation_is_read_or_told_of(
    trees: dict[str, Path], form: str, data: st.DataObject
) -> None:
    assert_read_or_told(trees[form], data.draw, MUTATIONS)


def same_but_names(counts: Counts, whole: Counts) -> bool:
    """True where all pixels are marked, under other names: colours and numbers of classes were changed."""
    return counts[:2] == whole[:2] and sum(counts[2].values()) == sum(whole[2].values())
