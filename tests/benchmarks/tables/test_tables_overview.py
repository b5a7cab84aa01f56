"""The page of all tables: nothing typed by hand, nothing missing, nothing stale."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.tables.experiment import CHECKOUT, table_names
from benchmarks.tables.fill import results_of
from benchmarks.tables.overview import Filled, demoted, outcome, overview_markdown, write_overview
from benchmarks.tables.table import open_table
from blemish.errors import BlemishError
from blemish.progress import Reporter

RESULTS = CHECKOUT / "experiments" / "results"


def stored() -> list[Filled]:
    reporter = Reporter(quiet=True)
    tables = [open_table(name, RESULTS, data=None, reporter=reporter) for name in table_names()]
    return [Filled(table, results_of(table)) for table in tables]


def test_the_page_of_the_checkout_is_what_its_rows_say() -> None:
    page = (CHECKOUT / "experiments" / "RESULTS.md").read_text(encoding="utf-8")
    assert page == overview_markdown(stored(), "results"), "run `blemish results`"


def test_links_lead_to_files_that_are_there() -> None:
    page = (CHECKOUT / "experiments" / "RESULTS.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert links
    assert [link for link in links if not (CHECKOUT / "experiments" / link).is_file()] == []


def test_every_measured_table_is_on_it_and_the_others_are_named() -> None:
    filled = stored()
    page = overview_markdown(filled, "results")
    for table_page in filled:
        title = table_page.table.experiment.title
        assert (f"\n### {title}\n" in page) == bool(table_page.results)
        assert (f"- {title} (`{table_page.table.name}`)" in page) == (not table_page.results)


def test_goals_are_counted_by_their_outcome() -> None:
    goals = [goal for table_page in stored() if table_page.results for goal in table_page.goals]
    endings = [outcome(goal)[1] for goal in goals]
    page = overview_markdown(stored(), "results")
    met = sum(goal.endswith(", met") for goal in goals)
    assert f"Of {len(goals)} goals: {met} met, {endings.count('**not met**')} not met," in page
    assert page.count("| met |") == met


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("A: F1 ≥ 0.9: 0.95, met", ("A: F1 ≥ 0.9: 0.95", "met")),
        ("A: F1 ≥ 0.9: 0.85, **not met**", ("A: F1 ≥ 0.9: 0.85", "**not met**")),
        ("A|B: F1 ≥ 0.9: not measured", ("A\\|B: F1 ≥ 0.9", "not measured")),
    ],
)
def test_a_goal_falls_into_what_is_asked_and_what_became_of_it(line: str, parts: tuple[str, str]) -> None:
    assert outcome(line) == parts


def test_headings_go_down_and_links_hold_from_the_page() -> None:
    filled = next(filled for filled in stored() if filled.results)
    page = demoted(filled, "here")
    assert page.startswith(f"### {filled.table.experiment.title}\n")
    assert not re.search(r"^##? ", page, re.MULTILINE)


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_results_is_refused_and_nothing_is_written(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BlemishError, match=folder):
        write_overview(tmp_path / folder, tmp_path / "RESULTS.md")
    assert not (tmp_path / "RESULTS.md").exists()


def test_a_new_row_is_on_the_page_and_in_its_table(tmp_path: Path) -> None:
    """A row is copied elsewhere with another figure, which both files then show."""
    name = "severity-crackforest"
    fields = json.loads((RESULTS / name / "otsu.json").read_text(encoding="utf-8"))
    fields["figures"]["pixel"]["f1"] = 0.98765
    (tmp_path / "rows" / name).mkdir(parents=True)
    (tmp_path / "rows" / name / "otsu.json").write_text(json.dumps(fields), encoding="utf-8")
    page = write_overview(tmp_path / "rows", tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| 0.988 |" in page
    assert "| 0.988 |" in (tmp_path / "rows" / name / "table.md").read_text(encoding="utf-8")
    assert "Of 2 goals: 0 met, 0 not met, 2 not measured." in page
