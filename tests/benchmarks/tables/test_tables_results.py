from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables.results import Result, RowJob, claimed, read_results, refuse_other, write_result
from benchmarks.tables.schema import TableRow
from blemish.errors import BlemishError

ROW = TableRow(name="ours", kind="train")


def result(**changes: Any) -> Result:
    fields = {
        "table": "t", "row": "ours", "kind": "train", "seed": 0, "device": None,
        "figures": {"pixel": {"f1": 0.5}}, "seconds": 1.0, "settings": {"steps": 5}, "dataset": "set",
        "data_fingerprint": "ab" * 32, "command": "blemish reproduce t", "provenance": {"commit": "c"},
    }  # fmt: skip
    return Result(**{**fields, **changes})


def refuse(stored: Result, **changes: Any) -> None:
    wanted = {"now": {"steps": 5}, "dataset": "set", "digest": "ab" * 32, **changes}
    settings = {**wanted.pop("older", {}), **stored.settings}
    refuse_other(stored, Path("out/ours-seed0.json"), settings, **wanted)


def test_one_file_for_each_row_and_seed_or_device(tmp_path: Path) -> None:
    assert [RowJob(ROW).name, RowJob(ROW, seed=2).name, RowJob(ROW, device="cpu").name] == [
        "ours",
        "ours-seed2",
        "ours-cpu",
    ]
    assert write_result(tmp_path, result()).name == "ours-seed0.json"
    write_result(tmp_path, result(seed=None, device="cuda"))
    assert read_results(tmp_path) == [result(seed=None, device="cuda"), result()]


def test_what_is_no_result_is_told(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text('{"row": "ours"}')
    with pytest.raises(BlemishError, match=r"ours\.json is no result of a row: 'table'.*Remove it"):
        read_results(tmp_path)


def test_the_same_settings_and_data_pass() -> None:
    refuse(result())
    refuse(result(), digest=None)
    refuse(result(), now={"steps": 5, "new": 1}, older={"new": 1})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"now": {"steps": 6}}, "measured with steps=5. Received: steps=6"),
        ({"now": {}}, "measured with steps=5. Received: steps=None"),
        (
            {"now": {"steps": 5, "new": 2}, "older": {"new": 1}},
            "measured with new=1. Received: new=2",
        ),
        ({"digest": "cd" * 32}, "data fingerprint=abab"),
        ({"dataset": {"seed": 1}}, "measured with dataset=set"),
    ],
)
def test_other_settings_or_data_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BlemishError) as error:
        refuse(result(), **changes)
    assert told in str(error.value)
    assert "Use another --out, or remove ours-seed0.json" in str(error.value)


def test_a_row_in_another_process_hands_is_left_to_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.tables.schema import TableRow\n"
        "from benchmarks.tables.results import RowJob, claimed\n"
        "with claimed(Path(sys.argv[1]), RowJob(TableRow(name='ours', kind='train'), seed=0)) as free:\n"
        "    print(free, flush=True); sys.stdin.readline()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "True"
    with claimed(tmp_path, RowJob(ROW, seed=0)) as free, claimed(tmp_path, RowJob(ROW, seed=1)) as other_seed:
        assert (free, other_seed) == (False, True)
    other.kill()
    other.communicate()
    with claimed(tmp_path, RowJob(ROW, seed=0)) as free:
        assert free
