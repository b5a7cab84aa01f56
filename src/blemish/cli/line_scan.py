"""The options of a line scan, checked together."""

from __future__ import annotations

from pathlib import Path

from blemish.cli.outcome import WrongUseError
from blemish.inspector.line_scan.web import MOST_ROWS, Web
from blemish.inspector.sources import STDIN


def web_of(
    paths: list[Path], *, line_scan: bool, frame_rows: int | None, most_rows: int | None
) -> Web | None:
    """The web that the options ask for; None without --line-scan.

    Raises WrongUseError for options that have no effect together.
    """
    given = {"--frame-rows": frame_rows, "--most-rows": most_rows}
    used = [name for name, value in given.items() if value is not None]
    if used and not line_scan:
        raise WrongUseError(
            f"{used[0]} must stand with --line-scan. Received: {used[0]} alone. Add the other."
        )
    if len(used) == 2:
        raise WrongUseError(
            "--frame-rows and --most-rows exclude each other, as frames cut every defect. Received: both. "
            "Leave one out."
        )
    if not line_scan:
        return None
    name = "stdin" if str(paths[0]) == STDIN else str(paths[0])
    return Web(name, frame_rows, most_rows or MOST_ROWS)
