"""The HTML report of an evaluation."""

from blemish.evaluation.report.context import ReportContext
from blemish.evaluation.report.html import render_report, write_report

__all__ = ["ReportContext", "render_report", "write_report"]
