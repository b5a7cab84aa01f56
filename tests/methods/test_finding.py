"""Methods are found by looking, and so are their quick tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import blemish.methods
from blemish.errors import BlemishError
from blemish.methods import find_method, method_names
from blemish.methods.quick import Quick, quick_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the methods, with one method that has nothing but its name."""
    monkeypatch.setattr(blemish.methods, "__path__", [*blemish.methods.__path__, str(tmp_path)])
    for module in ("blemish.methods.mine", "blemish.methods.mine.quick"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("class Mine:\n    name = 'mine'\n\n\nMETHOD = Mine()\n")
    return tmp_path


def test_a_folder_with_a_method_is_found_and_one_without_is_not(folder: Path) -> None:
    (folder / "shared").mkdir()
    (folder / "shared" / "__init__.py").write_text('"""Says METHOD, and has none."""\n')
    assert {"mine", "severity"} <= {*method_names()}
    assert not {"shared", "common", "contract"} & {*method_names()}
    assert find_method("mine").name == "mine"


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(BlemishError, match=r"Received: 'severitee'\. Did you mean 'severity'\?"):
        find_method("severitee")


def test_a_method_without_quick_tests_fails_with_what_is_missing(folder: Path) -> None:
    with pytest.raises(BlemishError, match=r"^Method 'mine' must have its quick tests in blemish\.methods"):
        quick_of("mine")
    (folder / "mine" / "quick.py").write_text("quick = {}\n")
    with pytest.raises(BlemishError, match="has no attribute 'QUICK'"):
        quick_of("mine")


@pytest.mark.parametrize("method", method_names())
def test_quick_settings_are_settings_of_the_method(method: str) -> None:
    quick = quick_of(method)
    assert isinstance(quick, Quick)
    settings_type = find_method(method).settings_type
    for settings in (quick.overfit, {**quick.overfit, **quick.short}, quick.tiny):
        settings_type.model_validate(settings)
