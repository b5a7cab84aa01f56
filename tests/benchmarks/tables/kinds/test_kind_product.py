"""Tables of products filled end to end on tiny pictures: the bookkeeping, not how good the figures are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables import fill as table_module
from benchmarks.tables.data import made_collection, product_dataset
from benchmarks.tables.fill import fill_table
from benchmarks.tables.table import Table, open_table
from blemish.bundle.store import load_bundle
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.methods.medetection import MedetectionMethod
from blemish.progress import Reporter

SURFACES = {"cast": "cast_metal", "brushed": "brushed_metal", "wood": "wood_grain"}
PEER = {"backbone": "resnet18", "weights": "none", "size": 48, "device": "cpu"}
PRODUCTS: dict[str, Any] = {
    "title": "Products",
    "paper": "none",
    "dataset": "tasks",
    "method": "medetection",
    "targets": ["wood"],
    "settings": {
        "preset": "tiny", "device": "cpu", "precision": "fp32", "meta_steps": 2, "steps": 4, "check_every": 2,
    },
    "rows": [
        {"name": "random", "kind": "product", "settings": {"maml": False}, "reach": "random"},
        {"name": "maml", "kind": "product", "reach": "random", "papers": {"wood": {"image.auroc": 0.9}}},
        {"name": "faster", "kind": "product", "settings": {"learning_rate": 0.01}},
        {"name": "nearest", "kind": "nearest-feature", "settings": {**PEER, "level": "layer2"}},
        {"name": "memory", "kind": "patch-memory", "settings": {**PEER, "levels": ["layer1"], "pool": 400}},
        {"name": "probe", "kind": "linear-probe", "settings": {**PEER, "level": "layer2", "shots": 8}},
    ],
    "columns": [
        {"path": "image.auroc", "heading": "AUROC"},
        {"path": "operating_point.escapes", "heading": "escapes"},
        {"path": "reached.recall.epochs", "heading": "epochs to recall"},
    ],
    "by_target": ["image.auroc"],
    "goals": [
        {"row": "maml", "column": "reached.recall.epochs", "at_most": 0.5, "relative_to": "random"},
        {"row": "maml", "column": "image.auroc", "at_least": 0.924, "target": "wood"},
        {"row": "maml", "column": "image.auroc", "at_least": 0.9, "target": "elsewhere"},
    ],
}  # fmt: skip


def write(name: str = "products", **changes: Any) -> None:
    Path("experiments").mkdir(exist_ok=True)
    text = yaml.safe_dump({**PRODUCTS, **changes}, sort_keys=False)
    Path("experiments", f"{name}.yaml").write_text(text)


def fill(name: str = "products", **options: Any) -> Path:
    arguments = {"data": Path("data"), "seeds": 1, "quiet": True, **options}
    return fill_table(name, Path("out"), **arguments)


def opened(name: str = "products", **options: Any) -> Table:
    arguments = {"data": Path("data"), "reporter": Reporter(quiet=True), **options}
    return open_table(name, Path("out"), **arguments)


def stored(name: str) -> dict[str, Any]:
    return json.loads(Path("out", "products", f"{name}.json").read_text())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with products in data/tasks, their table filled in out/, and fits.json: what each
    training was given.
    """
    folder = tmp_path_factory.mktemp("products")
    for seed, (name, surface) in enumerate(SURFACES.items()):
        synthesise(
            folder / "data" / "tasks" / name,
            surfaces=[surface],
            images=40,
            seed=seed,
            size=(48, 48),
            class_weights={"spot": 1},
            contrast=(90, 130),
            defective_share=0.5,
        )
    fits: list[dict[str, Any]] = []
    fit = MedetectionMethod.fit

    def noted(self: MedetectionMethod, dataset: Dataset, settings: Any, trainer: Any) -> Any:
        start = trainer.initial_bundle.path.parent.name if trainer.initial_bundle else None
        fits.append({"products": list(dataset.products), "target": settings.target, "start": start})
        return fit(self, dataset, settings, trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BLEMISH_ROWS", raising=False)
        patch.setattr(MedetectionMethod, "fit", noted)
        write()
        fill()
    Path(folder, "fits.json").write_text(json.dumps(fits))
    return folder


@pytest.fixture(autouse=True)
def in_folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    write()


def test_a_row_has_a_file_for_its_target_and_the_figures_of_its_test_images() -> None:
    test = of_product(opened().dataset, "wood").split("test")
    for row in opened().experiment.rows:
        result = stored(f"{row.name}-seed0")
        figures = result["figures"]
        assert (row.name, result["settings"]["target"]) == (f"{row.template}-wood", "wood")
        assert figures["images"] == len(test)
        assert figures["image"]["defective"] == sum(sample.is_defective for sample in test)
        assert 0 <= figures["image"]["auroc"] <= 1
        assert figures["operating_point"]["escapes"]["of"] == figures["image"]["defective"]
        assert {"accuracy", "precision", "recall", "f1"} <= figures["image"].keys()
        assert figures["seconds_training"] > 0


def test_one_start_is_taught_without_the_target_and_serves_every_row() -> None:
    fits = json.loads(Path("fits.json").read_text())
    (base,) = Path("out/bases/runs").glob("base-*")
    others = {"products": ["brushed", "cast"], "target": None, "start": None}
    alone = {"products": ["wood"], "target": "wood"}
    assert fits == [{**alone, "start": None}, others, *[{**alone, "start": base.name}] * 2]
    assert load_bundle(base / "bundle").manifest.memory["products"] == ["brushed", "cast"]
    seconds = [
        stored(f"{name}-wood-seed0")["figures"]["seconds_base"] for name in ("random", "maml", "faster")
    ]
    assert seconds == [0, *[float((base / "seconds").read_text())] * 2]


def test_validations_are_kept_and_what_was_reached_is_compared() -> None:
    validations = stored("maml-wood-seed0")["figures"]["adaptation"]["looks"]
    assert [each["step"] for each in validations] == [0, 2, 4]
    text = Path("out/products/table.md").read_text()
    assert "- maml: epochs to recall ≤ 50 % of random: " in text
    assert "- maml: AUROC ≥ 0.924: " in text
    assert "≥ 0.9:" not in text  # a goal of another target


def test_the_table_has_a_line_a_target_and_the_papers_figures() -> None:
    text = Path("out/products/table.md").read_text()
    assert "| AUROC | random | maml | faster | nearest | memory | probe |" in text
    own = [f"{stored(f'{name}-wood-seed0')['figures']['image']['auroc']:.3f}" for name in ("random", "maml")]
    assert f"| wood | {own[0]} | {own[1]} |" in text
    assert "| maml, the paper's |  | *0.9* |" in text


def test_a_second_call_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "fill", lambda *_: pytest.fail("a stored row was measured again"))
    before = Path("out/products/table.md").read_text()
    fill()
    assert Path("out/products/table.md").read_text() == before


def test_another_target_has_files_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLEMISH_ROWS", "nearest")
    fill(target="cast,wood")
    result = stored("nearest-cast-seed0")
    assert result["settings"]["target"] == "cast"
    assert "--target cast,wood" in result["command"]
    assert "| mean | – | – | – | 0." in Path("out/products/table.md").read_text()
    Path("out/products/nearest-cast-seed0.json").unlink()
    monkeypatch.delenv("BLEMISH_ROWS")
    fill()


def test_peers_see_the_shots_that_the_method_would() -> None:
    """Eight images: half of either kind, one of each held out, as `with_shots` draws them."""
    assert stored("probe-wood-seed0")["figures"]["operating_point"]["chosen_on"]["escapes"]["of"] == 1
    assert stored("nearest-wood-seed0")["figures"]["operating_point"]["chosen_on"]["escapes"]["of"] > 1


def test_an_unknown_target_is_told_with_the_nearest() -> None:
    with pytest.raises(
        BlemishError, match=r"tasks must hold the product\. Received: 'wod'\. Did you mean 'wood'\?"
    ):
        _ = opened(targets=("wod",)).dataset


def test_targets_are_for_tables_of_products_alone() -> None:
    write(
        "plain", targets=[], by_target=[], goals=[], dataset="tasks", rows=[{"name": "otsu", "kind": "otsu"}]
    )
    with pytest.raises(BlemishError, match="--target must be given for a table of products"):
        opened("plain", targets=("wood",))


def test_a_test_image_among_another_products_training_images_is_refused(tmp_path: Path) -> None:
    """A leak that no training of one product would see."""
    shutil.copytree("data/tasks", tmp_path / "tasks")
    table = opened(data=tmp_path)
    test = of_product(table.dataset, "wood").split("test").samples[0]
    learned = next(one for one in of_product(table.dataset, "cast").split("train") if not one.is_defective)
    shutil.copyfile(test.image, learned.image)
    with pytest.raises(BlemishError, match="must not be learned from"):
        _ = opened(data=tmp_path).dataset


def test_a_product_without_a_kind_of_image_in_a_split_is_split_anew() -> None:
    """As MVTec AD: no defective image in train. What is whole stays as it is."""
    whole = opened().dataset
    moved = {one.id: "test" if one.product == "cast" and one.is_defective else one.split for one in whole}
    table = opened()
    found = product_dataset(whole.with_splits(moved), table.experiment, table.reporter)
    for name in ("train", "val", "test"):
        assert {one.is_defective for one in of_product(found, "cast").split(name)} == {True, False}
    splits = [[one.split for one in of_product(dataset, "wood")] for dataset in (whole, found)]
    assert splits[0] == splits[1]


def test_a_collection_is_made_once_and_can_lie_anywhere(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"only": ["magnetic-tile-crack", "magnetic-tile-fray"], "size": 64, "seed": 0}
    reporter = Reporter(quiet=True)
    dataset = made_collection(Path("out/collections"), data_root, arguments, reporter)
    assert dataset.products == ("magnetic-tile-crack", "magnetic-tile-fray")
    assert all(sample.image.is_file() for sample in dataset)
    monkeypatch.setattr("benchmarks.tables.data.collect_products", lambda *_, **__: pytest.fail("made again"))
    again = made_collection(Path("out/collections"), data_root, arguments, reporter)
    assert [one.id for one in again] == [one.id for one in dataset]
    with pytest.raises(pytest.fail.Exception, match="made again"):
        made_collection(Path("out/collections"), data_root, {**arguments, "seed": 1}, reporter)


def test_an_unknown_argument_of_a_collection_is_told(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"collection: .*unexpected keyword argument 'sizes'"):
        made_collection(tmp_path / "made", tmp_path, {"sizes": 64}, Reporter(quiet=True))
    assert not list((tmp_path / "made").iterdir())


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_of_products_is_taken_as_it_is(named: bool, tmp_path: Path) -> None:
    """Where dataset.yaml says so, whatever its folders are called; else where none is a public set's."""
    write("collected", dataset=None, collection={"seed": 0})
    shutil.copytree("data/tasks", tmp_path / "mine")
    if named:
        (tmp_path / "mine" / "dataset.yaml").write_text("layout: products\n")
        (tmp_path / "mine" / "cast").rename(tmp_path / "mine" / "bc-defects")
    table = opened("collected", data=tmp_path / "mine")
    assert set(table.dataset.products) == {"brushed", "bc-defects" if named else "cast", "wood"}
    assert table.source == {"folder of products": "mine"}


def test_a_collection_is_not_made_to_write_a_table_again(tmp_path: Path) -> None:
    """Only where it is at hand are stored rows compared with it."""
    write("collected", dataset=None, collection={"seed": 0})
    (tmp_path / "bc-defects").mkdir()
    assert not opened("collected", data=tmp_path).has_data
    assert opened("collected", data=Path("data/tasks")).has_data


def test_drawn_products_stand_beside_the_others() -> None:
    arguments = {"surfaces": ["part"], "images": 15, "seed": 0, "size": [64, 64], "turn": 90}
    write("drawn", products={"parts": arguments}, targets=["parts"], goals=[])
    table = opened("drawn")
    assert not table.has_data
    assert table.dataset.products == ("brushed", "cast", "wood", "parts")
    assert table.has_data
    parts = of_product(table.dataset, "parts")
    assert len(parts) == 15
    assert all(sample.id.startswith("parts/") and sample.image.is_file() for sample in parts)
    assert "missing_piece" in table.dataset.class_names
    assert table.experiment.source == {"products": {"parts": arguments}, "beside": "tasks"}
