"""A part at any pose: it stays one part, wholly in the image, and its truth is exact."""

import cv2
import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.synthetic import PART_DEFECTS, DefectRequest, render_part, synthesise
from blemish.dataset.synthetic.parts import MAX_SHIFT, Pose, coverage, distance_of
from blemish.errors import BlemishError
from blemish.images.decode import read_image

SIZE = (160, 160)


def drawn(*kinds, size=SIZE, seed=0, **pose):
    requests = [DefectRequest(kind, 40.0) for kind in kinds]
    return render_part(size=size, defects=requests, generator=np.random.default_rng(seed), **pose)


def silhouette(turn_deg, shift_xy, size=SIZE):
    return distance_of(size, Pose(turn_deg, shift_xy), ()) < 0


def test_a_pose_turns_anticlockwise_and_shifts_right_and_down():
    """Against OpenCV turning and shifting the image of the part that lies straight."""
    straight = coverage(distance_of(SIZE, Pose(0, (0, 0)), ()))
    move = cv2.getRotationMatrix2D((79.5, 79.5), 33, 1.0) + np.array([[0, 0, 6], [0, 0, -3]])
    expected = cv2.warpAffine(straight, move, SIZE) > 0.5
    found = silhouette(33, (6, -3))
    assert (expected != found).sum() < 0.02 * found.sum()
    assert (silhouette(0, (0, 0)) != found).sum() > 0.3 * found.sum()


def test_no_turn_but_none_brings_the_part_onto_itself():
    """Half a turn least of all: a part that looked alike upside down would not show that it is."""
    straight = silhouette(0, (0, 0))
    for turn in range(15, 360, 15):
        assert (silhouette(turn, (0, 0)) != straight).sum() > 0.06 * straight.sum()


def test_the_part_stays_in_the_picture_and_its_silhouette_is_what_is_bright():
    for seed in range(12):
        rendered = drawn(seed=seed, shift=MAX_SHIFT)
        bright = rendered.surface > 105
        border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
        assert not border.any()
        assert 0.2 < bright.mean() < 0.45


@pytest.mark.parametrize("kind", PART_DEFECTS)
def test_truth_is_what_changed(kind):
    for seed in range(8):
        rendered = drawn(kind, seed=seed)
        (mask,), (contrast,) = rendered.masks, rendered.contrasts
        change = np.abs(rendered.scene - rendered.surface)
        assert mask.any() and rendered.labels == (kind,)
        assert contrast == pytest.approx(float(change[mask].mean()), abs=1e-3)
        assert change[mask].sum() > 0.5 * change.sum()
        assert (rendered.image[change == 0] == rendered.clean[change == 0]).all()


def test_a_missing_piece_shows_the_ground_and_is_of_the_edge():
    for seed in range(8):
        rendered = drawn("missing_piece", seed=seed)
        (mask,) = rendered.masks
        assert rendered.surface[mask].mean() > 100 > rendered.scene[mask].mean() + 20
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) > 0
        assert (rendered.surface[grown & ~mask] < 90).any()  # beside it there was ground already


def test_scratches_and_spots_lie_on_the_metal():
    for seed in range(12):
        rendered = drawn("scratch", "spot", seed=seed)
        for mask in rendered.masks:
            assert (rendered.surface[mask] > 90).mean() > 0.8


def test_smallest_pictures_and_defects_still_have_a_truth():
    requests = [DefectRequest(kind, 12.0, 0.25) for kind in PART_DEFECTS]
    for seed in range(30):
        rendered = render_part(size=(48, 48), defects=requests, generator=np.random.default_rng(seed))
        assert all(mask.any() for mask in rendered.masks)


def test_a_set_of_parts_turns_as_far_as_asked(tmp_path):
    made = synthesise(tmp_path / "a", surfaces=["part"], images=10, seed=1, size=(64, 64), turn=0, shift=0)
    again = load_dataset(tmp_path / "a")
    assert made.class_names == again.class_names == PART_DEFECTS
    clean = [read_image(sample.image).astype(float) for sample in again if not sample.is_defective]
    assert np.corrcoef(clean[0].ravel(), clean[1].ravel())[0, 1] > 0.97
    for sample in again:
        assert class_map(sample, again.class_names, (64, 64)).any() == sample.is_defective
    synthesise(tmp_path / "b", surfaces=["part"], images=10, seed=1, size=(64, 64))
    names = [sample.image.name for sample in again if not sample.is_defective]
    turned = [read_image(tmp_path / "b/images" / name).astype(float) for name in names]
    assert np.corrcoef(turned[0].ravel(), turned[1].ravel())[0, 1] < 0.9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"surfaces": ["part", "paper"]}, "alone or textures. Received: part, paper"),
        ({"surfaces": ["part"], "class_weights": {"stain": 1}}, "Received: 'stain'"),
        ({"surfaces": ["part"], "turn": 200}, "turn must be from 0 to 180 degrees. Received: 200"),
        ({"surfaces": ["part"], "shift": 0.3}, "shift must be from 0 to 0.08. Received: 0.3"),
        ({"surfaces": ["part"], "pairing": "dagm"}, "Unknown surface. Received: 'part'"),
    ],
)
def test_wrong_settings_are_named(tmp_path, wrong, message):
    with pytest.raises(BlemishError, match=message.replace("(", r"\(")):
        synthesise(tmp_path / "out", images=2, seed=0, size=(64, 64), **wrong)
