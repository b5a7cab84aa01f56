from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tables.kinds.few_shot import NOT_OF_BASE
from benchmarks.tables.kinds.product import NOT_OF_START
from benchmarks.tables.table import Table, open_table
from benchmarks.tables.training import base_name, bundle_of, method_settings
from blemish.bundle import Manifest, Preprocessing, save_bundle
from blemish.bundle.migrations import LEGACY
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.progress import Reporter

DEFAULTS_OF_0_1 = {
    "rare": [], "backbone": "resnet101", "trainable_stages": 3, "deepest": "layer4", "width": 256,
    "support_size": 224, "anchor_sizes": [], "proposals_train": 1000, "proposals_test": 300,
    "rpn_samples": 256, "region_samples": 64, "hidden": 1024, "queries": 2, "steps": 3000,
    "fine_tune_steps": 600, "learning_rate": 0.005, "fine_tune_learning_rate_ratio": 0.1, "warmup": 200,
    "size": None, **LEGACY["tlsdd"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "ignored", "name"),
    [("medetection", NOT_OF_START, "base-3491b896cd9f"), ("tlsdd", NOT_OF_BASE, "base-35c7d7691c7f")],
)
def test_bases_that_0_1_trained_are_found_again(method: str, ignored: tuple[str, ...], name: str) -> None:
    """The names are those that version 0.1 gave the same settings, some of which are called otherwise now."""
    tiny = {"preset": "tiny", "backbone_level": "layer2", **LEGACY["medetection"]}
    given = tiny if method == "medetection" else DEFAULTS_OF_0_1
    settings = find_method(method).settings_type.model_validate(given).model_dump(mode="json")
    assert base_name(method, settings, "data", ignored=ignored) == name


def table_with_bundle(out: Path, **changes: object) -> Table:
    """A table with the bundle that its first row measures, trained with these settings changed."""
    table = open_table("severity-stability", out, data=None, reporter=Reporter(quiet=True))
    home, row = table.trained(table.experiment.rows[0])
    settings = method_settings(home, row, expand=True).model_dump(mode="json")
    manifest = Manifest(
        method="severity",
        class_names=("spot",),
        preprocessing=Preprocessing(channels=1),
        settings={**settings, **changes},
    )
    save_bundle(home.bundle_path(row, 0), manifest, {"severity": {"weight": np.ones(1, np.float32)}})
    return table


def test_a_bundle_with_the_rules_that_auto_stands_for_is_the_rows(tmp_path: Path) -> None:
    table = table_with_bundle(tmp_path, ng_rule="f1", review_rule="escape<=0")
    home, row = table.trained(table.experiment.rows[0])
    assert bundle_of(home, row, 0).manifest.settings["ng_rule"] == "f1"


def test_a_bundle_of_other_settings_is_not_the_rows(tmp_path: Path) -> None:
    table = table_with_bundle(tmp_path, ng_rule="overkill<=0.01")
    home, row = table.trained(table.experiment.rows[0])
    with pytest.raises(BlemishError, match="was trained with other settings than row"):
        bundle_of(home, row, 0)
