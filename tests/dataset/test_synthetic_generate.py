"""Synthetic sets on disk: reproducible, true, balanced as asked, readable, fast."""

import json
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_masks

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import RunLengths
from blemish.dataset.synthetic import CLASS_WEIGHTS, DAGM_PAIRS, DEFECTS, SURFACES, synthesise
from blemish.dataset.synthetic.generate import SyntheticSettings, draw_image, stratified_splits
from blemish.errors import BlemishError

SMALL = (72, 80)


def settings_of(**changes):
    fields = {
        "surfaces": tuple(SURFACES), "seed": 3, "size": SMALL, "class_weights": CLASS_WEIGHTS,
        "defective_share": 0.6, "defects_per_image": (1, 3), "contrast": (12.0, 90.0), "pairing": "free",
    }  # fmt: skip
    return SyntheticSettings(**{**fields, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "set"
    dataset = synthesise(out, images=20, seed=3, size=SMALL)
    return out, dataset, json.loads((out / "annotations.json").read_text())


def test_same_seed_writes_identical_bytes(written, tmp_path):
    synthesise(tmp_path / "again", images=20, seed=3, size=SMALL)
    assert contents(tmp_path / "again") == contents(written[0])


def test_another_seed_writes_other_pictures(written, tmp_path):
    synthesise(tmp_path / "other", images=1, seed=4, size=SMALL)
    (name,) = [p.name for p in (tmp_path / "other" / "images").iterdir()]
    assert (tmp_path / "other" / "images" / name).read_bytes() != (written[0] / "images" / name).read_bytes()


def test_a_larger_set_begins_with_the_smaller(written, tmp_path):
    synthesise(tmp_path / "few", images=5, seed=3, size=SMALL)
    few, many = contents(tmp_path / "few"), contents(written[0])
    images = [name for name in few if name.endswith(".png")]
    assert len(images) == 5
    assert all(few[name] == many[name] for name in images)


def test_annotations_decode_to_the_drawn_masks(written):
    """An independent COCO library reads the run lengths; box, area, class and contrast fit the drawing."""
    out, _, truth = written
    names = {category["id"]: category["name"] for category in truth["categories"]}
    assert set(names.values()) == set(DEFECTS)
    for index, entry in enumerate(truth["images"]):
        surface, rendered = draw_image(index, settings_of())
        marks = [mark for mark in truth["annotations"] if mark["image_id"] == entry["id"]]
        assert entry["surface"] == surface
        assert np.array_equal(cv2.imread(str(out / entry["file_name"]), cv2.IMREAD_UNCHANGED), rendered.image)
        assert [names[mark["category_id"]] for mark in marks] == list(rendered.labels)
        for mark, mask, contrast in zip(marks, rendered.masks, rendered.contrasts, strict=True):
            encoded = coco_masks.frPyObjects(mark["segmentation"], *SMALL)
            assert np.array_equal(coco_masks.decode(encoded).astype(bool), mask)
            assert mark["area"] == mask.sum()
            assert mark["bbox"] == coco_masks.toBbox(encoded).tolist()
            assert mark["contrast"] == pytest.approx(contrast, abs=1e-4)


def test_the_set_loads_as_written(written):
    out, dataset, truth = written
    loaded = load_dataset(out)
    assert loaded.layout == "coco"
    assert [s.id for s in loaded] == [s.id for s in dataset]
    assert set(loaded.class_names) == set(DEFECTS)
    assert sorted(s.id for s in loaded) == sorted(entry["file_name"] for entry in truth["images"])
    marks = {entry["file_name"]: [] for entry in truth["images"]}
    for mark in truth["annotations"]:
        marks[truth["images"][mark["image_id"] - 1]["file_name"]].append(mark)
    for sample in loaded:
        assert [a.contrast for a in sample.annotations] == [m["contrast"] for m in marks[sample.id]]
        assert [a.mask for a in sample.annotations] == [
            RunLengths(tuple(m["segmentation"]["counts"]), SMALL) for m in marks[sample.id]
        ]


def test_splits_are_disjoint_complete_and_stratified(written):
    _, dataset, _ = written
    assert dataset.splits == {"train": 12, "val": 4, "test": 4}
    defective = {name: sum(s.is_defective for s in dataset.split(name)) for name in dataset.splits}
    share = sum(defective.values()) / len(dataset)
    for name, count in dataset.splits.items():
        assert abs(defective[name] - share * count) <= 1


@pytest.mark.parametrize("sizes", [{"a": 50, "b": 25, "c": 25}, {"a": 93, "b": 7}])
def test_each_stratum_is_shared_out_alike(sizes):
    strata = [(name,) for name, count in sizes.items() for _ in range(count)]
    splits = stratified_splits(strata, seed=1)
    for name, count in sizes.items():
        got = Counter(split for split, own in zip(splits, strata, strict=True) if own == (name,))
        for split, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
            assert abs(got[split] - share * count) <= 1.2
    assert stratified_splits(strata, seed=2) != splits


def test_class_weights_are_respected():
    """Chi-square against the asked shares stays below the 99.9 % point of five degrees of freedom, 20.5."""
    settings = settings_of(
        size=(48, 48), defective_share=1.0, defects_per_image=(4, 4), surfaces=("concrete",)
    )
    seen = Counter(label for index in range(150) for label in draw_image(index, settings)[1].labels)
    total = sum(seen.values())
    expected = {kind: total * weight / sum(CLASS_WEIGHTS.values()) for kind, weight in CLASS_WEIGHTS.items()}
    assert total == 600
    assert sum((seen[kind] - expected[kind]) ** 2 / expected[kind] for kind in expected) < 20.5
    assert min(expected.values()) * 6 < max(expected.values())  # common and rare classes by default


def test_the_order_in_which_weights_are_named_does_not_matter():
    weights = {"stain": 2.0, "crack": 1.0, "spot": 3.0}
    backwards = dict(reversed(weights.items()))
    for index in range(6):
        first, second = (draw_image(index, settings_of(class_weights=w))[1] for w in (weights, backwards))
        assert np.array_equal(first.image, second.image)


def test_a_class_of_no_weight_is_not_drawn():
    settings = settings_of(size=(48, 48), class_weights={"spot": 1, "scratch": 0}, surfaces=("paper",))
    seen = {label for index in range(20) for label in draw_image(index, settings)[1].labels}
    assert seen == {"spot"}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 1.0])
def test_defective_share_holds_on_every_surface(share):
    settings = settings_of(size=(48, 48), surfaces=("paper", "concrete"), defective_share=share)
    defective = Counter()
    for index in range(40):
        surface, rendered = draw_image(index, settings)
        defective[surface] += bool(rendered.masks)
    assert all(abs(defective[surface] - share * 20) < 1 for surface in settings.surfaces)


def test_contrasts_fill_the_range_evenly_in_logarithms():
    settings = settings_of(
        size=(64, 64),
        surfaces=("brushed_metal",),
        class_weights={"spot": 1},
        defective_share=1.0,
        contrast=(10, 50),
    )
    found = [c for index in range(60) for c in draw_image(index, settings)[1].contrasts]
    assert min(found) > 9 and max(found) < 51
    assert np.median(np.log(found)) == pytest.approx(np.log(10 * 50) / 2, abs=0.2)


def test_dagm_pairing_gives_each_texture_its_own_class(tmp_path):
    dataset = synthesise(
        tmp_path / "dagm", images=24, seed=0, size=SMALL, pairing="dagm", defects_per_image=(1, 1)
    )
    assert len(dataset.class_names) == 6
    assert sorted(DAGM_PAIRS.values()) == sorted(DEFECTS)
    for sample in dataset:
        surface = Path(sample.id).stem.rpartition("_")[0]
        assert {a.label for a in sample.annotations} <= {f"{surface}_{DAGM_PAIRS[surface]}"}
    assert all(count > 0 for count in dataset.class_counts.values())


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_defect_scale_multiplies_length_and_width(scale):
    areas = [
        np.array(
            [
                mask.sum()
                for index in range(24)
                for mask in draw_image(index, settings_of(size=(512, 512), defect_scale=each))[1].masks
            ]
        )
        for each in (1.0, scale)
    ]
    assert np.median(areas[1] / areas[0]) == pytest.approx(scale**2, rel=0.15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surfaces": ["wood_grian"]}, "Unknown surface. Received: 'wood_grian'. Did you mean 'wood_grain'"),
        ({"surfaces": []}, "at least one surface"),
        ({"surfaces": ["paper"], "pairing": "dagm"}, "Unknown surface. Received: 'paper'"),
        ({"class_weights": {"dents": 1}}, "Unknown defect kind. Received: 'dents'. Did you mean 'dent'"),
        ({"class_weights": {"dent": -1}}, "Received: dent=-1"),
        ({"class_weights": {}}, "class_weights must name a kind"),
        ({"pairing": "dgam"}, "pairing must be 'free' or 'dagm'. Received: 'dgam'"),
        ({"images": 0}, "images must be at least 1. Received: 0"),
        ({"seed": -1}, "seed must be 0 or more. Received: -1"),
        ({"defective_share": 60}, "defective_share must be from 0 to 1. Received: 60"),
        ({"defects_per_image": (3, 1)}, r"defects_per_image must be .* Received: \(3, 1\)"),
        ({"contrast": (0, 90)}, r"contrast must be within 1 to 200 .* Received: \(0, 90\)"),
        ({"defect_scale": 0}, "defect_scale must be from 0.25 to 4. Received: 0"),
        ({"size": (20, 512)}, "Received: 20x512"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(BlemishError, match=message) as caught:
        synthesise(tmp_path / "set", **{"images": 2, "seed": 0, **changes})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BlemishError, match="must be a new or empty folder"):
        synthesise(tmp_path, images=1, seed=0)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_speed(tmp_path):
    """100 images of 512×512 take less than 10 s on one core; here 8, with slack for a busy machine."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        start = time.perf_counter()
        synthesise(tmp_path / "set", images=8, seed=0)
        assert time.perf_counter() - start < 3 * 10 * 8 / 100
    finally:
        cv2.setNumThreads(threads)
