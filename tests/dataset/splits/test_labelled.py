"""Which images are drawn to keep their marks, and what a folder of unmarked ones may be."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from builders import write_image

from blemish.dataset.samples import Annotation, MaskFile, Sample
from blemish.dataset.splits.labelled import draw_labelled, unlabelled_images
from blemish.errors import BlemishError

KINDS = {"crack": 12, "fray": 2, "spot": 5}


def sample(id: str, *labels: str) -> Sample:
    mask = MaskFile(Path(f"{id}-mask.png"))
    marks = tuple(Annotation(label, box_xyxy=(0, 0, 1, 1), mask=mask) for label in labels)
    return Sample(Path(f"{id}.png"), id, marks, split="train")


def pool() -> list[Sample]:
    """Twelve, two and five images of the kinds, and forty clean ones."""
    marked = [sample(f"{kind}{number}", kind) for kind, many in KINDS.items() for number in range(many)]
    return marked + [sample(f"clean{number}") for number in range(40)]


def counted(samples: tuple[Sample, ...]) -> Counter[str]:
    return Counter(each.annotations[0].label if each.annotations else "clean" for each in samples)


@pytest.mark.parametrize("seed", range(5))
def test_kinds_take_turns_until_one_has_no_more(seed: int) -> None:
    assert counted(draw_labelled(pool(), 4, seed)[0]) == {"crack": 1, "fray": 1, "spot": 1, "clean": 1}
    assert counted(draw_labelled(pool(), 8, seed)[0]) == {"crack": 2, "fray": 2, "spot": 2, "clean": 2}
    assert counted(draw_labelled(pool(), 11, seed)[0]) == {"crack": 3, "fray": 2, "spot": 3, "clean": 3}


def test_a_single_image_shows_a_defect_and_seeds_take_other_kinds() -> None:
    first = [draw_labelled(pool(), 1, seed)[0] for seed in range(20)]
    assert "clean" not in {kind for each in first for kind in counted(each)}
    assert len({kind for each in first for kind in counted(each)}) == 3


def test_draws_of_a_seed_contain_each_other_whatever_the_order_of_the_samples() -> None:
    draws = [{each.id for each in draw_labelled(pool(), number, 3)[0]} for number in range(1, 60)]
    assert [len(draw) for draw in draws] == list(range(1, 60))
    assert all(fewer < more for fewer, more in pairwise(draws))
    turned = draw_labelled(pool()[::-1], 7, 3)[0]
    assert {each.id for each in turned} == draws[6]
    assert draws[6] != {each.id for each in draw_labelled(pool(), 7, 4)[0]}


def test_the_others_have_no_marks_left() -> None:
    drawn, others = draw_labelled(pool(), 6, 0)
    assert all(each in pool() for each in drawn)
    assert not any(each.annotations for each in others)
    assert {each.id for each in (*drawn, *others)} == {each.id for each in pool()}


def test_an_image_of_several_classes_is_of_the_rarest() -> None:
    samples = [sample("both", "crack", "fray"), *(sample(f"c{n}", "crack") for n in range(3))]
    assert {each.id for each in draw_labelled(samples, 2, 0)[0]} > {"both"}


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(BlemishError, match=r"setting labelled: must be at most .* 59\. Received: 60\. Lower"):
        draw_labelled(pool(), 60, 0)


# A folder of unlabelled images


def test_every_image_below_the_folder_is_taken_by_its_whole_path(tmp_path: Path) -> None:
    for file in ("a.png", "lot 2/a.png"):
        write_image(tmp_path / file)
    (tmp_path / "notes.txt").write_text("no image")
    found = unlabelled_images(tmp_path)
    assert [each.image for each in found] == [tmp_path / "a.png", tmp_path / "lot 2" / "a.png"]
    assert [each.id for each in found] == [str(each.image) for each in found]
    assert not any(each.annotations for each in found)


def test_what_is_no_folder_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"setting unlabelled: .*gone must be a folder.*no such folder"):
        unlabelled_images(tmp_path / "gone")
    (tmp_path / "list.txt").write_text("a.png")
    with pytest.raises(BlemishError, match=r"list\.txt must be a folder of images\. Received: a file"):
        unlabelled_images(tmp_path / "list.txt")
    with pytest.raises(BlemishError, match=r"must hold images\. Received: none\. Check the path"):
        unlabelled_images(tmp_path)
