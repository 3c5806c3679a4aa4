"""A result as a file for others: CSV, Markdown, HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.runs.run import Result

KINDS = ("json", "csv", "markdown", "html")


def render(result: Result, kind: str) -> str:
    """The text of a file of one of ``KINDS``."""
    if kind == "json":
        from backends.runs.run import to_json

        return to_json(result)
    if kind == "csv":
        from tui.reports.report import to_csv

        return to_csv(result)
    from tui.reports.report import make_report

    if kind == "markdown":
        from tui.reports.markdown import to_markdown

        return to_markdown(make_report(result))
    from tui.reports.page import to_html

    return to_html(make_report(result))
