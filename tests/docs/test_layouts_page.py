"""docs/layouts.md names every layout that is read and every tool that is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

from blemish.dataset.layouts import LAYOUTS
from blemish.dataset.layouts.tool_table import TOOLS

PAGE = (Path(__file__).parents[2] / "docs" / "layouts.md").read_text(encoding="utf-8")


def test_every_layout_has_a_heading_and_its_files() -> None:
    found = re.findall(r"^### ([\w-]+)\n\n```text\n", PAGE, re.MULTILINE)
    assert sorted(found) == sorted(LAYOUTS)


def test_every_tool_without_a_reader_is_named() -> None:
    last = PAGE[PAGE.index("## What other tools must export") :]
    names = {tool.name.removeprefix("COCO ") for tool in TOOLS if tool.advice}
    assert [name for name in sorted(names) if name not in last] == []
