from __future__ import annotations

import sys
from pathlib import Path

import pytest

from blemish.errors import BlemishError
from blemish.optional_dependencies import (
    MissingExtraError,
    import_optional,
    missing_extra,
    require_package,
)


def test_a_matlab_file_needs_scipy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from blemish.dataset.mask_files import read_stored

    monkeypatch.setitem(sys.modules, "scipy.io", None)
    (tmp_path / "001.mat").write_bytes(b"")
    with pytest.raises(BlemishError, match=r"001\.mat: reading a \.mat file needs SciPy.*blemish\[train\]"):
        read_stored(tmp_path / "001.mat")


def test_a_package_that_is_there_is_not_refused() -> None:
    require_package("scipy", "this")
    assert import_optional("scipy.io", "this").__name__ == "scipy.io"


def test_a_module_of_our_own_that_is_missing_is_a_bug() -> None:
    """As the command line then shows its trace."""
    assert missing_extra(ModuleNotFoundError(name="blemish.nowhere"), "this") is None
    assert isinstance(missing_extra(ModuleNotFoundError(name="openvino.runtime"), "this"), MissingExtraError)
