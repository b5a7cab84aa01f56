"""The commands `station line` and `station run`, up to where processes are started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.station.layout import StationFolder
from blemish.station.line.settings import read_settings


def test_a_line_is_added_and_its_options_are_refused_in_one_line(
    blemish: Callable[..., Any], tmp_path: Path
) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    root = tmp_path / "station"
    answer = blemish("station", "line", root, "press-3", "--watch", parts, "--renamed", "--deadline-ms", 500)
    assert answer.code == 0, answer
    settings = read_settings(StationFolder(root).line("press-3"))
    assert settings.source is not None
    assert (settings.source.kind, settings.source.path) == ("folder", parts)
    assert settings.deadline_ms == 500
    for wrong, words in (
        (["--watch", parts, "--list", parts], "Give one"),
        (["--renamed"], "Give one"),
        (["--watch", tmp_path / "missing"], "must be a folder that is there"),
        (["--bundle", parts], "not a bundle"),
    ):
        answer = blemish("station", "line", root, "press-3", *wrong)
        assert answer.code in (1, 2)
        assert words in answer.err and answer.err.count("\n") == 1
    answer = blemish("station", "line", root, "<b>")
    assert "name of a line" in answer.err
    assert read_settings(StationFolder(root).line("press-3")) == settings


def test_without_the_extra_one_line_says_what_to_install(
    blemish: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(name: str) -> object:
        return None if name == "fastapi" else object()

    monkeypatch.setattr("blemish.optional_dependencies.find_spec", lacking)
    answer = blemish("station", "run", tmp_path / "station")
    assert answer.code == 1
    assert "pip install 'blemish[station]'" in answer.err and "--lines-only" in answer.err
    assert answer.err.count("\n") == 1


def test_a_server_for_others_needs_tls(blemish: Callable[..., Any], tmp_path: Path) -> None:
    answer = blemish("station", "run", tmp_path / "station", "--host", "0.0.0.0")
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "station").exists()
