from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from blemish.bundle import Bundle, load_bundle, save_bundle
from blemish.dataset.samples import Dataset
from blemish.decision.decision import Decision
from blemish.defect import Defect, Rectangle
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector import inspector as inspector_module
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, open_inspector
from blemish.inspector.torch_backend import as_network, fast_bfloat16, load_tensors, pick_device
from blemish.methods.contract import ImageFindings


class Brightness:
    """A stand-in for a method: the image's mean brightness is its score."""

    channels = 1
    mm_per_px = 0.5
    classifies = False
    threshold_score = None

    def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
        return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max

    def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
        return ImageFindings(float(raw.mean()), (), {"score_map": raw} if with_maps else {})


def by_brightness() -> BundleInspector:
    return BundleInspector(Brightness(), {}, review=0.25, ng=0.5, bundle="stand-in")


@pytest.mark.parametrize(
    ("score", "verdict"),
    [
        (0.0, Verdict.OK),
        (0.2499, Verdict.OK),
        (0.25, Verdict.REVIEW),
        (0.4999, Verdict.REVIEW),
        (0.5, Verdict.NG),
    ],
)
def test_a_score_at_a_threshold_is_above_it(score: float, verdict: Verdict) -> None:
    assert by_brightness().verdict(score) is verdict


def test_an_output_that_is_no_number_is_an_error_and_never_ok() -> None:
    class Broken(Brightness):
        def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
            return np.where(pixels > 0, np.nan, 0).astype(np.float32)

    inspection = BundleInspector(Broken(), {}, review=0.25, ng=0.5, bundle="b").judge(
        np.eye(4, dtype=np.uint8), "a"
    )
    assert (inspection.verdict, inspection.score) == (Verdict.ERROR, None)
    assert "not finite" in str(inspection.error)
    json.dumps(inspection.to_json(), allow_nan=False)


class TwoSpots(Brightness):
    """Finds a long defect and a short one, each one pixel wide, with the image's maximum as its score."""

    classifies = True
    threshold_score = 0.5
    pixel_threshold = None

    def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
        numbers = np.zeros(raw.shape, np.int32)
        numbers[0, :2], numbers[2, :5] = 1, 2
        short, long = (
            Defect("pit", 0.9, (0, 0, side, 1), (), Rectangle((0, 0), side, 1, 0), side)
            for side in (2.0, 5.0)
        )
        return ImageFindings(float(raw.max()), (short, long), {"defects": numbers} if with_maps else {})


def deciding(**rules: object) -> BundleInspector:
    decision = Decision.model_validate({"revision": 7, "bundle": "stand-in", "score": {}, **rules})
    return BundleInspector(TwoSpots(), {}, review=2, ng=2, bundle="stand-in", decision=decision)


def test_a_decision_says_verdict_grade_and_why() -> None:
    rules = {
        "limits": [{"measure": "length", "unit": "mm", "ng": 2.5}],
        "grades": [{"measure": "area", "unit": "px", "scrap": 5}],
    }
    answer = deciding(**rules).judge(np.zeros((4, 6), np.uint8), "a")
    assert (answer.verdict, answer.grade, answer.decision) == (Verdict.NG, "scrap", 7)
    line = answer.to_json()
    assert line["reasons"] == [
        "pit 2.5 mm long ≥ 2.5 mm",
        "pit 5 px² large ≥ 5 px²: scrap",
        "1 finding is no defect: no rule is met by it",
    ]
    assert [len(line[key]) for key in ("defects", "under_limit")] == [1, 1]
    assert Inspection.from_json(json.loads(json.dumps(line))) == replace(
        answer, timings_ms=line["timings_ms"]
    )


def test_without_a_decision_a_line_says_nothing_of_one_and_is_read() -> None:
    line = by_brightness().judge(np.zeros((4, 6), np.uint8), "a").to_json()
    assert not {"reasons", "grade", "decision"} & line.keys()
    assert Inspection.from_json(line).reasons == ()


@pytest.mark.parametrize("more", [{}, {"decision": {"review": 0.25, "ng": 0.5}}])
def test_an_image_that_is_ok_lists_no_defect_and_says_why(more: dict[str, dict[str, float]]) -> None:
    inspector = BundleInspector(TwoSpots(), {}, review=0.25, ng=0.5, bundle="stand-in", mm_per_px=0.5)
    if more:
        inspector = replace(deciding(score=more["decision"]), mm_per_px=0.5)
    dark, gray, bright = (np.full((4, 6), value, np.uint8) for value in (51, 64, 255))
    under = inspector.judge(dark, "a", with_maps=True)
    assert (under.verdict, under.defects) == (Verdict.OK, ())
    assert [(one.label, one.rectangle.length, one.mm_per_px) for one in under.under_limit] == [
        ("pit", 2.0, 0.5),
        ("pit", 5.0, 0.5),
    ]
    assert under.reasons == ("2 findings are no defects: score 0.2 < 0.25",)
    assert not under.maps["defects"].any() and under.maps["defects"].shape == (4, 6)
    line = json.loads(json.dumps(under.to_json()))
    assert line["defects"] == [] and len(line["under_limit"]) == 2
    assert Inspection.from_json(line).under_limit == under.under_limit
    for pixels, verdict in ((gray, Verdict.REVIEW), (bright, Verdict.NG)):
        reached = inspector.judge(pixels, "a", with_maps=True)
        assert (reached.verdict, len(reached.defects), reached.under_limit) == (verdict, 2, ())
        assert "under_limit" not in reached.to_json()
        assert reached.maps["defects"].max() == 2
    every = replace(inspector, limited=False).judge(dark, "a", with_maps=True)
    assert (every.verdict, len(every.defects), every.reasons) == (Verdict.OK, 2, ())
    assert every.maps["defects"].max() == 2


def test_ignored_defects_are_in_no_list_and_no_map() -> None:
    inspector = deciding(score={"ng": 0.5}, ignore=[{"measure": "length", "unit": "px", "below": 3}])
    answer = inspector.judge(np.full((4, 6), 255, np.uint8), "a", with_maps=True)
    assert [defect.rectangle.length for defect in answer.defects] == [5.0]
    expected = np.zeros((4, 6), np.int32)
    expected[2, :5] = 1
    assert np.array_equal(answer.maps["defects"], expected)
    assert answer.score == 1.0 and answer.verdict is Verdict.NG
    all_ignored = deciding(score={"ng": 0.5}, ignore=[{"measure": "length", "unit": "px", "below": 9}])
    clean = all_ignored.judge(np.full((4, 6), 255, np.uint8), "a", with_maps=True)
    assert (clean.verdict, clean.defects) == (Verdict.OK, ())
    assert clean.score == np.nextafter(0.5, 0.0) and not clean.maps["defects"].any()


def test_a_given_scale_goes_before_the_decisions_and_that_before_the_bundles() -> None:
    pixels = np.zeros((4, 6), np.uint8)
    lengths = [
        inspector.judge(pixels, "a").to_json()["under_limit"][1]["mm"]["length"]
        for inspector in (
            deciding(),
            deciding(mm_per_px=0.1),
            replace(deciding(mm_per_px=0.1), mm_per_px=2.0),
        )
    ]
    assert lengths == pytest.approx([2.5, 0.5, 10.0])


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"limits": [{"measure": "length", "unit": "mm", "ng": 3}]}, "'limits.0' is in mm, but the scale"),
        ({"classes": {"scrach": {"ng": 0.5}}}, "Did you mean 'scratch'?"),
        ({"bundle": "severity-other"}, "'bundle' must be severity-"),
    ],
)
def test_a_decision_that_does_not_fit_the_bundle_is_refused(
    tiny_bundle: Path, tmp_path: Path, rules: dict[str, object], message: str
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    fields = {"schema_version": 1, "revision": 1, "bundle": load_bundle(bundle).id, "score": {}, **rules}
    (bundle / "decision.yaml").write_text(json.dumps(fields))
    with pytest.raises(BlemishError) as raised:
        open_inspector(bundle, device="cpu")
    assert message in str(raised.value) and str(bundle / "decision.yaml") in str(raised.value)
    if "limits" in rules:
        assert open_inspector(bundle, device="cpu", mm_per_px=0.1).scale == 0.1


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ({}, "none"),
        ({"ng": 2.0, "review": 2.0}, "2, which no score reaches"),
        ({"ng": 0.5, "review": 1.5}, "review 1.5 above ng 0.5"),
        ({"ng": 1.5}, "1.5, which no score reaches"),
    ],
)
def test_thresholds_that_call_every_image_ok_are_refused_where_images_are_judged(
    tiny_bundle: Path, given: dict[str, float], received: str
) -> None:
    bundle = load_bundle(tiny_bundle)
    own = {key: value for key, value in bundle.manifest.thresholds.items() if key not in ("ng", "review")}
    odd = bundle.manifest.model_copy(update={"thresholds": {**own, **given}})
    with pytest.raises(BlemishError, match=received):
        inspector_of(Bundle(bundle.path, odd, bundle.networks), device="cpu")
    undecided = inspector_of(Bundle(bundle.path, odd, bundle.networks), device="cpu", decided=False)
    assert undecided.ng == given.get("ng", math.inf), "`blemish decide` may still choose"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("out of memory")])
def test_an_image_too_large_for_the_memory_is_an_error_answer(error: Exception, tmp_path: Path) -> None:
    class Greedy(Brightness):
        def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
            raise error

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 9), np.uint8))
    inspection = BundleInspector(Greedy(), {}, review=0.25, ng=0.5, bundle="b").inspect(tmp_path / "a.png")
    assert inspection.verdict is Verdict.ERROR
    assert "a.png could not be judged" in str(inspection.error)


def test_a_bug_is_no_error_answer(tmp_path: Path) -> None:
    class Wrong(Brightness):
        def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
            raise RuntimeError("shapes differ")

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 9), np.uint8))
    with pytest.raises(RuntimeError, match="shapes differ"):
        BundleInspector(Wrong(), {}, review=0.25, ng=0.5, bundle="b").inspect(tmp_path / "a.png")


def test_an_image_is_decoded_judged_and_timed(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((6, 9), 255, np.uint8))
    inspection = by_brightness().inspect(tmp_path / "a.png", with_maps=True)
    assert (inspection.verdict, inspection.score, inspection.size) == (Verdict.NG, 1.0, (6, 9))
    assert set(inspection.timings_ms) == {"decode", "network", "decide"}
    assert inspection.maps["score_map"].shape == (6, 9)
    assert inspection.mm_per_px == 0.5, "known also where there is no defect"
    assert not by_brightness().inspect(tmp_path / "a.png").maps


def test_the_spread_of_a_score_is_kept_and_written_only_where_there_is_one() -> None:
    class Unsure(Brightness):
        def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
            return ImageFindings(0.5, (), spread=0.125)

    pixels = np.zeros((4, 4), np.uint8)
    unsure = BundleInspector(Unsure(), {}, review=0.25, ng=0.5, bundle="b").judge(pixels, "a")
    assert unsure.to_json()["spread"] == 0.125
    assert Inspection.from_json(unsure.to_json()).spread == 0.125
    sure = by_brightness().judge(pixels, "a").to_json()
    assert "spread" not in sure and Inspection.from_json(sure).spread is None


def test_a_file_that_cannot_be_read_is_an_answer_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    inspection = by_brightness().inspect(tmp_path / "a.png")
    assert (inspection.verdict, inspection.score, inspection.size) == (Verdict.ERROR, None, None)
    assert "a.png" in inspection.error
    json.dumps(inspection.to_json(), allow_nan=False)


def test_an_output_that_is_no_number_is_an_error_not_ok(tmp_path: Path) -> None:
    """NaN is below every threshold; the image must not pass for good."""

    class Broken(Brightness):
        def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
            return np.full(pixels.shape, np.nan, np.float32)

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((6, 9), np.uint8))
    inspection = BundleInspector(Broken(), {}, review=0.25, ng=0.5, bundle="broken").inspect(
        tmp_path / "a.png"
    )
    assert inspection.verdict is Verdict.ERROR
    assert "not finite" in inspection.error


def converted(image: NDArray[np.uint8], kind: str) -> NDArray:
    opaque = np.full(image.shape, 255, np.uint8)
    kinds = {
        "16 bit": image.astype(np.uint16) * 257,
        "colour": np.stack([image] * 3, axis=2),
        "alpha": np.dstack([image, image, image, opaque]),
    }
    return kinds[kind]


@pytest.mark.parametrize("kind", ["16 bit", "colour", "alpha"])
def test_a_gray_bundle_judges_every_kind_of_picture_alike(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    source = next(sample.image for sample in tiny_dataset if sample.annotations)
    image = cv2.imread(str(source), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "a.png"), converted(image, kind))
    inspector = open_inspector(tiny_bundle, device="cpu")
    plain = inspector.inspect(source, with_maps=True)
    other = inspector.inspect(tmp_path / "a.png", with_maps=True)
    assert plain.maps["score_map"].max() > 1
    np.testing.assert_allclose(other.maps["score_map"], plain.maps["score_map"], atol=0.15)
    assert other.verdict == plain.verdict


# Bundles


@pytest.fixture
def changed(tiny_bundle: Path, tmp_path: Path) -> Callable[..., Path]:
    """A bundle as the tiny one but for the manifest's fields given."""

    def change(**fields: object) -> Path:
        loaded = load_bundle(tiny_bundle)
        manifest = loaded.manifest.model_copy(update=fields)
        return save_bundle(tmp_path / "changed", manifest, loaded.networks).path

    return change


def test_a_bundle_is_opened_from_where_it_was_in_0_1() -> None:
    assert inspector_module.open_inspector is open_inspector
    with pytest.raises(AttributeError, match="no attribute 'open'"):
        _ = inspector_module.open


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_each_answer_of_weights_that_are_not_finite_is_an_error(
    tiny_bundle: Path, tmp_path: Path, value: float
) -> None:
    bundle = load_bundle(tiny_bundle)
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), np.full((64, 64), 128, np.uint8))
    for network, tensors in bundle.networks.items():
        name = next(name for name, tensor in tensors.items() if tensor.dtype.kind == "f")
        odd = {**tensors, name: np.full_like(tensors[name], value)}
        path = save_bundle(tmp_path / "odd", bundle.manifest, {**bundle.networks, network: odd}).path
        answer = open_inspector(path, device="cpu").inspect(image)
        assert answer.verdict is Verdict.ERROR and f"tensor '{name}' must be finite" in str(answer.error)
        with pytest.raises(BlemishError, match="must be finite"):
            load_bundle(path)


def refusal(path: Path) -> str:
    with pytest.raises(BlemishError) as caught:
        open_inspector(path, device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_bundle_of_a_method_that_is_not_here_is_refused(changed: Callable[..., Path]) -> None:
    message = refusal(changed(method="severitee"))
    assert "Received: 'severitee'. Did you mean 'severity'?" in message


def test_settings_of_another_version_in_a_bundle_are_refused(
    changed: Callable[..., Path], tiny_bundle: Path
) -> None:
    settings = load_bundle(tiny_bundle).manifest.settings
    message = refusal(changed(settings={**settings, "cells": 4}))
    assert "unknown key 'cells'. Did you mean 'cell'?" in message
    assert "changed" in message, "the bundle is named"


def test_a_bundle_without_its_thresholds_is_refused(changed: Callable[..., Path]) -> None:
    message = refusal(changed(thresholds={"ng": 0.5}))
    assert "'severity'" in message
    assert "changed" in message


def test_a_bundle_without_a_network_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    loaded = load_bundle(tiny_bundle)
    only = {"severity": loaded.networks["severity"]}
    message = refusal(save_bundle(tmp_path / "half", loaded.manifest, only).path)
    assert "must hold the networks ['severity', 'types']. Received: ['severity']" in message


def test_tensors_of_another_shape_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    loaded = load_bundle(tiny_bundle)
    settings = {**loaded.manifest.settings, "channels": 3}
    manifest = loaded.manifest.model_copy(update={"settings": settings})
    message = refusal(save_bundle(tmp_path / "colour", manifest, loaded.networks).path)
    assert "tensors of 'severity' do not fit" in message


def test_the_bundle_named_in_an_inspection_is_the_one_on_disk(
    tiny_bundle: Path, tiny_dataset: Dataset
) -> None:
    loaded: Bundle = load_bundle(tiny_bundle)
    assert inspector_of(loaded, device="cpu").inspect(tiny_dataset.samples[0].image).bundle == loaded.id


# The torch backend


def test_a_network_behind_numpy_gives_what_torch_gives() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).train()
    images = np.random.default_rng(0).random((2, 2, 7, 5), dtype=np.float32)
    found = as_network(module, device="cpu", bfloat16=False)(images)
    assert not module.training
    with torch.inference_mode():
        np.testing.assert_allclose(found, module(torch.from_numpy(images)).numpy(), atol=1e-6)


def test_tensors_are_copied_into_a_module() -> None:
    module = nn.Linear(2, 1)
    given = {"weight": np.float32([[3, 4]]), "bias": np.float32([5])}
    load_tensors({"net": module}, {"net": given}, source="here")
    given["bias"][0] = 9
    assert module(torch.ones(1, 2)).item() == 12


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(BlemishError, match=r"device must be auto, cpu or cuda\. Received: 'gpu'\."):
        pick_device("gpu")
    assert pick_device("cpu") == "cpu"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with pytest.raises(BlemishError, match="no CUDA device is usable here"):
        pick_device("cuda")


def test_a_bundle_that_is_moved_still_answers(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "moved")
    here, there = (open_inspector(path, device="cpu") for path in (tiny_bundle, tmp_path / "moved"))
    image = tiny_dataset.samples[0].image
    assert here.inspect(image).score == there.inspect(image).score


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [({}, False), ({"avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)],
)
def test_bfloat16_is_fast_where_the_processor_multiplies_it(
    capabilities: dict[str, bool], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert fast_bfloat16("cpu") is fast
