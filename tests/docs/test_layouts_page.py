"""docs/layouts.md names every layout that is read, every tool that is refused by name, and every key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from blemish.dataset.layouts import LAYOUTS
from blemish.dataset.layouts.tool_table import TOOLS
from blemish.dataset.settings import DatasetSettings, described_keys
from blemish.dataset.settings_file import validated
from blemish.untrusted import parse_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "layouts.md").read_text(encoding="utf-8")


def test_every_layout_has_a_heading_and_its_files() -> None:
    found = re.findall(r"^### ([\w-]+)\n\n```text\n", PAGE, re.MULTILINE)
    assert sorted(found) == sorted(LAYOUTS)


def test_every_tool_without_a_reader_is_named() -> None:
    last = " ".join(PAGE[PAGE.index("## What other tools must export") :].split())
    names = {tool.name.removeprefix("COCO ") for tool in TOOLS if tool.advice}
    assert [name for name in sorted(names) if name not in last] == []


def test_every_key_of_the_settings_is_described_as_in_the_code() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert lines == [
        f"| `{name}` | {key.meaning} | {key.values} | {key.default} | `{key.example}` |"
        for name, key in described_keys().items()
    ]
    assert described_keys().keys() == DatasetSettings.model_fields.keys()


@pytest.mark.parametrize("name", described_keys())
def test_the_example_of_a_key_is_valid_and_sets_it(name: str) -> None:
    content = parse_yaml(described_keys()[name].example, "example", as_text=True)
    settings = validated(content, Path("dataset.yaml"))
    assert settings.model_fields_set == {name}
    assert getattr(settings, name) not in (None, False)
