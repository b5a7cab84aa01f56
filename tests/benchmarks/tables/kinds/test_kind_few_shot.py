"""Few-shot tables filled end to end on 24 tiny images: the bookkeeping, not how good the figures are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.tables import fill as table_module
from benchmarks.tables import pictures as pictures_module
from benchmarks.tables.fill import fill_table
from benchmarks.tables.kinds.few_shot import NOT_OF_BASE, draw_of
from benchmarks.tables.table import Table, open_table
from benchmarks.tables.training import base_name
from blemish.bundle.store import load_bundle
from blemish.dataset.splits.support_sets import load_support_set
from blemish.errors import BlemishError
from blemish.images.decode import image_size
from blemish.methods.tlsdd import TlsddMethod
from blemish.progress import Reporter

FEW: dict[str, Any] = {
    "title": "Few",
    "paper": "none",
    "synthetic": {
        "images": 24, "seed": 3, "size": [96, 96], "surfaces": ["cast_metal", "brushed_metal"],
        "class_weights": {"scratch": 1, "spot": 1, "stain": 1}, "contrast": [70, 120], "defective_share": 1.0,
    },
    "method": "tlsdd",
    "classes": {"common": ["scratch", "spot"], "rare": ["stain"]},
    "rare_images": 4,
    "pictures": {"images": 2, "metric_space": "tl-sdd"},
    "settings": {
        "preset": "tiny", "device": "cpu", "precision": "fp32", "width": 16, "hidden": 16,
        "proposals_train": 20, "proposals_test": 10, "jitters": 1, "steps": 2, "fine_tune_steps": 1,
    },
    "rows": [
        {"name": "fr-joint", "kind": "few-shot", "settings": {"variant": "fr-joint"}},
        {"name": "tl-sdd", "kind": "few-shot", "against": "fr-joint"},
        {"name": "one-shot", "kind": "few-shot", "settings": {"shots": 1}, "base": {"shots": 2}},
        {"name": "enrolled", "kind": "enrolled"},
    ],
    "columns": [
        {"path": "few_shot.nap50", "heading": "nAP50", "paired": True},
        {"path": "few_shot.ap50.*", "heading": "*"},
    ],
    "goals": [{"row": "tl-sdd", "column": "few_shot.nap50", "against": "fr-joint", "at_least": 2}],
}  # fmt: skip


def write(name: str, **changes: Any) -> None:
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments", f"{name}.yaml").write_text(yaml.safe_dump({**FEW, **changes}, sort_keys=False))


def fill(name: str = "few", **options: Any) -> Path:
    return fill_table(name, Path("out"), **{"data": None, "seeds": 1, "quiet": True, **options})


def opened(name: str = "few") -> Table:
    return open_table(name, Path("out"), data=None, reporter=Reporter(quiet=True))


def stored(name: str) -> dict[str, Any]:
    return json.loads(Path("out", "few", f"{name}.json").read_text())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the table few, its first draw filled in out/; how often a base was trained."""
    folder = tmp_path_factory.mktemp("few-shot")
    fits: list[tuple[str, ...]] = []
    fit = TlsddMethod.fit

    def counted(self: TlsddMethod, dataset: Any, settings: Any, trainer: Any) -> Any:
        fits.append(settings.rare)
        return fit(self, dataset, settings, trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BLEMISH_ROWS", raising=False)
        patch.setattr(TlsddMethod, "fit", counted)
        write("few")
        fill()
    Path(folder, "fits.json").write_text(json.dumps(fits))
    return folder


@pytest.fixture(autouse=True)
def in_folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    write("few")


def test_every_row_has_both_groups_figures_and_the_digest_of_its_draw() -> None:
    table = opened()
    for row in table.experiment.rows:
        figures = stored(f"{row.name}-seed0")["figures"]
        ap50 = figures["few_shot"]["ap50"]
        assert list(ap50) == ["scratch", "spot", "stain"]
        assert figures["few_shot"]["nap50"] == ap50["stain"]
        assert figures["few_shot"]["bap50"] == pytest.approx(np.mean([ap50["scratch"], ap50["spot"]]))
        assert set(figures["few_shot"]["paper_ap"]) == set(ap50)
        assert figures["images"] == len(table.dataset.split("test"))
        file = table.draws_folder / figures["draw"]["file"]
        assert figures["draw"]["digest"] == load_support_set(file, table.dataset).digest
    shots = [stored(f"{row.name}-seed0")["figures"]["draw"]["shots"] for row in table.experiment.rows]
    assert shots == [2, 2, 1, 2]


def test_one_base_serves_every_row_that_asks_for_the_same() -> None:
    """Of four rows one is joint and three share a base: one training without rare classes."""
    fits = json.loads(Path("fits.json").read_text())
    assert sorted(map(len, fits)) == [0, 1, 1, 1]
    (base,) = Path("out/bases/runs").glob("base-*")
    assert load_bundle(base / "bundle").manifest.class_names == ("scratch", "spot")
    base_seconds = {stored(f"{name}-seed0")["figures"]["seconds_base"] for name in ("tl-sdd", "one-shot")}
    assert base_seconds == {float((base / "seconds").read_text())}
    assert stored("fr-joint-seed0")["figures"]["seconds_base"] == 0


def test_a_base_has_a_name_of_its_own_only_where_it_is_trained_otherwise() -> None:
    settings = {"steps": 2, "fine_tune_steps": 1, "nms": 0.5}
    name = base_name("tlsdd", settings, "data", ignored=NOT_OF_BASE)
    alike = {**settings, "fine_tune_steps": 9, "nms": 0.6}
    assert base_name("tlsdd", alike, "data", ignored=NOT_OF_BASE) == name
    others = [({**settings, "steps": 3}, "data"), (settings, "other")]
    assert len({name, *(base_name("tlsdd", *other, ignored=NOT_OF_BASE) for other in others)}) == 3


def test_training_saw_the_drawn_rare_boxes_alone() -> None:
    for name in ("tl-sdd", "enrolled"):
        manifest = load_bundle(Path(f"out/few/runs/{name}-seed0/bundle")).manifest
        assert manifest.class_names == ("scratch", "spot", "stain")
        drawn = load_support_set(opened().draws_folder / "few-shots2-seed0.json", opened().dataset)
        assert sorted(manifest.memory["examples"]["stain"]) == sorted(drawn.classes["stain"])


def test_enrolling_trains_nothing() -> None:
    (base,) = Path("out/bases/runs").glob("base-*")
    before = load_bundle(base / "bundle").networks["detector"]
    after = load_bundle(Path("out/few/runs/enrolled-seed0/bundle")).networks["detector"]
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_table_compares_draw_by_draw_and_names_the_rare_class() -> None:
    text = Path("out/few/table.md").read_text()
    assert "|  | draws | nAP50 | scratch | spot | stain, rare |" in text
    ours, theirs = (
        stored(f"{name}-seed0")["figures"]["few_shot"]["nap50"] for name in ("tl-sdd", "fr-joint")
    )
    assert f"| tl-sdd | 1 | {ours - theirs:+.3f} |" in text
    assert "- tl-sdd: nAP50 minus that of fr-joint ≥ +2:" in text
    assert "(detections.png)" in text and "(metric-space.png)" in text


def test_pictures_show_a_column_a_row_and_a_line_an_image() -> None:
    height, width = image_size(Path("out/few/detections.png"))
    assert (height, width) == (2 * 240 + 40, 5 * 240)  # two images; the truth and four rows
    assert image_size(Path("out/few/metric-space.png")) == (960, 1280)


def test_a_second_call_measures_and_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fill", "draw_pictures"):
        monkeypatch.setattr(table_module, name, lambda *_: pytest.fail("a stored row was measured again"))
    before = Path("out/few/table.md").read_text()
    fill()
    assert Path("out/few/table.md").read_text() == before


def test_a_picture_is_drawn_again_only_after_a_bundle_that_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for name in ("draw_detections", "draw_metric_space"):
        monkeypatch.setattr(pictures_module, name, lambda *_, name=name: drawn.append(name))
    table = opened()
    pictures_module.draw_pictures(table)
    assert drawn == []
    for row, expected in (
        ("fr-joint", ["draw_detections"]),
        ("tl-sdd", ["draw_detections", "draw_metric_space"]),
    ):
        manifest = table.run_folder(table.experiment.row(row), 0) / "bundle" / "manifest.json"
        before = manifest.stat()
        os.utime(manifest)
        pictures_module.draw_pictures(table)
        assert drawn == expected
        drawn.clear()
        os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_draws_of_other_seeds_differ_and_fewer_shots_are_nested() -> None:
    table = opened()
    classes = table.experiment.classes
    assert classes is not None
    first, second = (draw_of(table, classes, 2, seed)[1] for seed in (0, 1))
    one = draw_of(table, classes, 1, 0)[1]
    assert first.digest != second.digest
    assert all(one.classes[name] == first.classes[name][:1] for name in one.classes)


def test_another_draw_file_is_refused_by_name() -> None:
    file = opened().draws_folder / "few-shots1-seed7.json"
    fields = json.loads((opened().draws_folder / "few-shots1-seed0.json").read_text())
    file.write_text(json.dumps({**fields, "dataset_fingerprint": "0" * 64}))
    with pytest.raises(BlemishError, match=r"few-shots1-seed7\.json must be a support set of"):
        load_support_set(draw_of(*drawn_for(7))[0], opened().dataset)


def drawn_for(seed: int) -> tuple[Any, ...]:
    table = opened()
    return table, table.experiment.classes, 1, seed


def test_other_settings_of_the_base_are_refused() -> None:
    rows = [{**row, "base": {"shots": 1}} if row["name"] == "one-shot" else row for row in FEW["rows"]]
    write("few", rows=rows)
    with pytest.raises(
        BlemishError, match=r"one-shot-seed0\.json: .*base\.shots=2\. Received: base\.shots=1"
    ):
        fill()


def test_given_classes_win_and_keep_their_draws_beside_their_results() -> None:
    write("other", synthetic=None, dataset="plates")
    made = opened().dataset.root
    options = {"data": made, "reporter": Reporter(quiet=True)}
    table = open_table("other", Path("mine"), groups={"common": None, "rare": ("spot",)}, **options)
    assert table.experiment.classes is not None
    assert table.experiment.classes.rare == ("spot",)
    assert table.draws_folder == Path("mine/other/draws")
    rare = [one for one in table.dataset.split("train") if any(a.label == "spot" for a in one.annotations)]
    assert len(rare) == 4
    with pytest.raises(BlemishError, match="plates must be the dataset of table other"):
        _ = open_table("other", Path("mine"), **options).dataset


def test_a_class_that_the_data_has_not_is_told_with_the_nearest() -> None:
    with pytest.raises(BlemishError, match=r"Received: 'stains'\. Did you mean 'stain'\?"):
        fill(rare="stains", common="scratch,spot")


def test_classes_are_for_few_shot_tables_alone() -> None:
    row = {"name": "otsu", "kind": "otsu"}
    write("plain", classes=None, rows=[row], goals=[], pictures=None)
    with pytest.raises(BlemishError, match="--common and --rare must be given for a few-shot table"):
        fill("plain", rare="stain")
