"""A bundle and what is exported from it: the same answers, a certificate of that, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from random_bundles import BESIDE_HEAD, CASAE, MEDETECTION, SEVERITY

from blemish.bundle import Bundle, load_bundle
from blemish.bundle.store import CERTIFICATE, DECISION, MANIFEST, USAGE, sha256
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import DefectRequest, render
from blemish.decision.decision import Decision
from blemish.decision.rules import Thresholds
from blemish.decision.store import decision_text, stored_decision
from blemish.errors import BlemishError
from blemish.exporting.request import ExportRequest, default_out
from blemish.exporting.run import export_bundle
from blemish.inspection import Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, loaded_modules, method_of
from blemish.methods.contract import Networks
from blemish.progress import Reporter
from blemish.training.request import Request as TrainingRequest
from blemish.training.run import train

QUIET = Reporter(quiet=True)
# None is larger than 80 pixels a side.
FEW_SIZES = ((40, 57), (33, 80), (7, 53), (64, 64))


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of a few small images, where the test is of something else."""
    monkeypatch.setattr("blemish.exporting.comparison_images.IMAGES", 8)
    monkeypatch.setattr("blemish.exporting.comparison_images.MIN_SYNTHETIC", 4)
    monkeypatch.setattr("blemish.exporting.comparison_images.SMALL", FEW_SIZES)


@pytest.fixture
def as_exported(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are those that were written before, which saves the export."""
    import onnx

    model = onnx.load(exported / "severity.onnx")
    monkeypatch.setattr("blemish.exporting.run.onnx_model", lambda _plan: model)


def certificate_of(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / CERTIFICATE).read_text())


def noise_image(size: tuple[int, int], channels: int | None, deep: bool = False) -> np.ndarray:
    generator = np.random.default_rng(sum(size))
    whole = (max(size[0], 48), max(size[1], 48))
    gray = render(
        "brushed_metal", size=whole, defects=[DefectRequest("spot", 90.0)], generator=generator
    ).image
    pixels = gray[: size[0], : size[1]].astype(np.uint16) * 257 if deep else gray[: size[0], : size[1]]
    return pixels if channels == 1 else cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2RGB)


def sides_of(source: Bundle, exported: Path) -> tuple[BundleInspector, BundleInspector]:
    return inspector_of(source, device="cpu"), inspector_of(load_bundle(exported))


def assert_same(torch: BundleInspector, graphs: BundleInspector, pixels: np.ndarray) -> None:
    """Without the comparison that the certificate is made by."""
    first, second = (side.judge(pixels, "one", with_maps=True) for side in (torch, graphs))
    assert second.error is None
    assert second.verdict is first.verdict
    assert second.score == pytest.approx(first.score, abs=1e-4)
    assert len(second.defects) == len(first.defects)
    for each, other in zip(first.defects, second.defects, strict=True):
        assert other.label == each.label
        np.testing.assert_allclose(other.box_xyxy, each.box_xyxy, atol=0.5)
        assert other.area == pytest.approx(each.area, rel=0.01, abs=1)
    for name, values in first.maps.items():
        if name != "defects":
            np.testing.assert_allclose(second.maps[name], values, atol=2e-3)


# What is written


def test_the_certificate_is_of_32_images_that_say_something(exported: Path) -> None:
    certificate = certificate_of(exported)
    assert certificate["passed"] is True
    assert certificate["failures"] == []
    images = certificate["images"]
    assert len(images) == certificate["compared"]["images"] >= 32
    assert certificate["compared"]["defects"] > 30
    assert certificate["notes"] == []
    assert len({row["torch"]["score"] for row in images}) > 20, "scores are spread"
    assert {row["torch"]["verdict"] for row in images} == {"OK", "REVIEW", "NG"}
    for kind in ("gray8", "gray16", "colour8", "colour16", ".png", ".tiff"):
        assert any(kind in row["image"] for row in images)
    assert any(max(row["size"]) > SEVERITY["tile"] for row in images)
    assert any(row["size"][0] % 2 and row["size"][1] % 2 for row in images)
    for row in images:
        assert len(row["sha256"]) == 64
        assert row["exported"]["score"] == pytest.approx(row["torch"]["score"], abs=1e-3)
    assert 0 < certificate["worst"]["score"]["apart"] <= certificate["limits"]["score"] == 1e-3
    assert certificate["worst"]["score"]["image"] in {row["image"] for row in images}
    assert {"torch", "onnx", "onnxruntime", "numpy", "python"} <= set(certificate["versions"])
    assert certificate["hardware"]


def test_the_bundle_is_the_old_one_with_graphs(severity_bundle: Bundle, exported: Path) -> None:
    loaded = load_bundle(exported)
    assert loaded.manifest.runtime.source == severity_bundle.id == certificate_of(exported)["source"]
    update = {"runtime": None, "files": severity_bundle.manifest.files}
    assert loaded.manifest.model_copy(update=update) == severity_bundle.manifest
    assert set(loaded.manifest.files) == {"severity.onnx", CERTIFICATE}
    for name, digest in loaded.manifest.files.items():
        assert sha256((exported / name).read_bytes()) == digest
    assert sorted(path.name for path in exported.parent.iterdir()) == [exported.name], "no draft is left"
    assert str(exported.parent) not in (exported / CERTIFICATE).read_text()


def test_the_same_export_again_is_the_same_bundle(
    severity_bundle: Bundle, exported: Path, as_exported: None, tmp_path: Path
) -> None:
    again = export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", tmp_path / "again"), QUIET)
    assert load_bundle(again).id == load_bundle(exported).id


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (5, 3), (96, 96), (97, 131), (161, 40), (170, 333)])
def test_both_sides_answer_alike_at_any_size(
    severity_bundle: Bundle, exported: Path, size: tuple[int, int]
) -> None:
    torch, graphs = sides_of(severity_bundle, exported)
    assert_same(torch, graphs, noise_image(size, 1))
    assert_same(torch, graphs, noise_image(size, 1, deep=True))


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("severity", SEVERITY),
        ("severity", {**SEVERITY, "loss": "hurdle", "context": 4}),
        ("casae", {**CASAE, "tiled": False, "tile": None, "types": True}),
        ("medetection", MEDETECTION),
        ("medetection", {**MEDETECTION, **BESIDE_HEAD}),
    ],
    ids=["severity", "severity with context", "casae", "medetection", "medetection with a linear path"],
)
def test_every_method_answers_alike_by_openvino(
    method: str,
    settings: Mapping[str, Any],
    new_bundle: Callable[..., Bundle],
    few_pictures: None,
    tmp_path: Path,
) -> None:
    bundle = new_bundle(method, settings)
    out = export_bundle(ExportRequest(bundle, "openvino", "fp32", tmp_path / "out"), QUIET)
    torch, graphs = sides_of(bundle, out)
    for size in [(1, 1), (33, 95), (97, 131)]:
        assert_same(torch, graphs, noise_image(size, torch.inference.channels))
    scores = {row["torch"]["score"] for row in certificate_of(out)["images"]}
    assert len(scores) > 2


@pytest.mark.parametrize(
    ("method", "settings", "start", "kind"),
    [
        ("severity", SEVERITY, 11.0, "onnx"),
        ("casae", {**CASAE, "tiled": False, "tile": None}, 0.8, "openvino"),
    ],
    ids=["severity", "casae"],
)
def test_regions_that_start_higher_and_a_head_for_the_score_go_along(
    method: str,
    settings: Mapping[str, Any],
    start: float,
    kind: Any,
    new_bundle: Callable[..., Bundle],
    few_pictures: None,
    tmp_path: Path,
) -> None:
    score = {"weights": [0.3, 0.2, 0.1, 0.0, 1.5], "bias": 0.2, "head_mean": 0.1}
    bundle = new_bundle(
        method,
        settings,
        further_thresholds={"start": start, "min_area": 9.0},
        further_memory={"image_score": score},
    )
    out = export_bundle(ExportRequest(bundle, kind, "fp32", tmp_path / "out"), QUIET)
    torch, graphs = sides_of(bundle, out)
    assert graphs.inference.start_threshold == np.float32(start) and graphs.inference.min_area == 9
    assert set(graphs.networks) == set(torch.networks) >= {"image"}
    found = 0
    for size in [(33, 95), (97, 131), (150, 64)]:
        pixels = noise_image(size, torch.inference.channels)
        assert_same(torch, graphs, pixels)
        every = replace(torch.inference, start_threshold=0.0, min_area=0.0)
        found += len(replace(torch, inference=every, limited=False).judge(pixels, "one").defects)
        found -= len(replace(torch, limited=False).judge(pixels, "one").defects)
    assert found > 0, "some start nowhere"


def test_references_that_stay_are_stored_as_features(
    new_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    """The graph takes the image alone, and the backbone runs on one image, not R + 1."""
    bundle = new_bundle("medetection", MEDETECTION)
    method, _ = method_of(bundle)
    (plan,) = method.graphs(loaded_modules(bundle, method), bundle.manifest).values()
    assert {name: tuple(each.shape) for name, each in plan.inputs.items()} == {"image": (1, 3, 48, 48)}
    aligned = new_bundle("medetection", {**MEDETECTION, "align": "translation"})
    (plan,) = method.graphs(loaded_modules(aligned, method), aligned.manifest).values()
    assert {name: tuple(each.shape) for name, each in plan.inputs.items()} == {"pairs": (1, 9, 48, 48)}


def test_it_runs_where_torch_cannot_be_imported(
    severity_bundle: Bundle, exported: Path, tmp_path: Path
) -> None:
    file = tmp_path / "image.png"
    cv2.imwrite(str(file), noise_image((97, 131), 1))
    program = (
        "import sys; from pathlib import Path\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'accelerate']))\n"
        "from blemish.inspector.loading import open_inspector\n"
        f"found = open_inspector(Path({str(exported)!r})).inspect(Path({str(file)!r}))\n"
        "print(found.verdict, round(found.score, 4), len(found.defects))\n"
        "assert not any(name.startswith('blemish.nn') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = inspector_of(severity_bundle, device="cpu").inspect(file)
    assert done.stdout.split() == [
        str(expected.verdict),
        str(round(expected.score, 4)),
        str(len(expected.defects)),
    ]


# Decisions


@pytest.fixture
def decided(severity_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A copy of the bundle with a decision that calls everything NG."""
    folder = tmp_path / "decided"
    shutil.copytree(severity_bundle.path, folder)
    decision = Decision(revision=3, bundle=severity_bundle.id, score=Thresholds(review=0.0, ng=0.0))
    (folder / DECISION).write_text(decision_text(decision))
    return load_bundle(folder)


def test_the_decision_goes_along(
    decided: Bundle, as_exported: None, few_pictures: None, tmp_path: Path
) -> None:
    out = export_bundle(ExportRequest(decided, "onnx", "fp32", tmp_path / "out"), QUIET)
    loaded = load_bundle(out)
    decision = stored_decision(out, bundle=loaded.id)
    assert (decision.revision, decision.bundle) == (3, loaded.id)
    assert {row["exported"]["verdict"] for row in certificate_of(out)["images"]} == {"NG"}


def test_an_export_over_the_same_bundle_keeps_the_count_of_looks(
    severity_bundle: Bundle, as_exported: None, few_pictures: None, tmp_path: Path
) -> None:
    request = ExportRequest(severity_bundle, "onnx", "fp32", tmp_path / "out")
    out = export_bundle(request, QUIET)
    usage = {"schema_version": 1, "bundle": load_bundle(out).id, "looks": []}
    (out / USAGE).write_text(json.dumps(usage))
    assert json.loads((export_bundle(request, QUIET) / USAGE).read_text()) == usage


@pytest.mark.parametrize(("given", "followed"), [(None, 3), (2, 3), (3, 3), (4, 4)])
def test_an_export_over_the_same_bundle_keeps_the_decision_made_for_it(
    given: int | None,
    followed: int,
    severity_bundle: Bundle,
    as_exported: None,
    few_pictures: None,
    tmp_path: Path,
) -> None:
    """Unless the one that goes along is newer, which leaves it as an older revision."""
    source = load_bundle(shutil.copytree(severity_bundle.path, tmp_path / "source"))
    request = ExportRequest(source, "onnx", "fp32", tmp_path / "out")
    out = export_bundle(request, QUIET)
    own = Decision(revision=3, bundle=load_bundle(out).id, score=Thresholds(review=1.0, ng=1.0))
    (out / DECISION).write_text(decision_text(own))
    if given is not None:
        along = own.model_copy(update={"revision": given, "bundle": source.id, "mm_per_px": 0.5})
        # Of the same thresholds as training found, so that the certificate and with it the id stay.
        thresholds = Thresholds(**{key: source.manifest.thresholds[key] for key in ("review", "ng")})
        (source.path / DECISION).write_text(decision_text(along.model_copy(update={"score": thresholds})))
    loaded = load_bundle(export_bundle(request, QUIET))
    assert loaded.id == own.bundle
    assert stored_decision(out, bundle=loaded.id).revision == followed
    assert (out / "decision-3.yaml").is_file() == (followed == 4)


@pytest.mark.parametrize("where", [".", "exported", "../source/a/b"])
def test_nothing_is_written_into_the_bundle_itself(
    where: str, severity_bundle: Bundle, tmp_path: Path
) -> None:
    source = load_bundle(shutil.copytree(severity_bundle.path, tmp_path / "source"))
    with pytest.raises(BlemishError, match=r"must not (be the bundle itself or )?lie in "):
        export_bundle(ExportRequest(source, "onnx", "fp32", source.path / where), QUIET)
    assert load_bundle(source.path).id == source.id


def test_a_bundle_with_weights_is_not_written_over(severity_bundle: Bundle, tmp_path: Path) -> None:
    other = shutil.copytree(severity_bundle.path, tmp_path / "other")
    before = {file.name: file.read_bytes() for file in other.iterdir()}
    with pytest.raises(BlemishError, match="is a bundle with weights, which an export never overwrites"):
        export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", other), QUIET)
    assert {file.name: file.read_bytes() for file in other.iterdir()} == before


@pytest.mark.parametrize(
    ("package", "extra"), [("onnxscript", "export"), ("onnxruntime", "runtime"), ("nncf", "int8")]
)
def test_a_missing_package_is_told_before_any_work(
    package: str,
    extra: str,
    severity_bundle: Bundle,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    request = ExportRequest(severity_bundle, "onnx", "int8", tmp_path / "out", dataset=tiny_dataset)
    with pytest.raises(BlemishError, match=rf"Run: pip install 'blemish\[{extra}\]'$"):
        export_bundle(request, QUIET)
    assert not list(tmp_path.iterdir())


# A certificate that fails


def by_256(networks: Networks) -> Networks:
    """The networks as if 8-bit pixels had been divided by 256 instead of 255."""
    return {
        name: lambda inputs, own=own: own(inputs * np.float32(255 / 256)) for name, own in networks.items()
    }


def test_a_wrong_constant_before_the_network_is_found(
    severity_bundle: Bundle, as_exported: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.methods.severity import served

    monkeypatch.setattr(
        "blemish.methods.severity.served", lambda graphs, **told: by_256(served(graphs, **told))
    )
    out = tmp_path / "out"
    with pytest.raises(BlemishError, match=r"is off by .* on .*synthetic/.*; at most") as caught:
        export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", out), QUIET)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    failed = tmp_path / f"out-{CERTIFICATE}"
    assert [path.name for path in tmp_path.iterdir()] == [failed.name]
    certificate = json.loads(failed.read_text())
    assert certificate["passed"] is False
    assert certificate["worst"]["score"]["apart"] > 1e-3


def test_the_certificate_of_a_failed_attempt_goes_with_the_next_that_passes(
    severity_bundle: Bundle, as_exported: None, few_pictures: None, tmp_path: Path
) -> None:
    (tmp_path / f"out-{CERTIFICATE}").write_text("failed")
    out = export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", tmp_path / "out"), QUIET)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_failed_export_leaves_the_bundle_that_was_there(
    severity_bundle: Bundle,
    exported: Path,
    as_exported: None,
    few_pictures: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from blemish.methods.severity import served

    out = shutil.copytree(exported, tmp_path / "out")
    before = load_bundle(out).id
    monkeypatch.setattr(
        "blemish.methods.severity.served", lambda graphs, **told: by_256(served(graphs, **told))
    )
    with pytest.raises(BlemishError):
        export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", out), QUIET)
    assert load_bundle(out).id == before


# Graphs of one size


def test_with_a_tile_graphs_have_that_size_and_smaller_images_are_errors(
    severity_bundle: Bundle, few_pictures: None, tmp_path: Path
) -> None:
    out = export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", tmp_path / "out", tile=128), QUIET)
    loaded = load_bundle(out)
    assert loaded.manifest.runtime.graphs["severity"].inputs[0].shape == (None, 1, 128, 128)
    torch, graphs = sides_of(severity_bundle, out)
    assert_same(torch, graphs, noise_image((150, 301), 1))
    file = tmp_path / "small.png"
    cv2.imwrite(str(file), noise_image((128, 90), 1))
    answer = graphs.inspect(file)
    assert answer.verdict is Verdict.ERROR
    assert "has the size any×1×128×128 for 'images', and received 1×1×128×90" in answer.error
    assert min(min(row["size"]) for row in certificate_of(out)["images"]) >= 128


@pytest.mark.parametrize(
    ("method", "settings", "tile", "message"),
    [
        ("severity", SEVERITY, 127, "--tile 127: tile must be a multiple of"),
        ("severity", SEVERITY, 64, "--tile 64: tile must be more than twice the halo"),
        (
            "casae",
            {**CASAE, "tiled": False, "tile": None},
            1024,
            "--tile 1024: tile has no effect with tiled off",
        ),
        ("medetection", MEDETECTION, 256, "--tile 256: method medetection uses no tiles. Leave --tile out."),
    ],
)
def test_a_tile_that_does_not_fit_is_refused(
    method: str,
    settings: Mapping[str, Any],
    tile: int,
    message: str,
    new_bundle: Callable[..., Bundle],
    tmp_path: Path,
) -> None:
    with pytest.raises(BlemishError, match=message):
        export_bundle(
            ExportRequest(new_bundle(method, settings), "onnx", "fp32", tmp_path / "out", tile=tile), QUIET
        )
    assert not list(tmp_path.iterdir())


# Precisions


def test_fp16_is_half_the_size_and_within_its_own_tolerances(
    severity_bundle: Bundle, exported: Path, as_exported: None, tmp_path: Path
) -> None:
    out = export_bundle(ExportRequest(severity_bundle, "onnx", "fp16", tmp_path / "out"), QUIET)
    certificate = certificate_of(out)
    assert (certificate["precision"], certificate["limits"]["score"]) == ("fp16", 1e-2)
    assert 0 < certificate["worst"]["severity"]["apart"] < 1e-2
    assert (out / "severity.onnx").stat().st_size < 0.6 * (exported / "severity.onnx").stat().st_size


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_int8_is_calibrated_on_training_images_and_measured_on_validation_images(
    kind: str,
    severity_bundle: Bundle,
    as_exported: None,
    few_pictures: None,
    tiny_dataset: Dataset,
    tmp_path: Path,
) -> None:
    request = ExportRequest(
        severity_bundle, kind, "int8", tmp_path / "out", dataset=tiny_dataset, calibration=3, max_drop=0.5
    )
    out = export_bundle(request, QUIET)
    certificate = certificate_of(out)
    metric = certificate["metric"]
    assert (metric["name"], metric["images"]) == ("pixel.f1", len(tiny_dataset.split("val")))
    assert metric["before"] - metric["after"] <= 0.5
    assert "3 for 'severity'" in certificate["notes"][0]
    assert certificate["limits"] == {"errors": 0}
    torch, graphs = sides_of(severity_bundle, out)
    pixels = noise_image((96, 96), 1)
    expected, found = (side.inference.forward(pixels, side.networks) for side in (torch, graphs))
    assert np.abs(found - expected).max() > 1e-3, "it is not fp32"
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.95


def test_int8_is_refused_where_no_training_image_comes_to_a_graph(
    severity_bundle: Bundle, few_pictures: None, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """Its images are 96×96, and the graph is for 128×128."""
    request = ExportRequest(
        severity_bundle, "onnx", "int8", tmp_path / "out", tile=128, dataset=tiny_dataset, calibration=2
    )
    with pytest.raises(BlemishError, match="so int8 cannot be calibrated"):
        export_bundle(request, QUIET)
    assert not list(tmp_path.iterdir())


def test_int8_that_costs_too_much_is_refused(
    severity_bundle: Bundle,
    as_exported: None,
    few_pictures: None,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrecked(model: Any, _files: object) -> Any:
        (bias,) = (each for each in model.graph.initializer if each.name.endswith("conv4.bias"))
        bias.CopyFrom(onnx_array(np.full(1, -50.0, np.float32), bias.name))
        return model

    monkeypatch.setattr("blemish.exporting.run.quantised", wrecked)
    request = ExportRequest(
        severity_bundle, "onnx", "int8", tmp_path / "out", dataset=tiny_dataset, calibration=2, max_drop=0.02
    )
    with pytest.raises(
        BlemishError, match=r"pixel\.f1 on the \d+ validation images drops from .* \(--max-drop\)"
    ):
        export_bundle(request, QUIET)
    assert [path.name for path in tmp_path.iterdir()] == [f"out-{CERTIFICATE}"]


def onnx_array(values: np.ndarray, name: str) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)


@pytest.mark.parametrize(
    ("split", "message"), [("train", "has no validation images"), ("val", "has no training images")]
)
def test_int8_needs_both_kinds_of_images(
    split: str,
    message: str,
    severity_bundle: Bundle,
    as_exported: None,
    few_pictures: None,
    tiny_dataset: Dataset,
    tmp_path: Path,
) -> None:
    request = ExportRequest(
        severity_bundle, "onnx", "int8", tmp_path / "out", dataset=tiny_dataset.split(split), calibration=1
    )
    with pytest.raises(BlemishError, match=message):
        export_bundle(request, QUIET)
    assert not (tmp_path / "out").exists()


# What is refused before any work


def test_no_training_starts_from_an_exported_bundle(
    exported: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    start = load_bundle(exported)
    method, _ = method_of(start)
    settings = method.settings_type.model_validate(start.manifest.settings)
    with pytest.raises(BlemishError, match="is an exported bundle, which has graphs in place of weights"):
        train(TrainingRequest(method, tiny_dataset, settings, tmp_path / "run", initial_bundle=start), QUIET)
    assert not (tmp_path / "run").exists()


def test_an_exported_bundle_is_not_exported_again(exported: Path, tmp_path: Path) -> None:
    request = ExportRequest(load_bundle(exported), "openvino", "fp32", tmp_path / "out")
    with pytest.raises(BlemishError, match="is an exported bundle, which has graphs in place of weights"):
        export_bundle(request, QUIET)


def test_a_folder_that_is_no_bundle_is_not_written_over(severity_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(BlemishError, match="exists and is no bundle; it is not overwritten"):
        export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", tmp_path / "mine"), QUIET)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_the_bundle_itself_is_not_written_over(severity_bundle: Bundle) -> None:
    with pytest.raises(BlemishError, match="--out must not be the bundle itself"):
        export_bundle(ExportRequest(severity_bundle, "onnx", "fp32", severity_bundle.path), QUIET)
    assert (severity_bundle.path / MANIFEST).is_file()


def test_where_it_goes_by_itself() -> None:
    assert default_out(Path("/runs/a/bundle"), "onnx", "fp32") == Path("/runs/a/bundle-onnx")
    assert default_out(Path("/runs/a/bundle/"), "openvino", "int8") == Path("/runs/a/bundle-openvino-int8")
    assert default_out(Path(), "onnx", "fp32").name == f"{Path.cwd().name}-onnx"
