"""Commands, options, settings, links and figures that the pages name exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from blemish.bundle.migrations import RENAMED
from blemish.cli.commands import app
from blemish.cli.training import parsed_settings
from blemish.dataset.settings import DatasetSettings
from blemish.methods import find_method, method_names

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "benchmarks/**/*.md", "experiments/*.md", "src/**/*.md")
    for page in ROOT.glob(pattern)
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)  # other tools' environments
)
MADE_UP = "pixelnet"  # the method that docs/adding-a-method.md builds
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str = "") -> str:
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return "\n".join(text for kind, text in found if kind == language)


def commands(page: Path) -> Iterator[list[str]]:
    """Arguments behind `blemish` of every command in a block; what stands behind two spaces explains it."""
    for line in blocks(page).replace("\\\n", " ").splitlines():
        command = re.search(r"(?:^|\| )blemish (.*)", re.sub(r"(?<=\S)(?:  +[^-\s].*| +#.*)$", "", line))
        if command:
            yield shlex.split(command[1].replace("onnx|openvino", "onnx"))


@cache
def whole_command() -> Any:
    return get_command(app)


def command_named(words: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """The command that the words begin with, and the words behind its name."""
    command: Any = whole_command()
    while isinstance(command, TyperGroup) and (words or not command.invoke_without_command):
        found = command.commands.get(words[0]) if words else None
        assert found is not None, f"there is no command {' '.join(words)}"
        command, words = found, words[1:]
    return command, words


def test_commands_are_found_in_blocks() -> None:
    of_readme = [" ".join(command[:2]) for command in commands(ROOT / "README.md")]
    assert len(of_readme) >= 20
    assert {"data split", "train severity", "replay inspected/"} < {*of_readme}
    decide = next(command for command in commands(ROOT / "README.md") if command[0] == "decide")
    assert decide.count("--limit") == 2


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_blocks_can_be_typed(page: Path) -> None:
    for arguments in commands(page):
        command, rest = command_named(arguments)
        context = command.make_context(command.name, [*rest])  # raises for what the command does not take
        if arguments[0] == "train" and arguments[1] not in (MADE_UP, "auto", "--resume"):
            settings = parsed_settings(context.params["settings"])
            known = find_method(context.params["method"]).settings_type.model_fields
            assert settings.keys() <= known.keys(), arguments


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_settings_in_the_text_exist(page: Path) -> None:
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for line in re.findall(r"`blemish ([^`]+)`", text):
        if not line.startswith("-"):
            command, _ = command_named(line.split())
            options = {option for parameter in command.params for option in parameter.opts}
            assert {*re.findall(r"--[a-z-]+", line)} <= options, line
    known = {key for name in method_names() for key in find_method(name).settings_type.model_fields}
    assert {*re.findall(r"--set '?(\w+)=", text)} <= known


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for path, heading in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / path if path else page
        if "://" in path:
            continue
        if not target.exists() or (heading and heading not in headings(target)):
            broken.append((path, heading))
    assert not broken


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings: in lower case, of letters, digits and hyphens alone."""
    titles = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_dataset_file_of_the_readme_is_one() -> None:
    settings = DatasetSettings.model_validate(yaml.safe_load(blocks(ROOT / "README.md", "yaml")))
    assert settings.classes == {"kratzer": "scratch", "fleck": "spot"}


def test_the_glossary_lists_the_older_names_of_settings() -> None:
    listed = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.M
    )
    assert listed == [(method, *names) for method, renamed in RENAMED.items() for names in renamed.items()]


def test_figures_of_the_readme_are_those_of_the_results() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d\.\d{3}(?: ± \d\.\d{3})?", page[page.index("## Results") :])
    assert len(figures) > 10
    assert not [figure for figure in figures if figure not in results]
