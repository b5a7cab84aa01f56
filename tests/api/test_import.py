"""`import blemish` is quick, brings nothing heavy, and offers what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import mypy.api
import pytest

import blemish
from tests.processor_time import assert_takes_less

HERE = Path(__file__).parent
HEAVY = {"torch", "numpy", "cv2", "PIL", "pydantic", "yaml", "rich", "typer"}
PROMISED = [
    *("BlemishError", "Dataset", "Defect", "Inspection", "Inspector", "Verdict", "__version__"),
    *("accept", "add_class", "decide", "evaluate", "export", "inspect", "load", "open_dataset", "recommend"),
    *("reject", "remove_class", "rename_class", "train"),
]


def output_of(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_nothing_heavy_is_loaded() -> None:
    loaded = output_of("import blemish, sys; dir(blemish); print('|'.join(sys.modules))").strip().split("|")
    assert "blemish" in loaded
    assert {name.split(".")[0] for name in loaded} & HEAVY == set()


def test_it_takes_less_than_three_times_as_long_as_no_import() -> None:
    """numpy takes nine times as long."""
    assert_takes_less(lambda: output_of("import blemish"), lambda: output_of("pass"), times=3)


def test_every_promised_name_is_there() -> None:
    assert blemish.__all__ == PROMISED
    assert set(PROMISED) <= set(dir(blemish))
    assert all(getattr(blemish, name).__doc__ for name in PROMISED if name != "__version__")
    assert blemish.__version__ == version("blemish")
    with pytest.raises(AttributeError, match="module 'blemish' has no attribute 'inspector_of'"):
        blemish.inspector_of  # noqa: B018


def test_no_function_is_hidden_by_a_module_of_its_name() -> None:
    """A package `blemish.export` would take the function's place once it is imported."""
    folder = Path(blemish.__file__).parent
    assert not [name for name in PROMISED if (folder / name).exists() or (folder / f"{name}.py").exists()]


def test_an_example_passes_mypy_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ignored errors must be errors, so the types are seen."""
    package = Path(blemish.__file__).parent
    assert (package / "py.typed").is_file()
    monkeypatch.setenv("MYPYPATH", os.fspath(package.parent))
    monkeypatch.chdir(HERE.parents[1])
    printed, errors, code = mypy.api.run(["--config-file", "pyproject.toml", os.fspath(HERE / "example.py")])
    assert code == 0, printed + errors
