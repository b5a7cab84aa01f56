"""Which images are kept, and the draws behind the audit and the share of OK parts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from stand_in_line import asked, inspections, new_line, opened, png, running

from blemish.errors import BlemishError
from blemish.inspection import Verdict
from blemish.station.layout import StationFolder, image_name
from blemish.station.line.images import draw, keep_image, reason_to_keep, suffix_of
from blemish.station.line.settings import Keep
from blemish.station.secrets import secret

KEY = bytes(range(32))


def test_draws_repeat_are_uniform_and_hang_on_key_and_purpose() -> None:
    drawn = [draw(KEY, "audit", "L1", seq) for seq in range(1, 20_001)]
    assert drawn == [draw(KEY, "audit", "L1", seq) for seq in range(1, 20_001)]
    for share in (0.01, 0.2, 0.5):
        found = sum(value < share for value in drawn) / len(drawn)
        assert abs(found - share) < 4 * math.sqrt(share * (1 - share) / len(drawn))
    for other in ((bytes(32), "audit", "L1"), (KEY, "keep", "L1"), (KEY, "audit", "L2")):
        assert draw(*other, 7) != draw(KEY, "audit", "L1", 7)
    both = sum(draw(KEY, "audit", "L1", n) < 0.1 and draw(KEY, "keep", "L1", n) < 0.1 for n in range(20_000))
    assert abs(both / 20_000 - 0.01) < 0.003


def test_reasons_to_keep() -> None:
    keep, nothing = Keep(ok_share=0.25), Keep(review=False, ng=False, error=False, ok_share=0)
    for verdict, reason in ((Verdict.NG, "ng"), (Verdict.REVIEW, "review"), (Verdict.ERROR, "error")):
        assert reason_to_keep(keep, verdict, audit=False, drawn=0.9) == reason
        assert reason_to_keep(nothing, verdict, audit=False, drawn=0.0) is None
    assert reason_to_keep(keep, Verdict.OK, audit=False, drawn=0.2) == "sample"
    assert reason_to_keep(keep, Verdict.OK, audit=False, drawn=0.25) is None
    assert reason_to_keep(nothing, Verdict.OK, audit=False, drawn=0.0) is None
    assert reason_to_keep(nothing, Verdict.OK, audit=True, drawn=0.9) == "audit"


def test_the_audit_takes_ok_parts_and_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = new_line(tmp_path / "station", audit_share=1.0, keep={"ok_share": 0})
    with running(line, monkeypatch):
        for value in (10, 100, 200):
            asked(opened(line), png(value))
    found = [(record["audit"], record["image"]["kept_because"]) for record in inspections(line)]
    assert found == [(True, "audit"), (False, "review"), (False, "ng")]


def test_an_image_is_stored_once_under_its_digest(tmp_path: Path) -> None:
    station = StationFolder(tmp_path)
    first, second = keep_image(station, png(7)), keep_image(station, png(7))
    assert first == second
    files = [file for file in station.images.rglob("*") if file.is_file()]
    assert [file.relative_to(station.images).as_posix() for file in files] == [first.file]
    cut = files[0]
    cut.write_bytes(b"half")  # as an older program may have left it
    keep_image(station, png(7))
    assert cut.read_bytes() == png(7)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "g" * 64, "a" * 63, "A" * 64, f"{'a' * 64}\n"])
def test_no_path_is_made_of_what_is_no_digest(name: str) -> None:
    with pytest.raises(BlemishError, match="SHA-256"):
        image_name(name, ".png")


def test_suffixes_follow_the_content() -> None:
    assert suffix_of(png(1)) == ".png"
    assert suffix_of(b"\xff\xd8\xff\xe0") == ".jpg"
    assert suffix_of(b"<script>") == ".bin"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "<b>", "a\n", "\u202ea", "x" * 65, "-rf", "é"]
)
def test_odd_names_of_lines_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BlemishError, match="name of a line"):
        StationFolder(tmp_path).line(name)


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    first, other = secret(file, "draws"), secret(file, "other")
    assert first != other and len(first) == 32
    assert secret(file, "draws") == first
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o644)
    with pytest.raises(BlemishError, match="chmod 600"):
        secret(file, "draws")
