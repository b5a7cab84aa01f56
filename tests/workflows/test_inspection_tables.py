"""Tables for spreadsheets: what inspections.jsonl says, in columns, and nothing that runs as a formula."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.defect import Defect, Rectangle
from blemish.inspection import Inspection, Verdict, failed
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_tables import DEFECT_COLUMNS, IMAGE_COLUMNS, Tables, field, write_tables


def crack(length: float, severity: float) -> Defect:
    return Defect(
        "crack",
        0.91,
        (1, 2, 1 + length, 12),
        (),
        Rectangle((5, 7), length, 10, -12.5),
        8 * length,
        1.5,
        severity,
        0.5,
    )


def record_of(folder: Path, *inspections: Inspection) -> Path:
    lines = [json.dumps(inspection.to_json(), ensure_ascii=False) + "\n" for inspection in inspections]
    record = folder / "inspections.jsonl"
    record.write_bytes("".join(lines).encode(errors="backslashreplace"))
    return record


def rows_of(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "by which Excel knows UTF-8"
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_tables_say_what_the_record_says(tmp_path: Path) -> None:
    dent = Defect("dent", 0.5, (20, 20, 30, 30), (), Rectangle((25, 25), 10, 10, 0), 100, mm_per_px=0.5)
    found = Inspection(
        *("schräg/a.png", (30, 40), Verdict.NG, 0.875, (crack(20, 7.25), dent, crack(9, 3)), "b-1"),
        mm_per_px=0.5,
        spread=0.01,
        reasons=("crack 10 mm long ≥ 3 mm", "score 0.875 ≥ 0.5"),
        grade="scrap",
        decision=2,
    )
    piece = Inspection("web", (100, 40), Verdict.OK, 0.0, (), "b-1", rows=(300, 400))
    write_tables(record_of(tmp_path, found, piece, failed("c.png", "truncated.", bundle="b-1")), tmp_path)
    first, second, third = rows_of(tmp_path / "inspections.csv")
    assert tuple(first) == IMAGE_COLUMNS
    assert first == {
        **{
            "image": "schräg/a.png",
            "verdict": "NG",
            "score": "0.875",
            "score_spread": "0.01",
            "grade": "scrap",
        },
        **{
            "reasons": "crack 10 mm long ≥ 3 mm; score 0.875 ≥ 0.5",
            "defects": "3",
            "classes": "crack 2, dent 1",
            "under_limit": "0",
        },
        **{"max_severity": "7.25", "max_length_px": "20", "max_area_px": "160", "max_length_mm": "10.0"},
        **{"max_area_mm2": "40.0", "image_width": "40", "image_height": "30", "mm_per_px": "0.5"},
        **{"first_row": "", "end_row": "", "bundle": "b-1", "decision": "2", "error": ""},
    }
    assert (second["first_row"], second["end_row"], second["score"], second["defects"]) == (
        "300",
        "400",
        "0.0",
        "0",
    )
    assert (third["verdict"], third["score"], third["error"]) == ("ERROR", "", "truncated.")
    defects = rows_of(tmp_path / "defects.csv")
    assert tuple(defects[0]) == DEFECT_COLUMNS
    assert [(row["image"], row["defect"], row["class"]) for row in defects] == [
        ("schräg/a.png", "1", "crack"),
        ("schräg/a.png", "2", "dent"),
        ("schräg/a.png", "3", "crack"),
    ]
    assert defects[0]["right"] == "21" and defects[0]["angle_deg"] == "-12.5"
    assert (defects[0]["length_mm"], defects[0]["width_mm"], defects[0]["area_mm2"]) == (
        "10.0",
        "5.0",
        "40.0",
    )
    assert (defects[1]["mean_severity"], defects[1]["max_severity"]) == ("", "")


@pytest.mark.parametrize(
    "text", ["=1+1", "+49", "-x", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "＝1", '=HYPERLINK("x")']
)
def test_no_text_is_run_as_a_formula(text: str) -> None:
    assert field(text).startswith("\"'")


def test_a_name_with_several_spaces_stays_as_it_is() -> None:
    assert field("lot 7  left .png") == '"lot 7  left .png"'


def test_numbers_stay_numbers() -> None:
    assert [field(cell) for cell in (-12.5, 0, None, "")] == ["-12.5", "0", "", '""']


@given(st.text())
def test_any_text_is_a_field_of_one_line_that_reads_back(text: str) -> None:
    written = field(text)
    assert len(written.splitlines()) == 1
    (row,) = csv.reader([f"{written},2"], strict=True)
    assert len(row) == 2 and row[0].removeprefix("'") == " ".join(text.splitlines()).removeprefix("'")


def test_names_that_are_not_utf8_are_written_as_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    write_tables(record_of(tmp_path, Inspection(name, (2, 2), Verdict.OK, 0.1, (), "b")), tmp_path)
    assert rows_of(tmp_path / "inspections.csv")[0]["image"] == "caf\\udce9.png"


def test_without_defects_there_is_a_table_of_defects_with_its_columns_alone(tmp_path: Path) -> None:
    write_tables(record_of(tmp_path, Inspection("a.png", (2, 2), Verdict.OK, 0.1, (), "b")), tmp_path)
    assert rows_of(tmp_path / "defects.csv") == []
    assert (tmp_path / "defects.csv").read_text(encoding="utf-8-sig").count("\n") == 1


def test_a_table_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    record = record_of(tmp_path, Inspection("a.png", (2, 2), Verdict.OK, 0.1, (), "b"))
    (tmp_path / "inspections.csv").mkdir()
    tables = Tables(tmp_path)
    tables.finish(record, InspectionCounts())
    assert tables.lack().startswith(f"{tmp_path / 'inspections.csv'} cannot be written")
