"""`blemish methods` and `blemish methods show NAME`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from blemish.methods import find_method, method_names

Command = Callable[..., Any]

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from blemish.cli.main import run
run()
"""


def test_every_method_is_a_paragraph(blemish: Command) -> None:
    answer = blemish("methods")
    assert answer.code == 0
    paragraphs = answer.out.split("\n\n")
    assert [text.split(" ")[0] for text in paragraphs[:-1]] == list(method_names())
    for text, name in zip(paragraphs, method_names(), strict=False):
        joined = " ".join(text.split())
        summary = find_method(name).summary
        assert all(part in joined for part in (summary.needs, summary.gives, summary.cost, summary.when))
    assert "`blemish recommend DATA`" in paragraphs[-1]


@pytest.mark.parametrize("name", method_names())
def test_settings_to_try_first_come_first_and_all_on_request(blemish: Command, name: str) -> None:
    settings_type = find_method(name).settings_type
    short, whole = blemish("methods", "show", name), blemish("methods", "show", name, "--all")
    assert short.code == whole.code == 0

    def named(text: str) -> list[str]:
        return [line.split()[0] for line in text.splitlines() if line.startswith("  ") and " = " in line]

    assert named(short.out) == list(settings_type.main_settings)
    assert sorted(named(whole.out)) == sorted(settings_type.model_fields)
    rest = len(settings_type.model_fields) - len(settings_type.main_settings)
    assert f"--all` lists {rest} more." in short.out
    assert "Preset" in short.out or "preset" not in settings_type.model_fields


def test_json_holds_every_setting_with_its_default(blemish: Command) -> None:
    answer = blemish("methods", "show", "casae", "--json")
    listed = {setting["name"]: setting for setting in json.loads(answer.out)}
    defaults = find_method("casae").settings_type().model_dump(mode="json")
    assert {name: setting["default"] for name, setting in listed.items()} == defaults
    assert listed["width"]["presets"]["paper"] == 64
    names = [method["name"] for method in json.loads(blemish("methods", "--json").out)]
    assert names == list(method_names())


def test_an_unknown_method_names_the_nearest(blemish: Command) -> None:
    answer = blemish("methods", "show", "severty")
    assert answer.code == 2
    assert "Did you mean 'severity'?" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["methods"], ["methods", "show", "tlsdd", "--all"]])
def test_no_torch_is_needed(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "TL-SDD" in done.stdout
